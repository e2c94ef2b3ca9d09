"""A CrewDeployment -> the store of its memories, and a way to it from here."""

import contextlib
import socket
import tempfile
from collections.abc import Mapping
from typing import Any, Final
from urllib.parse import quote

from crew_runtime.contract import durability, moving, resource
from crew_runtime.contract.moving import Place
from crewctl.errors import ClusterError
from crewctl.kube import Kube, Manifest
from crewctl.moving import tunnel

DIRECT_SECONDS: Final = 1.5
"""To connect; from a laptop there is mostly no way."""


def place(kube: Kube, name: str, open_: contextlib.ExitStack) -> Place:
    """Where the crew's memories lie; what is opened for that is closed with `open_`.

    Raises ClusterError when there is no such crew, or no way to its Redis.
    """
    crew = kube.wanted(name)
    spec = crew["spec"]
    memory = spec.get("memory") or {}
    members = ((spec.get("redis") or {}).get("managed") or {}).get("replicas") or 1
    url, ca = _external(kube, spec, open_) or (_managed(kube, name, open_), "")
    return Place(
        moving.REDIS,
        url=url,
        key_prefix=memory.get("keyPrefix") or resource.key_prefix(kube.namespace, name),
        ca_file=ca,
        durability=memory.get("durability") or durability.default(members),
        vector_type=str(memory.get("vectorType") or "Float32").upper(),
    )


def _external(kube: Kube, spec: Manifest, open_: contextlib.ExitStack) -> tuple[str, str] | None:
    external = (spec.get("redis") or {}).get("external")
    if external is None:
        return None
    ref = external["urlFrom"]["secretKeyRef"]
    url = kube.secret(ref["name"], ref["key"])
    if not url:
        raise ClusterError(f"the Secret {ref['name']} has no {ref['key']}, the URL of the crew's Redis")
    ca = external.get("caFrom") or {}
    return url.decode(errors="replace").strip(), _certificate(kube, ca, open_) if ca else ""


def _certificate(kube: Kube, source: Mapping[str, Any], open_: contextlib.ExitStack) -> str:
    found = kube.file(source)
    if found is None:
        ref = source.get("secretKeyRef") or source["configMapKeyRef"]
        raise ClusterError(f"{ref['name']} has no {ref['key']}, the certificate of spec.redis.external.caFrom")
    file = open_.enter_context(tempfile.NamedTemporaryFile(suffix=".pem"))  # noqa: SIM115 - closed with the stack
    file.write(found)
    file.flush()
    return file.name


def _managed(kube: Kube, name: str, open_: contextlib.ExitStack) -> str:
    secret = resource.redis_auth(name)
    password = kube.secret(secret, resource.PASSWORD_KEY)
    if not password:
        raise ClusterError(f"the operator has not made the Secret {secret} yet: wait until the crew is Ready")
    host, port, pod = _primary(kube, name)
    if not _answers(host, port):
        host, port = open_.enter_context(tunnel.to_pod(kube.kubeconfig, kube.namespace, pod, port))
    shown = f"[{host}]" if ":" in host else host
    return f"redis://:{quote(password.decode().strip(), safe='')}@{shown}:{port}/0"


def _primary(kube: Kube, name: str) -> tuple[str, int, str]:
    """Address, port and pod behind the Service of the crew's Redis, which is that of the primary."""
    found = kube.get(f"/api/v1/namespaces/{kube.namespace}/endpoints/{resource.redis(name)}") or {}
    for subset in found.get("subsets") or ():
        for address in subset.get("addresses") or ():
            pod = (address.get("targetRef") or {}).get("name") or resource.redis_pod(name)
            return str(address["ip"]), int(subset["ports"][0]["port"]), str(pod)
    raise ClusterError(f"the Redis of {name} is not ready: see what `crewctl doctor {name}` says of it")


def _answers(host: str, port: int) -> bool:
    """Whether something listens there that can be reached from here."""
    try:
        with socket.create_connection((host, port), DIRECT_SECONDS):
            return True
    except OSError:
        return False
