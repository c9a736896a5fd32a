"""AWS: whether an EKS cluster takes a token, as the server of aws-iam-authenticator decides it.

The token is a presigned GetCallerIdentity. EKS sends it to STS with the cluster's name as a header; here the signature
is computed anew, with the secret of the key that it names.
"""

import datetime
import hmac
import urllib.parse
from typing import Optional

import aws_endpoints
from aws_identities import Identities
from sigv4 import EMPTY, now, parse_time, signature
from tokens import unpack

_PREFIX = "k8s-aws-v1."
_PARAMETERS = {"action", "version", "x-amz-algorithm", "x-amz-credential", "x-amz-date", "x-amz-expires", "x-amz-security-token",
               "x-amz-signature", "x-amz-signedheaders", "x-amz-content-sha256", "x-amz-user-agent"}
_LIFETIME = datetime.timedelta(minutes=15)


class EksTokens:
    def __init__(self, identities: Identities, eks: "aws_endpoints.Eks"):
        self._identities, self._eks = identities, eks

    def user(self, token: str) -> Optional[tuple[dict, str]]:
        """Who it is, and why it is nobody: the one or the other; `None` for what is no token of EKS."""
        if not token.startswith(_PREFIX):
            return None
        try:
            arn = self._check(token)
        except _Refused as refused:
            return {}, f"EKS: {refused}"
        return {"username": arn, "uid": arn, "groups": ["aws-users"]}, ""

    def _check(self, token: str) -> str:
        if len(token) > 4096:
            raise _Refused("the token is too long")
        url = urllib.parse.urlsplit(_text(token))
        if url.scheme != "https" or not aws_endpoints.STS_HOST.fullmatch(url.netloc) or url.path not in ("", "/"):
            raise _Refused(f"not a URL of STS: {url.scheme}://{url.netloc}{url.path}")
        pairs = urllib.parse.parse_qsl(url.query, keep_blank_values=True)
        given = {name.lower(): value for name, value in pairs}
        if len(given) != len(pairs) or not set(given) <= _PARAMETERS:
            raise _Refused("unknown or double parameters")
        if given.get("action") != "GetCallerIdentity":
            raise _Refused("not a GetCallerIdentity")
        names = given.get("x-amz-signedheaders", "").split(";")
        if "x-k8s-aws-id" not in names or not set(names) <= {"host", "x-k8s-aws-id"}:
            raise _Refused("the cluster's name is not signed")
        if not given.get("x-amz-expires", "").isdigit() or int(given["x-amz-expires"]) > 900:
            raise _Refused("X-Amz-Expires is not 0 to 900")
        key_id, *scope = given.get("x-amz-credential", "").split("/")
        identity = self._identities.find(key_id)
        if identity is None or given.get("x-amz-security-token", "") != identity.session_token:
            raise _Refused("the key is unknown")
        issued = parse_time(given.get("x-amz-date", ""))
        if issued is None or issued > now() + datetime.timedelta(minutes=5):
            raise _Refused("the date is none, or to come")
        if now() - issued > _LIFETIME or identity.has_ended():
            raise _Refused("the token has ended")
        if self._identities.refuse([key_id, identity.arn, identity.role], issued.timestamp()):
            raise _Refused("the test lets tokens of this date die")
        unsigned = [pair for pair in pairs if pair[0].lower() != "x-amz-signature"]

        def fits(cluster: str) -> bool:
            headers = [("host", url.netloc), ("x-k8s-aws-id", cluster)]
            computed = signature(identity.secret, scope, given["x-amz-date"], "GET", "/", unsigned, headers, EMPTY)
            return hmac.compare_digest(computed, given.get("x-amz-signature", ""))

        # The real server knows one name, its own; this control plane plays all clusters that the tests have made.
        if not any(fits(name) for _, _, name in list(self._eks.clusters)):
            raise _Refused("the signature is wrong, or the cluster is another")
        if not identity.mapped:
            raise _Refused(f"{identity.arn} is not mapped to a user of the cluster")
        return identity.arn


class _Refused(Exception):
    pass


def _text(token: str) -> str:
    try:
        return unpack(token.removeprefix(_PREFIX)).decode()
    except ValueError:
        raise _Refused("not base64") from None
