"""Azure: Entra, which gives tokens to applications and managed identities, and says whose they are.

Applications log in by secret, by an assertion signed with their certificate, or by a workload's token.
"""

import base64
import dataclasses
import datetime
import hashlib
import secrets
import time
import uuid
from typing import Optional

from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import rsa
from cryptography.hazmat.primitives.serialization import pkcs12

from serving import TROUBLES, Reply, Request, Servers
from tokens import Cutoffs, Issuer, Token, Workloads, unpack

HOSTS = {"login.microsoftonline.com", "login.partner.microsoftonline.cn", "login.chinacloudapi.cn", "login.microsoftonline.us"}
AKS_SERVER = "6dae42f8-4368-4678-94ff-3960e28e3630"  # the one application of all AKS clusters with Entra
MANAGEMENT = {"https://management.azure.com", "https://management.core.windows.net", "https://management.chinacloudapi.cn",
              "https://management.core.chinacloudapi.cn", "https://management.usgovcloudapi.net", "https://management.core.usgovcloudapi.net"}


@dataclasses.dataclass
class App:
    tenant: str
    client: str
    object: str
    secret: str
    certificate: Optional[x509.Certificate]
    subjects: list[str]  # of workloads' tokens
    lifetime: int  # seconds, of the tokens it gets
    secret_ended: bool
    trouble: str


class Refused(Exception):
    def __init__(self, status: int, error: str, number: int, words: str):
        super().__init__(words)
        self.status, self.error, self.number, self.words = status, error, number, words

    def reply(self) -> Reply:
        stamp, trace = datetime.datetime.now(datetime.timezone.utc).strftime("%Y-%m-%d %H:%M:%SZ"), str(uuid.uuid4())
        text = f"AADSTS{self.number}: {self.words} Trace ID: {trace} Correlation ID: {trace} Timestamp: {stamp}"
        return Reply(self.status, {"error": self.error, "error_description": text, "error_codes": [self.number], "timestamp": stamp,
                                   "trace_id": trace, "correlation_id": trace,
                                   "error_uri": f"https://login.microsoftonline.com/error?code={self.number}"})


