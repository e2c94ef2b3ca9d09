"""The objects of a cluster, by HTTP: reads of one namespace, and requests to its pods through the API server."""

import base64
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import httpx

from crew_runtime.contract import resource, tokens
from crewctl import bounded, kubeconfigs
from crewctl.errors import ClusterError

Manifest = dict[str, Any]

CREWDEPLOYMENTS = f"/apis/{resource.API_VERSION}/namespaces/{{namespace}}/{resource.PLURAL}"


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
        response = self._asked("GET", path)
        if response.status_code == httpx.codes.NOT_FOUND:
            return None
        found: Manifest = _accepted(response, f"GET {path}").json()
        return found

    def merge(self, path: str, patch: Manifest) -> None:
        """Change the object at `path` by a merge patch. Raises ClusterError when it is refused, or not there."""
        headers = {"Content-Type": "application/merge-patch+json"}
        _accepted(self._asked("PATCH", path, json=patch, headers=headers), f"PATCH {path}")

    def ask_pod(
        self,
        pod: str,
        port: int,
        path: str,
        body: Manifest | None = None,
        timeout: float = 10,
        token: str | None = None,
    ) -> httpx.Response:
        """GET `path` of a pod's port through the API server, or POST `body`. Raises ClusterError without an answer,
        UnreadableError on one that is too long or compressed.
        """
        url = f"/api/v1/namespaces/{self.namespace}/pods/http:{pod}:{port}/proxy/{path}"
        # Authorization is the API server's own: it passes none on.
        headers = {"X-API-Key": token} if token else {}
        try:
            return bounded.ask(self._http, url, body, httpx.Timeout(timeout), headers)
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

    def wanted(self, name: str) -> Manifest:
        """The CrewDeployment that somebody named. Raises ClusterError when there is none."""
        crew = self.crew(name)
        if crew is None:
            raise ClusterError(f"there is no CrewDeployment {name} in the namespace {self.namespace}")
        return crew

    def secret(self, name: str, key: str) -> bytes | None:
        """A value of a Secret; None: it has none, or there is none. Raises ClusterError when it cannot be read."""
        found = self.get(f"/api/v1/namespaces/{self.namespace}/secrets/{name}") or {}
        value = (found.get("data") or {}).get(key)
        return None if value is None else base64.b64decode(value)

    def file(self, source: Mapping[str, Any]) -> bytes | None:
        """What a `secretKeyRef` or `configMapKeyRef` names; None: there is none. Raises ClusterError when it cannot be
        read."""
        if (ref := source.get("secretKeyRef")) is not None:
            return self.secret(ref["name"], ref["key"])
        ref = source["configMapKeyRef"]
        found = self.get(f"/api/v1/namespaces/{self.namespace}/configmaps/{ref['name']}") or {}
        text = (found.get("data") or {}).get(ref["key"])
        return None if text is None else str(text).encode()

    def api_token(self, crew: Manifest) -> str | None:
        """The token of a CrewDeployment's API; None: it asks for none. Raises ClusterError when it cannot be read."""
        told = (crew.get("status") or {}).get("api") or {}
        spec = (crew.get("spec") or {}).get("crew") or {}
        # An operator from before tells nothing of it, and knows this one spelling.
        ref = (told.get("tokenFrom") or spec.get("apiTokenFrom") or {}).get("secretKeyRef")
        if not ref:
            return None
        value = self.secret(ref["name"], ref["key"])
        if not value:
            raise ClusterError(f"the Secret {ref['name']} has no {ref['key']}, the token of the crew's API")
        try:
            return tokens.read(value.decode())
        except ValueError as error:
            raise ClusterError(f"the token in the Secret {ref['name']} {error}") from error

    def _asked(self, method: str, path: str, **more: Any) -> httpx.Response:
        try:
            return self._http.request(method, path, **more)
        except httpx.HTTPError as error:
            raise ClusterError(f"the API server does not answer: {error!r}") from error

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


def _accepted(response: httpx.Response, asked: str) -> httpx.Response:
    if response.is_error:
        raise ClusterError(f"{asked}: {response.status_code} {response.text[:300]}")
    return response


def _client(kubeconfig: Path) -> httpx.Client:
    found = kubeconfigs.access(kubeconfig)
    return httpx.Client(
        base_url=found.server, headers=found.headers, verify=found.tls or False, timeout=10, trust_env=False
    )
