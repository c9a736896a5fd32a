"""Azure: the management API (ARM), as far as it tells of AKS clusters."""

import base64
import json
import re

from entra import AKS_SERVER, Entra
from serving import TROUBLES, Reply, Request

HOSTS = {"management.azure.com", "management.chinacloudapi.cn", "management.usgovcloudapi.net"}
_PATH = re.compile(r"/subscriptions/([^/]+)/resourceGroups/([^/]+)/providers/Microsoft\.ContainerService/managedClusters/([^/]+)(/\w+)?", re.I)


class Arm:
    def __init__(self, entra: Entra):
        self._entra = entra
        self._clusters: dict[tuple[str, ...], dict] = {}

    def do_cluster(self, subscription: str, group: str, name: str, tenant: str, server: str, authority: str, admin_user: dict = {},
                   entra: bool = True, local_accounts: bool = True, denied: list[str] = (), trouble: str = "", power: str = "Running",
                   user_kubeconfig: str = "") -> dict:
        """A cluster; `authority` is base64 of PEM, `admin_user` a kubeconfig's user, `denied` are ids of clients. Without
        `entra` its users are the local admin, too. `user_kubeconfig` is given out instead of the usual one."""
        self._clusters[_key(subscription, group, name)] = {
            "name": name, "tenant": tenant, "server": server, "authority": authority, "admin": admin_user, "entra": entra, "local": local_accounts,
            "denied": list(denied), "trouble": trouble, "power": power, "user": user_kubeconfig}
        return {}

    def answer(self, request: Request) -> Reply:
        client = request.who = self._entra.manager(request.bearer()) or ""
        if not client:
            return _refusal(401, "InvalidAuthenticationToken", "The access token is invalid.")
        match = _PATH.fullmatch(request.path)
        if match is None or not request.parameter("api-version"):
            return _refusal(400, "MissingApiVersionParameter", "The api-version query parameter (?api-version=) is required for all requests.")
        *place, act = match.groups()
        act, path = (act or "").lower(), "/".join(request.path.split("/")[:9])
        cluster = self._clusters.get(_key(*place))
        if cluster is None:
            return _refusal(404, "ResourceNotFound", f"The Resource 'Microsoft.ContainerService/managedClusters/{place[2]}' under resource group "
                            f"'{place[1]}' was not found. For more details please go to https://aka.ms/ARMResourceNotFoundFix")
        if client in cluster["denied"]:
            right = f"Microsoft.ContainerService/managedClusters{act or '/read'}{'/action' if act else ''}"
            return _refusal(403, "AuthorizationFailed", f"The client '{client}' with object id '{client}' does not have authorization to perform action "
                            f"'{right}' over scope '{path}' or the scope is invalid. If access was recently granted, please refresh your credentials.")
        if cluster["trouble"]:
            return TROUBLES[cluster["trouble"]]()
        if request.method == "GET" and not act:
            return Reply(200, self._about(cluster, path))
        if request.method == "POST" and act == "/listclusteradmincredential":
            if not cluster["local"]:
                return _refusal(400, "BadRequest", "Getting static credential is not allowed because this cluster is set to disable local accounts.")
            return _kubeconfigs("clusterAdmin", _kubeconfig(cluster, cluster["admin"], "clusterAdmin"))
        if request.method == "POST" and act == "/listclusterusercredential":
            user = _kubelogin(cluster["tenant"]) if cluster["entra"] else cluster["admin"]
            return _kubeconfigs("clusterUser", cluster["user"] or _kubeconfig(cluster, user, "clusterUser"))
        return _refusal(405, "HttpMethodNotAllowed", "The requested method is not allowed.")

    def _about(self, cluster: dict, path: str) -> dict:
        host = cluster["server"].removeprefix("https://").partition(":")[0]
        properties = {"provisioningState": "Succeeded", "powerState": {"code": cluster["power"]}, "fqdn": host, "disableLocalAccounts": not cluster["local"]}
        if cluster["entra"]:
            properties["aadProfile"] = {"managed": True, "tenantID": cluster["tenant"]}
        return {"id": path, "name": cluster["name"], "type": "Microsoft.ContainerService/ManagedClusters", "location": "westeurope", "properties": properties}


def _key(*place: str) -> tuple[str, ...]:
    return tuple(part.lower() for part in place)  # as ARM does


def _refusal(status: int, code: str, message: str) -> Reply:
    return Reply(status, {"error": {"code": code, "message": message}})


def _kubelogin(tenant: str) -> dict:
    arguments = ["get-token", "--environment", "AzurePublicCloud", "--server-id", AKS_SERVER, "--client-id",
                 "80faf920-1908-4b52-b5ef-a8e7bedfc67a", "--tenant-id", tenant, "--login", "devicecode"]
    return {"exec": {"apiVersion": "client.authentication.k8s.io/v1beta1", "command": "kubelogin", "args": arguments, "env": None,
                     "provideClusterInfo": False}}


def _kubeconfig(cluster: dict, user: dict, kind: str) -> str:
    name, who = cluster["name"], f"{kind}_{cluster['name']}"
    return json.dumps({"apiVersion": "v1", "kind": "Config", "current-context": name, "preferences": {},
                       "clusters": [{"name": name, "cluster": {"server": cluster["server"], "certificate-authority-data": cluster["authority"]}}],
                       "contexts": [{"name": name, "context": {"cluster": name, "user": who}}], "users": [{"name": who, "user": user}]})


def _kubeconfigs(name: str, text: str) -> Reply:
    return Reply(200, {"kubeconfigs": [{"name": name, "value": base64.b64encode(text.encode()).decode()}]})
