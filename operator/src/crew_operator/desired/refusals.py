"""What must be refused, seen from what was decided before: the schema's rules on old and new, for servers without CEL.

What was decided stands in the status, which the operator alone writes. A child is no witness: whoever edits it by hand
would decide for the crew. A refusal stops what it refuses and nothing else: all other wishes of the spec are followed.
"""

from collections.abc import Mapping
from dataclasses import dataclass, replace
from typing import Any

from crew_operator.api import quantities
from crew_operator.api.spec import CrewDeployment, ManagedRedis, Redis
from crew_operator.errors import Problem

MANAGED = "Managed"
EXTERNAL = "External"


@dataclass(frozen=True)
class Settled:
    """What a crew was begun with and keeps; empty where nothing was decided yet."""

    key_prefix: str = ""
    redis: str = ""
    """Managed or External."""
    storage: str = ""
    """The largest size that was asked for."""

    def shown(self) -> dict[str, str]:
        """By their names in `status.memory`."""
        return {"keyPrefix": self.key_prefix, "redis": self.redis, "storage": self.storage}


def settled(status: Mapping[str, Any]) -> Settled:
    """As a status says it."""
    memory = status.get("memory") or {}
    return Settled(
        key_prefix=str(memory.get("keyPrefix") or ""),
        redis=str(memory.get("redis") or ""),
        storage=str(memory.get("storage") or ""),
    )


def problems(crew: CrewDeployment, before: Settled) -> tuple[Problem, ...]:
    """Why parts of this spec must not be followed; empty when all may."""
    found = []
    if _is_exchanged(crew, before):
        says = "managed and external cannot be exchanged: the memories would stay behind; make a new CrewDeployment"
        found.append(Problem("spec.redis", says))
    if (managed := crew.spec.redis.managed) is not None and _is_less(managed.storage.size, before.storage):
        size = before.storage
        says = f"the volume has {size} and cannot shrink to {managed.storage.size}: put {size} back, or more"
        found.append(Problem("spec.redis.managed.storage.size", says))
    if before.key_prefix not in ("", crew.key_prefix):
        says = f"keyPrefix cannot change: the memories under {before.key_prefix} would be lost from sight; put it back"
        found.append(Problem("spec.memory.keyPrefix", says))
    return tuple(found)


def allowed(crew: CrewDeployment, before: Settled, last: CrewDeployment | None) -> CrewDeployment | None:
    """The crew with what was decided in place of what is refused.

    Args:
        last: the last one that nothing was refused of, if it is known. None is the answer when it would be needed: the
            status does not hold a whole Redis.
    """
    spec = crew.spec
    if _is_exchanged(crew, before):
        if last is None or _is_exchanged(last, before):
            return None
        spec = replace(spec, redis=last.spec.redis)
    if (managed := spec.redis.managed) is not None and _is_less(managed.storage.size, before.storage):
        spec = replace(spec, redis=_with_size(managed, before.storage))
    if before.key_prefix:
        spec = replace(spec, memory=replace(spec.memory, key_prefix=before.key_prefix))
    return replace(crew, spec=spec)


def decide(crew: CrewDeployment, before: Settled) -> Settled:
    """What is decided by following a spec that `allowed` gave."""
    managed = crew.spec.redis.managed
    storage = managed.storage.size if managed is not None else ""
    return Settled(
        key_prefix=before.key_prefix or crew.key_prefix,
        redis=before.redis or (MANAGED if managed is not None else EXTERNAL),
        storage=before.storage if _is_less(storage, before.storage) else storage,
    )


def _is_exchanged(crew: CrewDeployment, before: Settled) -> bool:
    return before.redis not in ("", MANAGED if crew.spec.redis.managed is not None else EXTERNAL)


def _is_less(size: str, than: str) -> bool:
    try:
        return bool(than) and quantities.quantity(size or 0) < quantities.quantity(than)
    except ValueError:
        return False  # the status was written by somebody else


def _with_size(managed: ManagedRedis, size: str) -> Redis:
    return Redis(managed=replace(managed, storage=replace(managed.storage, size=size)))
