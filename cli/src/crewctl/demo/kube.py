"""The objects of a cluster as the demo needs them, by HTTP."""

import base64
import ssl
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import httpx
import yaml

from crewctl.errors import ClusterError

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

    def crew(self, name: str) -> Manifest | None:
        """The CrewDeployment."""
        return self.get(f"{CREWDEPLOYMENTS.format(namespace=self.namespace)}/{name}")

    def pods(self, selector: Mapping[str, str]) -> list[Manifest]:
        """The pods with these labels that are not being deleted, by name."""
        wanted = ",".join(f"{key}={value}" for key, value in selector.items())
        found = self.get(f"/api/v1/namespaces/{self.namespace}/pods?labelSelector={wanted}") or {}
        pods = [pod for pod in found.get("items", []) if "deletionTimestamp" not in pod["metadata"]]
        return sorted(pods, key=lambda pod: str(pod["metadata"]["name"]))


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
    config = yaml.safe_load(kubeconfig.read_text())
    context = _named(config, "contexts", config.get("current-context"))["context"]
    cluster = _named(config, "clusters", context["cluster"])["cluster"]
    user = _named(config, "users", context["user"]).get("user") or {} if context.get("user") else {}
    headers = {"Authorization": f"Bearer {user['token']}"} if user.get("token") else {}
    return httpx.Client(
        base_url=cluster["server"], headers=headers, verify=_verify(cluster, user), timeout=10, trust_env=False
    )


def _named(config: Manifest, kind: str, name: str | None) -> Manifest:
    for one in config.get(kind) or []:
        if one["name"] == name:
            return dict(one)
    raise ClusterError(f"the kubeconfig has no {name!r} among its {kind}")


def _verify(cluster: Manifest, user: Manifest) -> ssl.SSLContext | bool:
    if not str(cluster["server"]).startswith("https:"):
        return False
    data = cluster.get("certificate-authority-data")
    context = ssl.create_default_context(
        cafile=cluster.get("certificate-authority"), cadata=base64.b64decode(data).decode() if data else None
    )
    if user.get("client-certificate"):
        context.load_cert_chain(user["client-certificate"], user.get("client-key"))
    return context
