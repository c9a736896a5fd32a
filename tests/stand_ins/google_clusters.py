"""Google: the container API, as far as it tells of one cluster (projects.locations.clusters.get)."""

import re

from google_identities import Google, error
from serving import TROUBLES, Reply, Request

_PATH = re.compile(r"/v1/projects/([^/]+)/locations/([^/]+)/clusters/([^/]+)")


class Container:
    def __init__(self, google: Google):
        self._google = google
        self._clusters: dict[tuple[str, ...], dict] = {}

    def do_cluster(self, project: str, location: str, name: str, endpoint: str, authority: str, private: str = "", dns: str = "",
                   status: str = "RUNNING", denied: list[str] = (), disabled: bool = False, trouble: str = "") -> dict:
        """A cluster: `endpoint`, `private` and `dns` are hosts, with a port where it is not 443; `authority` is base64 of PEM; `denied`
        are principals; `disabled`: the project has not enabled the API."""
        self._clusters[project, location, name] = {"endpoint": endpoint, "authority": authority, "private": private, "dns": dns,
                                                   "status": status, "denied": list(denied), "disabled": disabled, "trouble": trouble}
        return {}

    def answer(self, request: Request) -> Reply:
        caller = self._google.principal(request.bearer())
        request.who = caller or ""
        if caller is None:
            return error(401, "UNAUTHENTICATED", "Request had invalid authentication credentials. Expected OAuth 2 access token, login cookie or other "
                         "valid authentication credential.", "ACCESS_TOKEN_EXPIRED")
        match = _PATH.fullmatch(request.path)
        if match is None or request.method != "GET":
            return error(404, "NOT_FOUND", "Method not found.")
        path, cluster = request.path.removeprefix("/v1/"), self._clusters.get(match.groups())
        if cluster is None:
            return error(404, "NOT_FOUND", f"Not found: {path}.")
        if cluster["disabled"]:
            return error(403, "PERMISSION_DENIED", f"Kubernetes Engine API has not been used in project {match[1]} before or it is disabled. Enable it by "
                         f"visiting https://console.developers.google.com/apis/api/container.googleapis.com/overview?project={match[1]} then retry.", "SERVICE_DISABLED")
        if caller in cluster["denied"]:
            return error(403, "PERMISSION_DENIED", f"Required \"container.clusters.get\" permission(s) for \"{path}\".", "IAM_PERMISSION_DENIED")
        if cluster["trouble"]:
            return TROUBLES[cluster["trouble"]]()
        about = {"name": match[3], "location": match[2], "status": cluster["status"], "endpoint": cluster["endpoint"],
                 "masterAuth": {"clusterCaCertificate": cluster["authority"]},
                 "controlPlaneEndpointsConfig": {"ipEndpointsConfig": {"enabled": True, "publicEndpoint": cluster["endpoint"]}}}
        if cluster["private"]:
            about["privateClusterConfig"] = {"privateEndpoint": cluster["private"], "publicEndpoint": cluster["endpoint"]}
            about["controlPlaneEndpointsConfig"]["ipEndpointsConfig"]["privateEndpoint"] = cluster["private"]
        if cluster["dns"]:
            about["controlPlaneEndpointsConfig"]["dnsEndpointConfig"] = {"endpoint": cluster["dns"], "allowExternalTraffic": True}
        return Reply(200, about)
