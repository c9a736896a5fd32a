#!/usr/bin/env python3
"""Makes what the masking figures are measured on: a deployment log, and secrets, some of which it holds.

    generate.py log SIZE_IN_MIB SECRETS_FILE > LOG      a log with about one secret in a thousand lines
    generate.py log SIZE_IN_MIB > LOG                   the same without any
    generate.py secrets COUNT > FILE                    mixed secrets, NUL-separated
    generate.py secrets-short COUNT > FILE              the same, the first one 4 bytes long
    generate.py secrets-runs > FILE                     10 secrets of up to 4,000 `a`
    generate.py runs SIZE_IN_MIB > LOG                  a log of `a`

The same arguments give the same bytes.
"""

import base64
import json
import random
import string
import sys
import urllib.parse

ALPHANUMERIC = string.ascii_letters + string.digits
SPECIAL = "!#$%&*+-/=?@^_~\"'<>"


def pem(rng):
    """Looks like an RSA key of 2,048 bits; nothing can be done with it."""
    body = base64.b64encode(rng.randbytes(1190)).decode()
    lines = [body[i : i + 64] for i in range(0, len(body), 64)]
    return "\n".join(["-----BEGIN RSA PRIVATE KEY-----", *lines, "-----END RSA PRIVATE KEY-----", ""])


def jwt(rng):
    claims = {"iss": "kubernetes/serviceaccount", "sub": f"system:serviceaccount:app-{rng.randrange(99)}:deploy",
              "aud": ["https://kubernetes.default.svc"], "jti": rng.randbytes(16).hex()}
    part = lambda data: base64.urlsafe_b64encode(data).decode().rstrip("=")
    head = part(json.dumps({"alg": "RS256", "kid": rng.randbytes(20).hex()}).encode())
    return f"{head}.{part(json.dumps(claims).encode())}.{part(rng.randbytes(256))}"


def password(rng):
    return "".join(rng.choice(ALPHANUMERIC + SPECIAL) for _ in range(rng.randrange(12, 25)))


def token(rng):
    return "".join(rng.choice(ALPHANUMERIC) for _ in range(rng.randrange(20, 65)))


def secrets(count, rng):
    """Of a hundred: 62 tokens, 25 passwords, 5 JWTs, 8 PEM keys."""
    kinds = [token] * 62 + [password] * 25 + [jwt] * 5 + [pem] * 8
    rng.shuffle(kinds)
    return [kinds[i % len(kinds)](rng) for i in range(count)]


def printed(secret, rng):
    """A secret as a tool may print it."""
    raw = secret.encode()
    return rng.choice([
        lambda: secret,
        lambda: json.dumps(secret)[1:-1],
        lambda: base64.b64encode(raw).decode(),
        lambda: base64.b64encode(b"user:" + raw + b"\n").decode(),
        lambda: raw.hex(),
        lambda: urllib.parse.quote(secret, safe=""),
        lambda: "'" + secret.replace("'", "'\\''") + "'",
    ])()


WORDS = """apply configured created unchanged deployment service ingress namespace rollout waiting available replicas
updated pulling image container started probe failed retrying connection refused timeout exceeded revision history
secret configmap volume mounted scheduled node pod ready healthy unhealthy endpoint certificate issued renewed
helm upgrade release chart values override manifest hook completed job cron batch autoscaler metrics quota
Step Successfully built tagged pushing layer already exists digest Downloading Extracting resolving
error warning info debug trace level message component controller reconciler event reason object""".split()


def words(rng, least, most):
    return " ".join(rng.choices(WORDS, k=rng.randrange(least, most)))


def name(rng):
    return f"{rng.choice(WORDS).lower()}-{rng.choice(WORDS).lower()}-{rng.randbytes(5).hex()}-{rng.choice(ALPHANUMERIC.lower())}{rng.randrange(1000):03x}"


def time(rng):
    return f"2026-11-{rng.randrange(1, 29):02}T{rng.randrange(24):02}:{rng.randrange(60):02}:{rng.randrange(60):02}.{rng.randrange(1000):03}Z"


