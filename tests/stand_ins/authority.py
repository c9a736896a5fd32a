"""A certificate authority of the stand-ins' own, and a server certificate for whatever host is asked for."""

import datetime
import ipaddress
import pathlib
import ssl
import threading

from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.x509.oid import ExtendedKeyUsageOID, NameOID

_PEM = serialization.Encoding.PEM


def _name(text: str) -> x509.Name:
    return x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, text[:64])])


def _alternative(host: str) -> x509.GeneralName:
    try:
        return x509.IPAddress(ipaddress.ip_address(host))
    except ValueError:
        return x509.DNSName(host)


class Authority:
    """Its certificate is in `path`: what clients are told to trust (SSL_CERT_FILE, AWS_CA_BUNDLE)."""

    def __init__(self, folder: pathlib.Path):
        self._folder = folder
        self._lock = threading.Lock()
        self._contexts: dict[str, ssl.SSLContext] = {}
        self._key = ec.generate_private_key(ec.SECP256R1())
        name = _name("kubestep cloud stand-ins")
        builder = self._builder(name, name, self._key).add_extension(x509.BasicConstraints(True, None), True)
        usage = x509.KeyUsage(True, False, False, False, False, True, True, False, False)
        self._certificate = builder.add_extension(usage, True).sign(self._key, hashes.SHA256())
        self.pem = self._certificate.public_bytes(_PEM).decode()
        self.path = folder / "ca.pem"
        self.path.write_text(self.pem)

    def _builder(self, subject: x509.Name, issuer: x509.Name, key: ec.EllipticCurvePrivateKey):
        now = datetime.datetime.now(datetime.timezone.utc)
        builder = x509.CertificateBuilder().subject_name(subject).issuer_name(issuer).public_key(key.public_key())
        builder = builder.serial_number(x509.random_serial_number()).not_valid_before(now - datetime.timedelta(days=2))
        return builder.not_valid_after(now + datetime.timedelta(days=30))

    def context(self, host: str) -> ssl.SSLContext:
        """A server's side of TLS as `host`; connections to loopback by address are of 127.0.0.1 and localhost."""
        with self._lock:
            if host not in self._contexts:
                self._contexts[host] = self._make(host)
            return self._contexts[host]

    def _make(self, host: str) -> ssl.SSLContext:
        hosts = ["127.0.0.1", "localhost"] if host in ("127.0.0.1", "localhost") else [host]
        key = ec.generate_private_key(ec.SECP256R1())
        builder = self._builder(_name(host), self._certificate.subject, key)
        builder = builder.add_extension(x509.SubjectAlternativeName([_alternative(one) for one in hosts]), False)
        builder = builder.add_extension(x509.ExtendedKeyUsage([ExtendedKeyUsageOID.SERVER_AUTH]), False)
        certificate = builder.sign(self._key, hashes.SHA256())
        private = key.private_bytes(_PEM, serialization.PrivateFormat.PKCS8, serialization.NoEncryption())
        # ssl reads from files only.
        path = self._folder / "server.pem"
        path.touch(0o600)
        path.write_bytes(private + certificate.public_bytes(_PEM))
        context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
        context.load_cert_chain(path)
        path.unlink()
        return context
