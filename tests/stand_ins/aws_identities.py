"""AWS: who there is. Users and sessions live in moto's IAM and STS; what moto does not judge, trust, stands here."""

import dataclasses
import datetime
import threading
from typing import Optional

from sigv4 import Signed, now, parse_time
from tokens import Cutoffs, Workloads

SKEW = datetime.timedelta(minutes=15)


@dataclasses.dataclass
class Identity:
    """What a key of AWS stands for."""

    key_id: str
    secret: str
    arn: str
    account: str
    session_token: str = ""
    role: str = ""  # the role's ARN, of a session
    ends: Optional[datetime.datetime] = None
    mapped: bool = True  # whether the cluster knows it (access entries, aws-auth)

    def has_ended(self) -> bool:
        return self.ends is not None and self.ends <= now()


@dataclasses.dataclass
class Role:
    arn: str
    account: str
    trusts: list[str]
    external_id: Optional[str]
    subjects: list[str]  # of web identity tokens
    audience: str
    maximum: int  # seconds
    mapped: bool


class Fault(Exception):
    """What AWS refuses a request with."""

    def __init__(self, status: int, code: str, message: str):
        super().__init__(message)
        self.status, self.code, self.message = status, code, message


class Identities(Cutoffs):
    def __init__(self, workloads: Workloads):
        super().__init__()
        self._lock = threading.RLock()
        self._users: dict[str, Identity] = {}
        self._roles: dict[str, Role] = {}
        self.workloads = workloads

    # ---- what a test says ------------------------------------------------------------------

    def do_user(self, account: str, name: str, mapped: bool = True) -> dict:
        """A user with a new access key."""
        from moto.iam.models import iam_backends  # takes a second: only tests of AWS pay for it

        with self._lock:
            backend = iam_backends[account]["aws"]
            if name not in backend.users:
                backend.create_user(region_name="us-east-1", user_name=name)
            key = backend.create_access_key(name)
            arn = f"arn:aws:iam::{account}:user/{name}"
            self._users[key.access_key_id] = Identity(key.access_key_id, key.secret_access_key, arn, account, mapped=mapped)
        return {"accessKeyId": key.access_key_id, "secretAccessKey": key.secret_access_key, "arn": arn}

    def do_delete_key(self, access_key_id: str) -> dict:
        del self._users[access_key_id]
        return {}

    def do_role(self, account: str, name: str, trusts: list[str] = (), external_id: Optional[str] = None,
                subjects: list[str] = (), audience: str = "sts.amazonaws.com", maximum: int = 3600, mapped: bool = True) -> dict:
        """A role; `trusts` are ARNs of users and roles, `subjects` those of web identity tokens."""
        arn = f"arn:aws:iam::{account}:role/{name}"
        self._roles[arn] = Role(arn, account, list(trusts), external_id, list(subjects), audience, maximum, mapped)
        return {"arn": arn}

    def do_session(self, role: str, name: str = "stand-in", duration: int = 3600) -> dict:
        """A session that nobody asked for: what an instance gets, or one that has ended (`duration` below 0)."""
        from moto.sts.models import sts_backends

        session = sts_backends[self._roles[role].account]["aws"].assume_role("us-east-1", name, role, None, duration, None)
        ends = session.expiration.strftime("%Y-%m-%dT%H:%M:%SZ")
        return {"accessKeyId": session.access_key_id, "secretAccessKey": session.secret_access_key,
                "sessionToken": session.session_token, "arn": session.arn, "expiration": ends}

    # ---- what the endpoints ask ------------------------------------------------------------

    def find(self, key_id: str) -> Optional[Identity]:
        with self._lock:
            return self._users.get(key_id) or self._session(key_id)

    def _session(self, key_id: str) -> Optional[Identity]:
        if not key_id.startswith("ASIA"):
            return None
        from moto.sts.models import sts_backends

        for account in {role.account for role in self._roles.values()}:
            session = sts_backends[account]["aws"].get_assumed_role_from_access_key(key_id)
            if session:
                ends = session.expiration.replace(tzinfo=datetime.timezone.utc)
                role = self._roles.get(session.role_arn)
                return Identity(key_id, session.secret_access_key, session.arn, account, session.session_token,
                                session.role_arn, ends, role is None or role.mapped)
        return None

    def caller(self, request) -> Identity:
        """Who signed this request; a `Fault` where nobody rightly did."""
        signed = Signed(request)
        request.who = signed.key_id
        if not signed.key_id:
            raise Fault(403, "MissingAuthenticationToken", "Request is missing Authentication Token")
        identity = self.find(signed.key_id)
        if identity is None or request.headers.get("x-amz-security-token", "") != identity.session_token:
            raise Fault(403, "InvalidClientTokenId", "The security token included in the request is invalid.")
        self._check_time(signed.date)
        if not signed.fits(identity.secret):
            raise Fault(403, "SignatureDoesNotMatch", "The request signature we calculated does not match the signature you "
                        "provided. Check your AWS Secret Access Key and signing method. Consult the service documentation for details.")
        if identity.has_ended():
            raise Fault(403, "ExpiredToken", "The security token included in the request is expired")
        return identity

    def _check_time(self, date: str) -> None:
        signed, here = parse_time(date), now()
        if signed is None:
            raise Fault(403, "IncompleteSignature", "Date must be in ISO-8601 'basic format'.")
        text, edge = here.strftime("%Y%m%dT%H%M%SZ"), "%Y%m%dT%H%M%SZ"
        if signed < here - SKEW:
            raise Fault(403, "SignatureDoesNotMatch", f"Signature expired: {date} is now earlier than "
                        f"{(here - SKEW).strftime(edge)} ({text} - 15 min.)")
        if signed > here + SKEW:
            raise Fault(403, "SignatureDoesNotMatch", f"Signature not yet current: {date} is still later than "
                        f"{(here + SKEW).strftime(edge)} ({text} + 15 min.)")

    def may_assume(self, caller: Identity, arn: str, external_id: Optional[str], duration: int) -> None:
        role = self._roles.get(arn)
        trusted = role is not None and (caller.arn in role.trusts or (caller.role and caller.role in role.trusts))
        if not trusted or role.external_id not in (None, external_id):
            raise Fault(403, "AccessDenied", f"User: {caller.arn} is not authorized to perform: sts:AssumeRole on resource: {arn}")
        self._check_duration(role, duration)

    def may_assume_with_token(self, token: str, arn: str, duration: int) -> None:
        claims, role = self.workloads.own(token), self._roles.get(arn)
        if claims is None:
            raise Fault(400, "InvalidIdentityToken", "No OpenIDConnect provider found in your account for https://workloads.stand-in")
        here = int(now().timestamp())
        if claims["exp"] <= here:
            raise Fault(400, "ExpiredTokenException", f"Token expired: current date/time {here} must be before the expiration date/time {claims['exp']}")
        if role is None or claims["sub"] not in role.subjects:
            raise Fault(403, "AccessDenied", "Not authorized to perform sts:AssumeRoleWithWebIdentity")
        if claims["aud"] != role.audience:
            raise Fault(400, "InvalidIdentityToken", "Incorrect token audience")
        self._check_duration(role, duration)

    def _check_duration(self, role: Role, duration: int) -> None:
        if duration < 900:
            raise Fault(400, "ValidationError", f"1 validation error detected: Value '{duration}' at 'durationSeconds' failed to satisfy "
                        "constraint: Member must have value greater than or equal to 900")
        if duration > role.maximum:
            raise Fault(400, "ValidationError", "The requested DurationSeconds exceeds the MaxSessionDuration set for this role.")