def paragraph(rng):
    kind = rng.randrange(12)
    if kind < 4:
        return [f"{time(rng)} {rng.choice(['INFO', 'INFO', 'WARN', 'ERROR'])} [{rng.choice(WORDS)}] {words(rng, 4, 16)}"
                for _ in range(6)]
    if kind < 6:
        return [json.dumps({"ts": time(rng), "level": "info", "msg": words(rng, 3, 10), "pod": name(rng),
                            "trace_id": rng.randbytes(16).hex(), "duration_ms": rng.randrange(9999)}) for _ in range(4)]
    if kind == 6:
        return [f"{name(rng):<52} {rng.randrange(3)}/2   {rng.choice(['Running', 'Pending', 'CrashLoopBackOff'])}   "
                f"{rng.randrange(9)}   {rng.randrange(60)}m" for _ in range(8)]
    if kind == 7:
        return ["apiVersion: apps/v1", "kind: Deployment", "metadata:", f"  name: {name(rng)}", "  labels:",
                f"    app: {rng.choice(WORDS)}", f"  uid: {rng.randbytes(16).hex()}", "spec:",
                f"  replicas: {rng.randrange(9)}", "  template:", "    spec:", "      containers:",
                f"      - image: registry.example/{rng.choice(WORDS)}@sha256:{rng.randbytes(32).hex()}",
                f"        args: [\"--{rng.choice(WORDS)}={rng.randrange(9999)}\"]"]
    if kind == 8:
        body = base64.b64encode(rng.randbytes(700)).decode()
        lines = [body[i : i + 64] for i in range(0, len(body), 64)]
        return ["-----BEGIN CERTIFICATE-----", *lines, "-----END CERTIFICATE-----"]
    if kind == 9:
        return [f"#{rng.randrange(40)} [{rng.randrange(9)}/9] RUN {words(rng, 3, 8)} && rm -rf /var/lib/apt/lists/*",
                f"#{rng.randrange(40)} sha256:{rng.randbytes(32).hex()} {rng.randrange(99)}.{rng.randrange(99)}MB done"]
    if kind == 10:
        return [f"    at com.example.{rng.choice(WORDS)}.{rng.choice(WORDS).title()}Service.{rng.choice(WORDS)}"
                f"({rng.choice(WORDS).title()}.java:{rng.randrange(999)})" for _ in range(5)]
    return [f"+ kubectl -n {rng.choice(WORDS)} {rng.choice(['get', 'apply', 'describe'])} {name(rng)} -o yaml",
            f"deployment.apps/{name(rng)} {rng.choice(['configured', 'unchanged', 'created'])}"]


def log(size, planted, rng, out):
    """Blocks of lines, each with a line of its own before it, so that no two megabytes are the same."""
    written = 0
    blocks = ["\n".join(line for _ in range(60) for line in paragraph(rng)) + "\n" for _ in range(400)]
    while written < size:
        lines = [f"{time(rng)} ##[section] {words(rng, 3, 9)} {rng.randbytes(8).hex()}\n", rng.choice(blocks)]
        if planted and rng.random() < 0.25:
            lines.append(f"{time(rng)} DEBUG login with {printed(rng.choice(planted), rng)} {words(rng, 1, 4)}\n")
        text = "".join(lines).encode()[: size - written]
        out.write(text)
        written += len(text)


def runs(size, rng, out):
    while size > 0:
        text = (b"a" * rng.choice([50, 500, 5_000, 50_000, 500_000]) + b"\n")[:size]
        out.write(text)
        size -= len(text)


def main():
    # Another seed for each kind, or a clean log would hold the secrets.
    rng, out = random.Random(" ".join(sys.argv[1:2])), sys.stdout.buffer
    match sys.argv[1:]:
        case ["log", size, path]:
            with open(path, "rb") as file:
                planted = [value.decode() for value in file.read().split(b"\0") if value]
            log(int(size) << 20, planted, rng, out)
        case ["log", size]:
            log(int(size) << 20, [], rng, out)
        case ["secrets", count]:
            out.write(b"".join(value.encode() + b"\0" for value in secrets(int(count), rng)))
        case ["secrets-short", count]:
            values = ["q7#Z", *secrets(int(count) - 1, rng)]
            out.write(b"".join(value.encode() + b"\0" for value in values))
        case ["secrets-runs"]:
            out.write(b"".join(b"a" * (400 * step) + b"\0" for step in range(1, 11)))
        case ["runs", size]:
            runs(int(size) << 20, rng, out)
        case _:
            sys.exit(__doc__)


if __name__ == "__main__":
    main()
