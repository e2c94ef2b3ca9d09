"""CrewAI's own seams: what is registered there, and what is really in force after the user's code was imported."""

from dataclasses import dataclass
from typing import Any

from crewai.flow.persistence import factory as flow_factory
from crewai.memory.storage import factory as memory_factory
from crewai_core import lock_store

from crew_runtime.contract.report import StateKind
from crew_runtime.crewai import locks
from crew_runtime.crewai.flows import RedisFlowPersistence
from crew_runtime.crewai.storage import RedisStorage
from crew_runtime.guard.call import Guard
from crew_runtime.redis_client import Connections
from crew_runtime.settings import Settings

DEFAULT_SPEC = "lancedb"
"""What `memory=True` asks for. Any other string is a choice of the user's own, and the report calls it local."""


@dataclass(frozen=True)
class Registered:
    """The backends of this process."""

    storage: RedisStorage
    flows: RedisFlowPersistence
    lock: Any


def register(settings: Settings, connections: Connections) -> Registered:
    """Set the three factories; before the user's code is imported, because `@persist` resolves at decoration."""
    guard = Guard(connections)
    made = Registered(
        storage=RedisStorage(settings, connections),
        flows=RedisFlowPersistence(guard, settings.key_prefix, settings.session_ttl),
        lock=locks.backend(guard, settings.key_prefix),
    )
    memory_factory.set_memory_storage_factory(lambda spec: made.storage if spec == DEFAULT_SPEC else None)
    flow_factory.set_flow_persistence_factory(lambda: made.flows)
    lock_store.set_lock_backend(made.lock)
    return made


def effective_state(made: Registered, crew: Any = None, where: str = "") -> tuple[StateKind, ...]:
    """Where each kind of state lies now. `crew`: the user's, asked for memories of its own; `where`: the server."""
    return (
        _memory(made, crew, where),
        _kind("flow", flow_factory.default_flow_persistence() is made.flows, where, "sqlite"),
        _kind("locks", lock_store._backend is made.lock, where, "files"),
        StateKind("knowledge", "chroma", local=True, detail="built from the crew's sources in each replica"),
        StateKind("checkpoints", "files", local=True, detail="only with Crew(checkpoint=...)"),
        StateKind("task-outputs", "sqlite", local=True, detail="of the last kickoff, for `crewai replay`"),
    )


def storage() -> RedisStorage | None:
    """What the registered factory gives for `memory=True`; None when it is not ours."""
    found = memory_factory.resolve_memory_storage(DEFAULT_SPEC)
    return found if isinstance(found, RedisStorage) else None


def _memory(made: Registered, crew: Any, where: str) -> StateKind:
    ours = storage() is made.storage
    foreign = sorted(
        {
            type(found).__name__
            for owner in (crew, *getattr(crew, "agents", ()))
            if (found := _storage_of(owner)) is not None and not isinstance(found, RedisStorage)
        }
    )
    if foreign:
        return StateKind("memory", ", ".join(foreign), local=True, detail="Memory(storage=...) in the crew's own code")
    return _kind("memory", ours, where, "lancedb")


def _storage_of(owner: Any) -> Any:
    for name in ("memory", "_memory"):
        memory = getattr(owner, name, None)
        backing = getattr(memory, "_memory", None) or memory
        found = getattr(backing, "_storage", None)
        if found is not None:
            return found
    return None


def _kind(kind: str, ours: bool, where: str, default: str) -> StateKind:
    detail = where if ours else "the crew's own code replaced the runtime's backend"
    return StateKind(kind, "redis" if ours else default, local=not ours, detail=detail)
