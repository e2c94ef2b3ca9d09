"""What runs in a local cluster: asked from its API server, its operator and this machine's processes."""

from typing import Any

import httpx
import yaml

from localcluster.components import HEALTH_PORT
from localcluster.errors import ClusterError
from localcluster.state import Handle


def look(handle: Handle) -> dict[str, Any]:
    """Everything `crewctl status` shows. Raises ClusterError when the API server does not answer."""
    with httpx.Client(timeout=5, trust_env=False) as http:
        try:
            pods = http.get(f"{handle.url}/api/v1/pods").raise_for_status().json()["items"]
        except httpx.HTTPError as error:
            raise ClusterError(
                f"the API server does not answer ({error}): try 'crewctl down' and 'crewctl up'"
            ) from error
        try:
            code = http.get(f"http://{handle.node}:{HEALTH_PORT}/readyz").status_code
            operator = "ready" if code == httpx.codes.OK else f"not ready (HTTP {code})"
        except httpx.HTTPError:
            operator = "does not answer"
    return {
        "url": yaml.safe_load(handle.kubeconfig.read_text())["clusters"][0]["cluster"]["server"],
        "kubeconfig": str(handle.kubeconfig),
        "operator": operator,
        "logs": f"{handle.folder}/logs",
        "pods": [_pod(handle, pod) for pod in pods],
    }


def _pod(handle: Handle, pod: dict[str, Any]) -> dict[str, Any]:
    metadata, status = pod["metadata"], pod.get("status") or {}
    return {
        "namespace": metadata["namespace"],
        "name": metadata["name"],
        "phase": status.get("phase", "Unknown"),
        "address": status.get("podIP", ""),
        "pids": list(handle.pod_processes(metadata["namespace"], metadata["name"])),
    }
