"""JSON Web Tokens (RFC 7515, 7519), as far as the clouds use them: signed with RSA."""

import base64
import dataclasses
import json
import time
from typing import Any, Optional

from cryptography.exceptions import InvalidSignature
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import padding, rsa


def pack(data: bytes) -> str:
    return base64.urlsafe_b64encode(data).rstrip(b"=").decode()


def unpack(text: str) -> bytes:
    return base64.urlsafe_b64decode(text + "=" * (-len(text) % 4))


@dataclasses.dataclass
class Token:
    header: dict[str, Any]
    claims: dict[str, Any]
    signed: bytes
    signature: bytes

    @staticmethod
    def read(text: str) -> Optional["Token"]:
        """What stands in it, unjudged; `None` where it is none."""
        try:
            header, claims, signature = text.split(".")
            return Token(json.loads(unpack(header)), json.loads(unpack(claims)), f"{header}.{claims}".encode(), unpack(signature))
        except ValueError:
            return None

    def is_signed_by(self, key: rsa.RSAPublicKey) -> bool:
        schemes = {
            "RS256": padding.PKCS1v15(),
            "PS256": padding.PSS(padding.MGF1(hashes.SHA256()), padding.PSS.DIGEST_LENGTH),
        }
        scheme = schemes.get(self.header.get("alg", ""))
        if scheme is None:
            return False
        try:
            key.verify(self.signature, self.signed, scheme, hashes.SHA256())
        except InvalidSignature:
            return False
        return True


class Issuer:
    """Signs tokens with a key of its own, and knows its own."""

    def __init__(self):
        self.key = rsa.generate_private_key(65537, 2048)

    def sign(self, claims: dict[str, Any], lifetime: int) -> str:
        now = int(time.time())
        claims = {"iat": now, "nbf": now, "exp": now + lifetime, **claims}
        parts = [pack(json.dumps(one).encode()) for one in ({"typ": "JWT", "alg": "RS256"}, claims)]
        signature = self.key.sign(".".join(parts).encode(), padding.PKCS1v15(), hashes.SHA256())
        return ".".join([*parts, pack(signature)])

    def own(self, text: str) -> Optional[dict[str, Any]]:
        """The claims of a token of this issuer, be it ended or not."""
        token = Token.read(text)
        return token.claims if token and token.is_signed_by(self.key.public_key()) else None

    def private_pem(self) -> str:
        return self.key.private_bytes(
            serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8, serialization.NoEncryption()
        ).decode()


class Workloads(Issuer):
    """A stand-in for what vouches for workloads (a CI system, a cluster): its tokens are exchanged at the clouds."""

    def do_token(self, subject: str, audience: str, lifetime: int = 600) -> dict:
        return {"token": self.sign({"iss": "https://workloads.stand-in", "sub": subject, "aud": audience}, lifetime)}


class Cutoffs:
    """Tokens that a test lets die: those of a subject that were issued before a time."""

    def __init__(self):
        self._before: dict[str, float] = {}

    def do_refuse_before(self, subject: str, time: float) -> dict:
        self._before[subject] = time
        return {}

    def refuse(self, subjects: list[str], issued: float) -> bool:
        return any(issued < self._before.get(subject, 0) for subject in subjects)
