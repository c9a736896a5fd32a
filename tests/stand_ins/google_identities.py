"""Google: service accounts, the endpoints that give tokens, a machine's metadata, and whose a token is."""

import datetime
import json
import re
import secrets
import time
from typing import Optional

from serving import TROUBLES, Reply, Request, Servers
from tokens import Cutoffs, Issuer, Token, Workloads

TOKEN_URI = "https://oauth2.googleapis.com/token"
_IMPERSONATE = re.compile(r"/v1/projects/-/serviceAccounts/([^/:]+):generateAccessToken")


class Google(Cutoffs):
    def __init__(self, workloads: Workloads, servers: Servers):
        super().__init__()
        self._workloads, self._servers = workloads, servers
        self._accounts: dict[str, dict] = {}
        self._pools: dict[str, list[str]] = {}
        self._tokens: dict[str, dict] = {}

    # ---- what a test says ------------------------------------------------------------------

    def do_account(self, project: str, name: str, impersonators: list[str] = (), lifetime: int = 3599, token_uri: str = TOKEN_URI, trouble: str = "") -> dict:
        """A service account and its key, as the JSON that Google gives; `impersonators` are e-mail addresses and principals."""
        email, issuer, number = f"{name}@{project}.iam.gserviceaccount.com", Issuer(), secrets.token_hex(20)
        self._accounts[email] = {"key": issuer.key.public_key(), "impersonators": list(impersonators), "lifetime": lifetime, "trouble": trouble}
        key = {"type": "service_account", "project_id": project, "private_key_id": number, "private_key": issuer.private_pem(), "client_email": email,
               "client_id": str(secrets.randbelow(10**21)), "auth_uri": "https://accounts.google.com/o/oauth2/auth", "token_uri": token_uri,
               "auth_provider_x509_cert_url": "https://www.googleapis.com/oauth2/v1/certs", "universe_domain": "googleapis.com"}
        return {"email": email, "key": json.dumps(key)}

    def do_delete_account(self, email: str) -> dict:
        del self._accounts[email]
        return {}

    def do_pool(self, project: str, subjects: list[str]) -> dict:
        """A workload identity pool that takes these subjects: the audience of an `external_account`, and who each subject is."""
        audience = f"//iam.googleapis.com/projects/{project}/locations/global/workloadIdentityPools/ci/providers/stand-in"
        self._pools[audience] = list(subjects)
        return {"audience": audience, "principals": {subject: _principal(audience, subject) for subject in subjects}}

    def do_machine(self, email: str = "", project: str = "stand-in") -> dict:
        """A machine's metadata server (GCE_METADATA_HOST); without an account it has none."""

        def answer(request: Request) -> Reply:
            flavor = {"Metadata-Flavor": "Google", "Server": "Metadata Server for VM"}
            if request.path != "/" and request.headers.get("metadata-flavor") != "Google":
                return Reply(403, "Missing Metadata-Flavor:Google header.", "text/html", flavor)
            request.who, base = email, "/computeMetadata/v1/instance/service-accounts"
            texts = {"/": "computeMetadata/", "/computeMetadata/v1/project/project-id": project}
            if email:
                texts |= {f"{base}/{who}/email": email for who in ("default", email)}
                texts |= {f"{base}/{who}/scopes": "https://www.googleapis.com/auth/cloud-platform\n" for who in ("default", email)}
                if request.path in (f"{base}/default/token", f"{base}/{email}/token"):
                    return Reply(200, self._give(email, self._accounts[email]["lifetime"]), headers=flavor)
                if request.path.rstrip("/") in (f"{base}/default", f"{base}/{email}"):
                    return Reply(200, {"aliases": ["default"], "email": email, "scopes": ["https://www.googleapis.com/auth/cloud-platform"]}, headers=flavor)
            if request.path in texts:
                return Reply(200, texts[request.path], "application/text", flavor)
            return Reply(404, "not found", "text/html", flavor)

        return {"host": f"127.0.0.1:{self._servers.listen('metadata', answer)}"}

    # ---- the endpoints ---------------------------------------------------------------------

    def _give(self, principal: str, lifetime: int) -> dict:
        token = "ya29.stand-in." + secrets.token_urlsafe(96)
        self._tokens[token] = {"principal": principal, "issued": time.time(), "ends": time.time() + lifetime}
        return {"access_token": token, "expires_in": lifetime, "token_type": "Bearer"}

    def token(self, request: Request) -> Reply:
        """oauth2.googleapis.com: a service account's assertion, signed with its key (RFC 7523)."""
        form, now = request.form(), time.time()
        if form.get("grant_type") != "urn:ietf:params:oauth:grant-type:jwt-bearer":
            return _grant("unsupported_grant_type", f"Invalid grant_type: {form.get('grant_type')}")
        token = Token.read(form.get("assertion", ""))
        email = request.who = str(token.claims.get("iss")) if token else ""
        account = self._accounts.get(email)
        if token is None or account is None:
            return _grant("invalid_grant", "Invalid grant: account not found")
        if account["trouble"]:
            return TROUBLES[account["trouble"]]()
        if not token.is_signed_by(account["key"]):
            return _grant("invalid_grant", "Invalid JWT Signature.")
        issued, ends = token.claims.get("iat", 0), token.claims.get("exp", 0)
        if not now - 3600 - 300 < issued <= now + 300 or not now - 300 < ends <= issued + 3600:
            return _grant("invalid_grant", "Invalid JWT: Token must be a short-lived token (60 minutes) and in a reasonable timeframe. Check your iat and exp "
                          "values in the JWT claim.")
        if token.claims.get("aud") not in (TOKEN_URI, f"{request.base}{request.path}"):
            return _grant("invalid_grant", "Invalid JWT audience.")
        if not token.claims.get("scope"):
            return _grant("invalid_scope", "Empty or missing scope not allowed.")
        return Reply(200, self._give(email, account["lifetime"]))

    def exchange(self, request: Request) -> Reply:
        """sts.googleapis.com: a workload's token for one of Google (RFC 8693)."""
        if request.path != "/v1/token":
            return Reply(404, b"")
        form = json.loads(request.body) if request.headers.get("content-type", "").startswith("application/json") else request.form()
        audience = form.get("audience", "")
        claims, subjects = self._workloads.own(form.get("subject_token", "")), self._pools.get(audience)
        if subjects is None:
            return _grant("invalid_target", "The target service indicated by the \"audience\" parameters is invalid. This might either be because the pool or "
                          "provider is disabled or deleted or because it doesn't exist.")
        if claims is None:
            return _grant("invalid_grant", "Unable to verify the ID Token signature.")
        request.who = _principal(audience, claims["sub"])
        if claims["aud"] not in (f"https:{audience}", audience):
            return _grant("invalid_grant", f"The audience in ID Token [{claims['aud']}] does not match the expected audience.")
        if claims["exp"] <= time.time():
            return _grant("invalid_grant", f"ID Token issued at {claims['iat']} is stale to sign-in.")
        if claims["sub"] not in subjects:
            return Reply(403, {"error": "unauthorized_client", "error_description": "The given credential is rejected by the attribute condition."})
        return Reply(200, {**self._give(request.who, 3599), "issued_token_type": "urn:ietf:params:oauth:token-type:access_token"})

    def credentials(self, request: Request) -> Reply:
        """iamcredentials.googleapis.com: a token of another service account."""
        caller, match = self.principal(request.bearer()), _IMPERSONATE.fullmatch(request.path)
        request.who = caller or ""
        if caller is None:
            return error(401, "UNAUTHENTICATED", "Request had invalid authentication credentials. Expected OAuth 2 access token, login cookie or other valid "
                         "authentication credential. See https://developers.google.com/identity/sign-in/web/devconsole-project.")
        account = self._accounts.get(match[1]) if match else None
        if account is None or caller not in account["impersonators"]:
            return error(403, "PERMISSION_DENIED", "Permission 'iam.serviceAccounts.getAccessToken' denied on resource (or it may not exist).",
                         "IAM_PERMISSION_DENIED")
        order = json.loads(request.body or b"{}")
        lifetime = int(str(order.get("lifetime", "3600s")).rstrip("s"))
        given = self._give(match[1], min(lifetime, account["lifetime"]))
        ends = datetime.datetime.fromtimestamp(self._tokens[given["access_token"]]["ends"], datetime.timezone.utc)
        return Reply(200, {"accessToken": given["access_token"], "expireTime": ends.strftime("%Y-%m-%dT%H:%M:%SZ")})

    # ---- whose a token is ------------------------------------------------------------------

    def principal(self, token: str) -> Optional[str]:
        known = self._tokens.get(token)
        return known["principal"] if known and known["ends"] > time.time() else None

    def user(self, token: str) -> Optional[tuple[dict, str]]:
        if not token.startswith("ya29."):
            return None
        principal = self.principal(token)
        if principal is None or self.refuse([principal], self._tokens[token]["issued"]):
            return {}, "Google: the token is unknown, or has ended"
        return {"username": principal, "uid": principal, "groups": ["google-users"]}, ""


def _principal(audience: str, subject: str) -> str:
    return f"principal:{audience.rpartition('/providers/')[0]}/subject/{subject}"


def _grant(error: str, words: str) -> Reply:
    return Reply(400, {"error": error, "error_description": words})


def error(status: int, code: str, message: str, reason: str = "") -> Reply:
    body: dict = {"code": status, "message": message, "status": code}
    if reason:
        body["details"] = [{"@type": "type.googleapis.com/google.rpc.ErrorInfo", "reason": reason, "domain": "googleapis.com"}]
    return Reply(status, {"error": body})
