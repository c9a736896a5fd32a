"""A stand-in for what cannot run on a test's machine: the endpoints of AWS, Azure and Google, on loopback.

Started by tests/harness/clouds.rs. Prints one line of JSON when it is ready; then each line of JSON on standard input
({"do": "aws.user", ...arguments}) is answered by one on standard output: {"ok": ...} or {"error": ...}. It ends when
standard input does. All that it writes is in a folder of its own that goes with it (`log` among it; `--log FILE`
keeps that).

It decides nothing about kubestep: real plugins and the real kube-apiserver talk to it.
"""

import json
import pathlib
import shutil
import sys
import tempfile

import arm
import entra
from authority import Authority
from aws_endpoints import EKS_HOST, STS_HOST, Eks, Machines, Sts
from aws_identities import Identities
from eks_tokens import EksTokens
from google_clusters import Container
from google_identities import Google
from serving import Servers
from tokens import Workloads
from webhook import Webhook


def start(folder: pathlib.Path, log) -> tuple[dict, dict]:
    """Everything that listens: what a caller must know, and what answers to its lines."""
    authority = Authority(folder)
    servers = Servers(authority, log)
    workloads = Workloads()

    identities = Identities(workloads)
    sts, eks = Sts(identities), Eks(identities)
    directory, google = entra.Entra(workloads, servers), Google(workloads, servers)
    management, container = arm.Arm(directory), Container(google)
    services = {
        "sts": (STS_HOST.fullmatch, sts.answer),
        "eks": (EKS_HOST.fullmatch, eks.answer),
        "entra": (entra.HOSTS.__contains__, directory.answer),
        "arm": (arm.HOSTS.__contains__, management.answer),
        "google-token": ("oauth2.googleapis.com".__eq__, google.token),
        "google-sts": ("sts.googleapis.com".__eq__, google.exchange),
        "iamcredentials": ("iamcredentials.googleapis.com".__eq__, google.credentials),
        "container": ("container.googleapis.com".__eq__, container.answer),
    }

    webhook = Webhook([EksTokens(identities, eks).user, directory.user, google.user])
    facts: dict = {"http": {}, "https": {}, "ca": str(authority.path)}
    for name, (owns, answer) in services.items():
        servers.host(owns, name, answer)
        facts["http"][name] = f"http://127.0.0.1:{servers.listen(name, answer)}"
        facts["https"][name] = f"https://127.0.0.1:{servers.listen(name, answer, tls=True)}"
    facts["proxy"] = f"http://127.0.0.1:{servers.listen('proxy', None)}"
    facts["webhook"] = write_webhook(folder, authority, servers.listen("webhook", webhook.answer, tls=True))

    def do_requests(who: str = "", service: str = "") -> dict:
        """What was asked, of those whose caller (a key's id, an ARN, a client's id) or service it is."""
        fits = [entry for entry in list(servers.record) if who in (entry["who"], "") and service in (entry["service"], "")]
        return {"requests": fits}

    machines = Machines(identities, servers)
    actors = {"aws": [identities, eks, machines], "azure": [directory, management], "google": [google, container], "workloads": [workloads], "webhook": [webhook]}
    acts = {f"{name}.{act.removeprefix('do_')}": getattr(actor, act)
            for name, several in actors.items() for actor in several for act in dir(actor) if act.startswith("do_")}
    return facts, {**acts, "requests": do_requests}


def write_webhook(folder: pathlib.Path, authority: Authority, port: int) -> str:
    """The kubeconfig that tells kube-apiserver where the webhook is (JSON is YAML)."""
    cluster = {"server": f"https://127.0.0.1:{port}/", "certificate-authority": str(authority.path)}
    config = {"apiVersion": "v1", "kind": "Config", "current-context": "webhook",
              "clusters": [{"name": "webhook", "cluster": cluster}], "users": [{"name": "apiserver", "user": {}}],
              "contexts": [{"name": "webhook", "context": {"cluster": "webhook", "user": "apiserver"}}]}
    path = folder / "webhook.json"
    path.write_text(json.dumps(config))
    return str(path)


def main() -> None:
    folder = pathlib.Path(tempfile.mkdtemp(prefix="kubestep-cloud-stand-in-"))
    try:
        path = pathlib.Path(sys.argv[2]) if sys.argv[1:2] == ["--log"] else folder / "log"
        with path.open("w") as log:
            facts, acts = start(folder, log)
            print(json.dumps({**facts, "folder": str(folder)}), flush=True)
            for line in sys.stdin:
                order = json.loads(line)
                try:
                    answer = {"ok": acts[order.pop("do")](**order)}
                except Exception as error:  # the test that asked shows it
                    answer = {"error": repr(error)}
                print(json.dumps(answer), flush=True)
    finally:
        shutil.rmtree(folder, ignore_errors=True)


if __name__ == "__main__":
    main()
