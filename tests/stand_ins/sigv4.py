"""AWS Signature Version 4, the server's side: computed anew from the request and the key's secret."""

import datetime
import hashlib
import hmac
import urllib.parse
from typing import Optional

TIME = "%Y%m%dT%H%M%SZ"


def now() -> datetime.datetime:
    return datetime.datetime.now(datetime.timezone.utc)


def parse_time(text: str) -> Optional[datetime.datetime]:
    try:
        return datetime.datetime.strptime(text, TIME).replace(tzinfo=datetime.timezone.utc)
    except ValueError:
        return None


def _quote(text: str) -> str:
    return urllib.parse.quote(text, safe="-_.~")


def signature(secret: str, scope: list[str], date: str, method: str, path: str, query: list[tuple[str, str]],
              headers: list[tuple[str, str]], payload: str) -> str:
    """`scope` is date, region, service and `aws4_request`; `headers` are the signed ones; `payload` is its hash."""
    pairs = "&".join(f"{name}={value}" for name, value in sorted((_quote(name), _quote(value)) for name, value in query))
    lines = "".join(f"{name}:{' '.join(value.split())}\n" for name, value in sorted(headers))
    names = ";".join(sorted(name for name, _ in headers))
    canonical = "\n".join([method, urllib.parse.quote(path, safe="/-_.~"), pairs, lines, names, payload])
    text = "\n".join(["AWS4-HMAC-SHA256", date, "/".join(scope), hashlib.sha256(canonical.encode()).hexdigest()])
    key = ("AWS4" + secret).encode()
    for part in scope:
        key = hmac.new(key, part.encode(), hashlib.sha256).digest()
    return hmac.new(key, text.encode(), hashlib.sha256).hexdigest()


EMPTY = hashlib.sha256(b"").hexdigest()


class Signed:
    """The `Authorization` header of a request, in parts; `key_id` is empty where it is none."""

    def __init__(self, request):
        self.request = request
        self.key_id, self.scope, self.names, self.given = "", [], [], ""
        kind, _, rest = request.headers.get("authorization", "").partition(" ")
        if kind != "AWS4-HMAC-SHA256":
            return
        parts = dict(part.strip().split("=", 1) for part in rest.split(",") if "=" in part)
        self.key_id, *self.scope = parts.get("Credential", "").split("/")
        self.names, self.given = parts.get("SignedHeaders", "").split(";"), parts.get("Signature", "")
        self.date = request.headers.get("x-amz-date", "")

    def fits(self, secret: str) -> bool:
        request = self.request
        payload = hashlib.sha256(request.body).hexdigest()
        query = urllib.parse.parse_qsl(request.query, keep_blank_values=True)
        headers = [(name, request.headers.get(name, "")) for name in self.names]
        computed = signature(secret, self.scope, self.date, request.method, request.path, query, headers, payload)
        return hmac.compare_digest(computed, self.given)
