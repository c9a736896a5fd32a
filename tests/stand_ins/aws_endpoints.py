"""AWS: STS (moto, behind a check of signature and trust), EKS, and what instances and containers ask.

moto itself checks neither signatures nor who may assume what, and knows no cluster but its own.
"""

import re
import secrets
import threading

from aws_identities import Fault, Identities, Identity
from serving import TROUBLES, Reply, Request, Servers

STS_HOST = re.compile(r"sts(-fips)?(\.[a-z]{2}(-[a-z]+)+-\d)?(\.api\.aws|\.amazonaws\.com(\.cn)?)")
EKS_HOST = re.compile(r"(fips\.)?eks\.[a-z]{2}(-[a-z]+)+-\d(\.api\.aws|\.amazonaws\.com(\.cn)?)")


class Sts:
    def __init__(self, identities: Identities):
        self._identities = identities
        self._lock = threading.Lock()
        self._moto = None

    def answer(self, request: Request) -> Reply:
        form = request.form() if request.method == "POST" else {}
        action, duration = form.get("Action") or request.parameter("Action"), int(form.get("DurationSeconds", "3600"))
        try:
            if action == "AssumeRoleWithWebIdentity":
                request.who = form.get("RoleArn", "")
                self._identities.may_assume_with_token(form.get("WebIdentityToken", ""), request.who, duration)
            else:
                caller = self._identities.caller(request)
                if action == "AssumeRole":
                    self._identities.may_assume(caller, form.get("RoleArn", ""), form.get("ExternalId"), duration)
                elif action == "GetCallerIdentity":
                    return self._who(caller)
        except Fault as fault:
            body = f"<ErrorResponse xmlns=\"https://sts.amazonaws.com/doc/2011-06-15/\"><Error><Type>Sender</Type><Code>{fault.code}</Code>" \
                f"<Message>{fault.message}</Message></Error><RequestId>{secrets.token_hex(16)}</RequestId></ErrorResponse>"
            return Reply(fault.status, body, "text/xml")
        return self._pass_on(request)

    def _who(self, caller: Identity) -> Reply:
        body = f"<GetCallerIdentityResponse xmlns=\"https://sts.amazonaws.com/doc/2011-06-15/\"><GetCallerIdentityResult><Arn>{caller.arn}</Arn>" \
            f"<UserId>{caller.key_id}</UserId><Account>{caller.account}</Account></GetCallerIdentityResult></GetCallerIdentityResponse>"
        return Reply(200, body, "text/xml")

    def _pass_on(self, request: Request) -> Reply:
        with self._lock:
            if self._moto is None:
                from moto.server import DomainDispatcherApplication, create_backend_app
                from werkzeug.test import Client

                self._moto = Client(DomainDispatcherApplication(create_backend_app))
            headers = {name: value for name, value in request.headers.items() if name not in ("host", "content-length", "connection")}
            answer = self._moto.open(base_url="https://sts.amazonaws.com", path=request.path, query_string=request.query,
                                     method=request.method, data=request.body, headers=headers)
            return Reply(answer.status_code, answer.get_data(), "text/xml")


