"""The objects of a cluster, by HTTP: reads of one namespace, and requests to its pods through the API server."""

import asyncio
import ssl
from collections.abc import Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any

import httpx
import yaml

from crewctl.errors import ClusterError

if TYPE_CHECKING:
    from crew_operator.kube_client import Access

Manifest = dict[str, Any]

CREWDEPLOYMENTS = "/apis/crewops.dev/v1alpha1/namespaces/{namespace}/crewdeployments"


class Kube:
    """Reads the objects of one namespace."""

    def __init__(self, kubeconfig: Path, namespace: str = "default") -> None:
        """Raises ClusterError when the kubeconfig names no cluster."""
        self.kubeconfig = kubeconfig
        self.namespace = namespace
        self._http = _client(kubeconfig)

    def close(self) -> None:
        """Close the connections."""
        self._http.close()

    def get(self, path: str) -> Manifest | None:
        """The object or list at `path` of the API; None when there is none. Raises ClusterError when it is refused."""
        try:
            response = self._http.get(path)
        except httpx.HTTPError as error:
            raise ClusterError(f"the API server does not answer: {error!r}") from error
        if response.status_code == httpx.codes.NOT_FOUND:
            return None
        if response.is_error:
            raise ClusterError(f"GET {path}: {response.status_code} {response.text[:300]}")
        found: Manifest = response.json()
        return found

    def ask_pod(
        self, pod: str, port: int, path: str, body: Manifest | None = None, timeout: float = 10
    ) -> httpx.Response:
        """GET `path` of a pod's port through the API server, or POST `body`. Raises ClusterError without an answer."""
        url = f"/api/v1/namespaces/{self.namespace}/pods/http:{pod}:{port}/proxy/{path}"
        try:
            return self._http.request("POST" if body else "GET", url, json=body, timeout=timeout)
        except httpx.HTTPError as error:
            raise ClusterError(f"the API server does not answer: {error!r}") from error

    def crews(self) -> list[Manifest]:
        """The CrewDeployments of the namespace, by name. Raises ClusterError, also when the kind is not there."""
        found = self.get(CREWDEPLOYMENTS.format(namespace=self.namespace))
        if found is None:
            raise ClusterError("the cluster does not know CrewDeployments: install the operator's chart")
        return sorted(found["items"], key=lambda crew: str(crew["metadata"]["name"]))

    def crew(self, name: str) -> Manifest | None:
        """The CrewDeployment."""
        return self.get(f"{CREWDEPLOYMENTS.format(namespace=self.namespace)}/{name}")

    def pods(self, selector: Mapping[str, str]) -> list[Manifest]:
        """The pods with these labels that are not being deleted, by name."""
        wanted = ",".join(f"{key}={value}" for key, value in selector.items())
        found = self.get(f"/api/v1/namespaces/{self.namespace}/pods?labelSelector={wanted}") or {}
        pods = [pod for pod in found.get("items", []) if "deletionTimestamp" not in pod["metadata"]]
        return sorted(pods, key=lambda pod: str(pod["metadata"]["name"]))


def namespace_of(kubeconfig: Path) -> str:
    """Of its current context; `default` when that names none."""
    config = yaml.safe_load(kubeconfig.read_text()) or {}
    contexts = {one["name"]: one.get("context") or {} for one in config.get("contexts") or ()}
    return str((contexts.get(config.get("current-context")) or {}).get("namespace") or "default")


def condition(crew: Manifest | None, type_: str) -> Manifest:
    """The condition, or one that says that it is not there."""
    conditions = ((crew or {}).get("status") or {}).get("conditions") or []
    absent = {"type": type_, "status": "Unknown", "reason": "", "message": "the operator has not written it yet"}
    return next((one for one in conditions if one["type"] == type_), absent)


def is_ready(pod: Manifest) -> bool:
    """Whether the pod's Ready condition is True."""
    return any(
        one["type"] == "Ready" and one["status"] == "True" for one in pod.get("status", {}).get("conditions", [])
    )


def _client(kubeconfig: Path) -> httpx.Client:
    # Imported here: reading a kubeconfig as Kubernetes' own client does (exec plugins, data, tokens) takes 0.4 s.
    from crew_operator import kube_client

    try:
        found = asyncio.run(kube_client.access(str(kubeconfig)))
    except Exception as error:  # the client raises what a plugin, a parser or the disk raise
        raise ClusterError(f"{kubeconfig} names no cluster that can be asked: {error}") from error
    headers = {"Authorization": f"Bearer {found.token}"} if found.token else {}
    return httpx.Client(base_url=found.server, headers=headers, verify=_verify(found), timeout=10, trust_env=False)


def _verify(access: "Access") -> ssl.SSLContext | bool:
    if not access.server.startswith("https:"):
        return False
    context = ssl.create_default_context(cafile=access.ca_path)
    if access.insecure:
        context.check_hostname, context.verify_mode = False, ssl.CERT_NONE
    if access.certificate_path:
        context.load_cert_chain(access.certificate_path, access.private_key_path)
    return context
