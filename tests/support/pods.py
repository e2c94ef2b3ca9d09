"""Pods of the tests' own, beside the crew's: allowed in a namespace that enforces the restricted standard."""

from collections.abc import Mapping, Sequence
from typing import Any

Manifest = dict[str, Any]


def restricted(user: int = 65532) -> Manifest:
    """A container's security context."""
    return {
        "allowPrivilegeEscalation": False,
        "capabilities": {"drop": ["ALL"]},
        "runAsNonRoot": True,
        "runAsUser": user,
        "seccompProfile": {"type": "RuntimeDefault"},
    }


def restricted_pod(
    name: str, image: str, command: Sequence[str], labels: Mapping[str, str] | None = None, **spec: Any
) -> Manifest:
    """A pod of one container that runs a command; `$(POD_IP)` in it is the pod's address."""
    address = {"name": "POD_IP", "valueFrom": {"fieldRef": {"fieldPath": "status.podIP"}}}
    container = {
        "name": name,
        "image": image,
        "command": list(command),
        "env": [address],
        "securityContext": restricted(),
    }
    about = {"name": name, "labels": {"app": name, **(labels or {})}}
    return {"apiVersion": "v1", "kind": "Pod", "metadata": about, "spec": {"containers": [container], **spec}}