class Entra(Cutoffs):
    def __init__(self, workloads: Workloads, servers: Servers):
        super().__init__()
        self._workloads, self._servers = workloads, servers
        self._issuer = Issuer()
        self._apps: dict[str, App] = {}
        self._audiences = {AKS_SERVER}

    # ---- what a test says ------------------------------------------------------------------

    def do_app(self, tenant: str, certificate: bool = False, subjects: list[str] = (), lifetime: int = 3599,
               secret_ended: bool = False, trouble: str = "") -> dict:
        """An application with a secret and, if wished, a certificate: as PEM with its key, and as PFX in base64."""
        app = App(tenant, str(uuid.uuid4()), str(uuid.uuid4()), secrets.token_urlsafe(30), None, list(subjects), lifetime, secret_ended, trouble)
        answer = {"clientId": app.client, "objectId": app.object, "clientSecret": app.secret}
        if certificate:
            answer |= self._give_certificate(app)
        self._apps[app.client] = app
        return answer

    def _give_certificate(self, app: App) -> dict:
        key = rsa.generate_private_key(65537, 2048)
        name = x509.Name([x509.NameAttribute(x509.NameOID.COMMON_NAME, app.client)])
        now = datetime.datetime.now(datetime.timezone.utc)
        builder = x509.CertificateBuilder().subject_name(name).issuer_name(name).public_key(key.public_key())
        builder = builder.serial_number(x509.random_serial_number()).not_valid_before(now - datetime.timedelta(days=1))
        app.certificate = builder.not_valid_after(now + datetime.timedelta(days=9)).sign(key, hashes.SHA256())
        pem, password = serialization.Encoding.PEM, "pfx-" + secrets.token_urlsafe(9)
        private = key.private_bytes(pem, serialization.PrivateFormat.PKCS8, serialization.NoEncryption())
        lock = serialization.BestAvailableEncryption(password.encode())
        pfx = pkcs12.serialize_key_and_certificates(b"stand-in", key, app.certificate, None, lock)
        return {"pem": (private + app.certificate.public_bytes(pem)).decode(), "pfx": base64.b64encode(pfx).decode(), "pfxPassword": password}

    def do_audience(self, id: str) -> dict:
        """One more server application that tokens may be asked for, and that the control plane takes."""
        self._audiences.add(id)
        return {}

    def do_identity(self, client: str) -> dict:
        """A machine with this application as its managed identity: IDENTITY_ENDPOINT and IDENTITY_HEADER."""
        header = secrets.token_urlsafe(18)

        def answer(request: Request) -> Reply:
            request.who = client
            if request.headers.get("x-identity-header") != header:
                return Reply(401, {"statusCode": 401, "message": "wrong X-IDENTITY-HEADER"})
            if request.parameter("client_id", client) != client:
                return Reply(400, {"error": "invalid_request", "error_description": "Identity not found"})
            resource = request.parameter("resource").rstrip("/")
            try:
                token, app = self._token(self._apps[client], resource), self._apps[client]
            except Refused as refused:
                return refused.reply()
            return Reply(200, {"access_token": token, "expires_on": str(int(time.time()) + app.lifetime), "resource": resource,
                               "token_type": "Bearer", "client_id": client})

        return {"endpoint": f"http://127.0.0.1:{self._servers.listen('managed-identity', answer)}/msi/token", "header": header}

    # ---- the endpoints ---------------------------------------------------------------------

    def answer(self, request: Request) -> Reply:
        if request.path == "/common/discovery/instance":
            host = "login.microsoftonline.com"
            metadata = [{"preferred_network": host, "preferred_cache": "login.windows.net", "aliases": sorted(HOSTS)}]
            return Reply(200, {"tenant_discovery_endpoint": f"https://{host}/common/v2.0/.well-known/openid-configuration",
                               "api-version": "1.1", "metadata": metadata})
        tenant, _, rest = request.path.strip("/").partition("/")
        try:
            if not any(app.tenant == tenant for app in list(self._apps.values())):
                raise Refused(400, "invalid_tenant", 90002, f"Tenant '{tenant}' not found. Check to make sure you have the correct tenant ID "
                              "and are signing into the correct cloud. Check with your subscription administrator, this may happen if there are "
                              "no active subscriptions for the tenant.")
            match rest:
                case "v2.0/.well-known/openid-configuration" | ".well-known/openid-configuration":
                    base = f"{request.base}/{tenant}"
                    return Reply(200, {"issuer": f"{base}/v2.0", "token_endpoint": f"{base}/oauth2/v2.0/token",
                                       "authorization_endpoint": f"{base}/oauth2/v2.0/authorize", "device_authorization_endpoint": f"{base}/oauth2/v2.0/devicecode"})
                case "oauth2/v2.0/token" | "oauth2/token":
                    return self._login(request, tenant, rest == "oauth2/token")
        except Refused as refused:
            return refused.reply()
        return Reply(404, b"")

    def _login(self, request: Request, tenant: str, old: bool) -> Reply:
        form = request.form()
        client = request.who = form.get("client_id", "")
        app = self._apps.get(client)
        if app is None or app.tenant != tenant:
            raise Refused(400, "unauthorized_client", 700016, f"Application with identifier '{client}' was not found in the directory '{tenant}'. "
                          "This can happen if the application has not been installed by the administrator of the tenant.")
        if app.trouble:
            return TROUBLES[app.trouble]()
        if form.get("grant_type") != "client_credentials":
            raise Refused(400, "unsupported_grant_type", 70003, "The app requested an unsupported grant type.")
        if "client_assertion" in form:
            self._check_assertion(app, form["client_assertion"], request)
        elif app.secret_ended:
            raise Refused(401, "invalid_client", 7000222, f"The provided client secret keys for app '{client}' are expired.")
        elif not secrets.compare_digest(form.get("client_secret", ""), app.secret):
            raise Refused(401, "invalid_client", 7000215, "Invalid client secret provided. Ensure the secret being sent in the request is the client "
                          f"secret value, not the client secret ID, for a secret added to app '{client}'.")
        scope = next((one for one in form.get("scope", "").split() if one.endswith("/.default")), "")
        resource = form.get("resource", "") if old else scope.removesuffix("/.default")
        answer = {"token_type": "Bearer", "access_token": self._token(app, resource.rstrip("/"))}
        if old:
            ends = int(time.time()) + app.lifetime
            return Reply(200, {**answer, "expires_in": str(app.lifetime), "expires_on": str(ends), "not_before": str(ends - 3600), "resource": resource})
        return Reply(200, {**answer, "expires_in": app.lifetime, "ext_expires_in": app.lifetime})

    def _check_assertion(self, app: App, text: str, request: Request) -> None:
        token, now = Token.read(text), time.time()
        if token is None:
            raise Refused(401, "invalid_client", 50027, "JWT token is invalid or malformed.")
        if token.header.get("x5t") or token.header.get("x5t#S256"):
            key = _key(app, token)
            mine = token.claims.get("iss") == token.claims.get("sub") == app.client
            if key is None or not token.is_signed_by(key) or not mine or not str(token.claims.get("aud")).startswith(request.base):
                raise Refused(401, "invalid_client", 700027, f"The certificate with identifier used to sign the client assertion is not registered on "
                              f"application, or the assertion's signature is wrong. The client's application ID is '{app.client}'.")
        else:
            claims = self._workloads.own(text)
            if claims is None:
                raise Refused(401, "invalid_client", 700027, "Client assertion failed signature validation.")
            if claims["sub"] not in app.subjects or claims["aud"] != "api://AzureADTokenExchange":
                raise Refused(401, "invalid_client", 700213, "No matching federated identity record found for presented assertion subject "
                              f"'{claims['sub']}'. Check your federated identity credential Subject, Audience and Issuer against the presented assertion.")
        if token.claims.get("exp", 0) <= now:
            raise Refused(401, "invalid_client", 700024, "Client assertion is not within its valid time range.")

    def _token(self, app: App, resource: str) -> str:
        audience = resource.removeprefix("api://") if resource.removeprefix("api://") in self._audiences else resource
        if audience not in self._audiences | MANAGEMENT:
            raise Refused(400, "invalid_resource", 500011, f"The resource principal named {resource} was not found in the tenant named {app.tenant}.")
        claims = {"aud": audience, "iss": f"https://sts.windows.net/{app.tenant}/", "tid": app.tenant, "appid": app.client,
                  "oid": app.object, "sub": app.object, "jti": secrets.token_hex(8)}
        return self._issuer.sign(claims, app.lifetime)

    # ---- whose a token is ------------------------------------------------------------------

    def user(self, token: str) -> Optional[tuple[dict, str]]:
        """Who the control plane takes it for: a service principal's name there is its object's id."""
        claims = self._issuer.own(token)
        if claims is None:
            return None
        if claims["aud"] not in self._audiences:
            return {}, f"Entra: the token is for {claims['aud']}"
        if claims["exp"] <= time.time() or self.refuse([claims["appid"], claims["oid"]], claims["iat"]):
            return {}, "Entra: the token has ended"
        return {"username": claims["oid"], "uid": claims["oid"], "groups": ["entra-users"]}, ""

    def manager(self, token: str) -> Optional[str]:
        """The client's id, where the token is one for the management API."""
        claims = self._issuer.own(token)
        good = claims is not None and claims["aud"] in MANAGEMENT and claims["exp"] > time.time()
        return claims["appid"] if good else None


def _key(app: App, token: Token) -> Optional[rsa.RSAPublicKey]:
    """The certificate's key, if it is the one that the token's header names by its fingerprint."""
    if app.certificate is None:
        return None
    der = app.certificate.public_bytes(serialization.Encoding.DER)
    named = {name: unpack(str(token.header[name])) for name in ("x5t", "x5t#S256") if name in token.header}
    fits = named.get("x5t", hashlib.sha1(der).digest()) == hashlib.sha1(der).digest()
    fits = fits and named.get("x5t#S256", hashlib.sha256(der).digest()) == hashlib.sha256(der).digest()
    return app.certificate.public_key() if fits else None
