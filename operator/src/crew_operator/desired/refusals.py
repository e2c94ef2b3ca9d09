"""What must be refused, seen from what runs: the schema's rules on old and new, for servers without CEL.

A refused change leaves everything as it was.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from crew_operator.api import names, quantities
from crew_operator.api.spec import CrewDeployment
from crew_operator.errors import Problem
from crew_runtime.contract import env


@dataclass(frozen=True)
class Running:
    """What exists already; None where nothing does."""

    deployment: Mapping[str, Any] | None = None
    stateful_set: Mapping[str, Any] | None = None
    claim: Mapping[str, Any] | None = None


def problems(crew: CrewDeployment, running: Running) -> tuple[Problem, ...]:
    """Why the change from what runs to this spec must not be made; empty when it may."""
    return (*_exchanged_redis(crew, running), *_shrunk_storage(crew, running), *_changed_prefix(crew, running))


def claim_size(claim: Mapping[str, Any]) -> str:
    """What a claim (or claim template) asks for."""
    return str(claim["spec"]["resources"]["requests"]["storage"])


def _exchanged_redis(crew: CrewDeployment, running: Running) -> tuple[Problem, ...]:
    deployed = running.deployment is not None
    was_managed = running.stateful_set is not None
    if not deployed or was_managed == (crew.spec.redis.managed is not None):
        return ()
    if not was_managed and _variable(running.deployment, env.REDIS_PASSWORD) is not None:
        return ()  # a managed Redis whose StatefulSet someone deleted: it is made again
    says = "managed and external cannot be exchanged: the memories would stay behind; make a new CrewDeployment"
    return (Problem("spec.redis", says),)


def _shrunk_storage(crew: CrewDeployment, running: Running) -> tuple[Problem, ...]:
    managed = crew.spec.redis.managed
    if managed is None or running.claim is None:
        return ()
    size = claim_size(running.claim)
    if quantities.quantity(managed.storage.size) >= quantities.quantity(size):
        return ()
    says = f"the volume has {size} and cannot shrink to {managed.storage.size}: put {size} back, or more"
    return (Problem("spec.redis.managed.storage.size", says),)


def _changed_prefix(crew: CrewDeployment, running: Running) -> tuple[Problem, ...]:
    before = (_variable(running.deployment, env.KEY_PREFIX) or {}).get("value")
    if before is None or before == crew.key_prefix:
        return ()
    says = f"keyPrefix cannot change: the memories under {before} would be lost from sight; put it back"
    return (Problem("spec.memory.keyPrefix", says),)


def _variable(deployment: Mapping[str, Any] | None, name: str) -> Mapping[str, Any] | None:
    """A variable of the crew's container."""
    containers = ((deployment or {}).get("spec") or {}).get("template", {}).get("spec", {}).get("containers", [])
    for container in containers:
        if container.get("name") == names.CREW_CONTAINER:
            return next((one for one in container.get("env", []) if one["name"] == name), None)
    return None