class Eks:
    """`eks:DescribeCluster`, and which clusters there are."""

    def __init__(self, identities: Identities):
        self._identities = identities
        self.clusters: dict[tuple[str, str, str], dict] = {}

    def do_cluster(self, account: str, region: str, name: str, endpoint: str = "", certificate_authority: str = "",
                   status: str = "ACTIVE", denied: list[str] = (), trouble: str = "") -> dict:
        """A cluster: its CA in base64; `denied` are ARNs that may not describe it."""
        self.clusters[account, region, name] = {"endpoint": endpoint, "ca": certificate_authority, "status": status,
                                                "denied": list(denied), "trouble": trouble}
        return {"arn": f"arn:aws:eks:{region}:{account}:cluster/{name}"}

    def answer(self, request: Request) -> Reply:
        try:
            return self._describe(request)
        except Fault as fault:
            codes = {"InvalidClientTokenId": "UnrecognizedClientException", "SignatureDoesNotMatch": "InvalidSignatureException",
                     "ExpiredToken": "ExpiredTokenException"}
            return Reply(fault.status, {"message": fault.message}, headers={"x-amzn-ErrorType": codes.get(fault.code, fault.code)})

    def _describe(self, request: Request) -> Reply:
        caller = self._identities.caller(request)
        name = request.path.removeprefix("/clusters/")
        region = request.headers["authorization"].split("Credential=")[1].split("/")[2]
        cluster = self.clusters.get((caller.account, region, name))
        arn = f"arn:aws:eks:{region}:{caller.account}:cluster/{name}"
        if cluster is None:
            raise Fault(404, "ResourceNotFoundException", f"No cluster found for name: {name}.")
        if {caller.arn, caller.role} & set(cluster["denied"]):
            raise Fault(403, "AccessDeniedException", f"User: {caller.arn} is not authorized to perform: eks:DescribeCluster on resource: {arn}")
        if cluster["trouble"]:
            return TROUBLES[cluster["trouble"]]()
        about = {"name": name, "arn": arn, "version": "1.36", "status": cluster["status"]}
        if cluster["status"] != "CREATING":
            about |= {"endpoint": cluster["endpoint"], "certificateAuthority": {"data": cluster["ca"]}}
        return Reply(200, {"cluster": about})


class Machines:
    """What an instance (IMDSv2) and a container ask for their role; each test has ones of its own."""

    def __init__(self, identities: Identities, servers: Servers):
        self._identities, self._servers = identities, servers

    def do_instance(self, role: str = "", region: str = "eu-west-1") -> dict:
        """An instance's metadata; without a role it has none."""
        token = secrets.token_urlsafe(24)
        name = role.rsplit("/", 1)[-1]

        def answer(request: Request) -> Reply:
            if request.path == "/latest/api/token":
                return Reply(200, token, "text/plain", {"x-aws-ec2-metadata-token-ttl-seconds": "21600"}) if request.method == "PUT" else Reply(405, b"")
            if request.headers.get("x-aws-ec2-metadata-token") != token:
                return Reply(401, b"", "text/plain")
            match request.path.rstrip("/"):
                case "/latest/meta-data/iam/security-credentials" if role:
                    return Reply(200, name, "text/plain")
                case path if role and path == f"/latest/meta-data/iam/security-credentials/{name}":
                    return Reply(200, {"Code": "Success", "Type": "AWS-HMAC", **self._credentials(role, "i-0123456789abcdef0")})
                case "/latest/meta-data/placement/region":
                    return Reply(200, region, "text/plain")
                case "/latest/meta-data/placement/availability-zone":
                    return Reply(200, region + "a", "text/plain")
                case "/latest/dynamic/instance-identity/document":
                    return Reply(200, {"region": region, "instanceId": "i-0123456789abcdef0"})
            return Reply(404, b"", "text/plain")

        return {"endpoint": f"http://127.0.0.1:{self._servers.listen('imds', answer)}/"}

    def do_container(self, role: str) -> dict:
        """What AWS_CONTAINER_CREDENTIALS_FULL_URI and AWS_CONTAINER_AUTHORIZATION_TOKEN are set to."""
        token = secrets.token_urlsafe(24)

        def answer(request: Request) -> Reply:
            if request.headers.get("authorization") != token:
                return Reply(401, {"code": "AccessDenied", "message": "wrong authorization token"})
            return Reply(200, {"RoleArn": role, **self._credentials(role, "container")})

        port = self._servers.listen("container-credentials", answer)
        return {"uri": f"http://127.0.0.1:{port}/credentials", "authorization": token}

    def _credentials(self, role: str, session: str) -> dict:
        made = self._identities.do_session(role, session)
        return {"AccessKeyId": made["accessKeyId"], "SecretAccessKey": made["secretAccessKey"], "Token": made["sessionToken"],
                "Expiration": made["expiration"], "LastUpdated": made["expiration"]}
