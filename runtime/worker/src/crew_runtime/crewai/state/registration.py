"""Registers our storage at every seam that CrewAI has, and tells afterwards where its state really lies."""

import gc
from collections.abc import Iterable
from dataclasses import dataclass
from typing import Any

import crewai_core.lock_store
from crewai.flow.persistence import factory as flow_factory
from crewai.knowledge.storage import factory as knowledge_factory
from crewai.memory.storage import factory as memory_factory

from crew_runtime.contract.report import StateKind
from crew_runtime.crewai.state import checkpoints, corrections, files, knowledge, task_outputs
from crew_runtime.crewai.state.checkpoints import Checkpoints
from crew_runtime.crewai.state.files import Folder
from crew_runtime.crewai.state.flows import FlowStates, RedisFlowPersistence
from crew_runtime.crewai.state.knowledge import RedisKnowledgeStorage, Shelves
from crew_runtime.crewai.state.locks import RedisLocks
from crew_runtime.crewai.state.memory_storage import RedisStorage
from crew_runtime.crewai.state.task_outputs import TaskOutputs
from crew_runtime.durability import Durability
from crew_runtime.guard.call import Guard
from crew_runtime.redis_client import Connections
from crew_runtime.sessions.areas import CREW_WIDE_SEGMENT
from crew_runtime.settings import Settings

ENGINES = ("lancedb", "qdrant-edge")
"""What `memory=True` asks for, and the other that CrewAI knows by name (1.15.30)."""

BY_NATURE = tuple(
    StateKind(kind, "process", local=True, detail=detail, by_nature=True)
    for kind, detail in (
        ("tool-cache", "a tool's answer is kept for the kickoff that asked: each kickoff asks once"),
        ("mcp-cache", "each process lists the tools of an MCP server for itself"),
        ("rpm-limit", "each kickoff has its own: N at once make N times max_rpm calls a minute"),
        ("input-files", "they lie with the kickoff that they were given to"),
        (
            "a2a-tasks",
            "what a kickoff delegates by A2A ends with it; a server of A2A has a task_store of its own",
        ),
        ("event-record", "each kickoff has its own"),
    )
)
"""What CrewAI keeps in its process and has no seam for, because nobody needs another's (1.15.30)."""


@dataclass(frozen=True)
class Registered:
    """What CrewAI was given; one of each serves the whole process."""

    storage: RedisStorage
    locks: RedisLocks
    guard: Guard
    """Around every call of any of them."""
    folder: Folder | None = None
    """Where tasks write their files; None: where CrewAI puts them."""

    def memory(self, spec: str) -> RedisStorage | None:
        """For the names of CrewAI's engines. A path is a store of the user's own, which `effective_state` shows."""
        return self.storage if spec in ENGINES else None


_registered: Registered | None = None


def register(settings: Settings, connections: Connections) -> Registered:
    """Before the user's code is imported: `@persist` asks for its store when a class is made."""
    global _registered
    guard = Guard(connections, Durability(settings))
    made = Registered(RedisStorage(settings, guard), RedisLocks(guard, settings.key_prefix), guard, _folder(settings))
    RedisFlowPersistence.states = FlowStates(guard, settings.key_prefix, settings.session_ttl)
    memory_factory.set_memory_storage_factory(made.memory)
    flow_factory.set_flow_persistence_factory(RedisFlowPersistence)
    crewai_core.lock_store.set_lock_backend(made.locks)
    RedisKnowledgeStorage.shelves = Shelves(guard, settings)
    knowledge_factory.set_knowledge_storage_factory(knowledge.storage)
    corrections.apply()
    checkpoints.patch(Checkpoints(guard, settings.key_prefix, settings.session_ttl))
    task_outputs.patch(TaskOutputs(guard, settings.key_prefix, settings.session_ttl))
    files.patch(made.folder)
    _registered = made
    return made


def registered() -> Registered | None:
    """What `register` gave CrewAI in this process."""
    return _registered


def effective_state() -> tuple[StateKind, ...]:
    """Where each kind of state lies now, after the user's code was imported and its crew made.

    Looks at the factories and at every live object that keeps state: the user's code may have set its own, on either.
    """
    memories, flows, knowledges, checkpointed, tasks = _live()
    return (
        _memory(memories),
        _flow(flows),
        _locks(),
        _knowledge(knowledges),
        _checkpoints(checkpointed),
        _task_outputs(),
        *_files(tasks),
        *BY_NATURE,
    )


def _live() -> tuple[list[Any], list[Any], list[Any], list[Any], list[Any]]:
    from crewai.flow.persistence.base import FlowPersistence
    from crewai.knowledge.knowledge import Knowledge
    from crewai.memory.unified_memory import Memory
    from crewai.task import Task

    found: tuple[list[Any], list[Any], list[Any], list[Any], list[Any]] = ([], [], [], [], [])
    for one in gc.get_objects():
        kind = type(one)
        if issubclass(kind, Memory):
            found[0].append(one)
        elif issubclass(kind, FlowPersistence):
            found[1].append(one)
        elif issubclass(kind, Knowledge):
            found[2].append(one)
        elif kind.__name__ == "CheckpointConfig":
            found[3].append(one)
        elif issubclass(kind, Task):
            found[4].append(one)
    return found


def _memory(memories: Iterable[Any]) -> StateKind:
    kept_elsewhere = [one for one in memories if not isinstance(one._storage, RedisStorage)]
    factory_is_ours = _registered is not None and memory_factory._factory == _registered.memory
    elsewhere = _names(one._storage for one in kept_elsewhere)
    if factory_is_ours and any(one.storage in ENGINES for one in kept_elsewhere if isinstance(one.storage, str)):
        why = "this CrewAI's Memory does not ask the storage factory"
        return StateKind("memory", elsewhere, local=True, detail=why, unfit=True)
    if elsewhere:
        return StateKind("memory", elsewhere, local=True, detail="the crew's code gives Memory a storage of its own")
    if not factory_is_ours:
        return StateKind("memory", "lancedb", local=True, detail="the crew's code replaced the storage factory")
    left = ", ".join(corrections.missing())
    if left and corrections.unshared():
        left += f"; {CREW_WIDE_SEGMENT} in a scope shares nothing"
    return StateKind("memory", "redis", local=False, detail=f"not corrected in this CrewAI: {left}" if left else "")


def _flow(persistences: Iterable[Any]) -> StateKind:
    elsewhere = _names(one for one in persistences if not isinstance(one, RedisFlowPersistence))
    if elsewhere:
        return StateKind("flow", elsewhere, local=True, detail="the crew's code gives a flow a persistence of its own")
    if flow_factory._factory is not RedisFlowPersistence:
        return StateKind("flow", "sqlite", local=True, detail="the crew's code replaced the persistence factory")
    return StateKind("flow", "redis", local=False)


def _locks() -> StateKind:
    if _registered is None or crewai_core.lock_store._backend is not _registered.locks:
        return StateKind("locks", "files", local=True, detail="the crew's code replaced the lock backend")
    return StateKind("locks", "redis", local=False, detail="those of files on this host stay with the file")


def _knowledge(knowledges: Iterable[Any]) -> StateKind:
    elsewhere = _names(one.storage for one in knowledges if not isinstance(one.storage, RedisKnowledgeStorage))
    if elsewhere:
        return StateKind(
            "knowledge", elsewhere, local=True, detail="the crew's code gives Knowledge a storage of its own"
        )
    if knowledge_factory._factory is not knowledge.storage:
        return StateKind("knowledge", "chroma", local=True, detail="the crew's code replaced the storage factory")
    return StateKind("knowledge", "redis", local=False)


def _checkpoints(configured: Iterable[Any]) -> StateKind:
    if elsewhere := _names(one.provider for one in configured if type(one.provider).__name__ != "JsonProvider"):
        return StateKind("checkpoints", elsewhere, local=True, detail="the crew's code names a provider of its own")
    if checkpoints.in_force():
        return StateKind("checkpoints", "redis", local=False)
    why, used = checkpoints.obstacle(), bool(list(configured))
    told = why or "only the replica that wrote one can restore it"
    return StateKind("checkpoints", "files", local=used, detail=told, unfit=used and bool(why))


def _task_outputs() -> StateKind:
    if task_outputs.in_force():
        return StateKind("task-outputs", "redis", local=False, detail="of a session's last kickoff")
    why = task_outputs.obstacle()
    told = why or "the crew's code replaced the storage"
    return StateKind("task-outputs", "sqlite", local=True, detail=told, unfit=bool(why))


def _files(tasks: Iterable[Any]) -> tuple[StateKind, ...]:
    """Nothing without a volume: nobody expects the files of one replica on another."""
    if _registered is None or _registered.folder is None:
        return ()
    if files.in_force():
        return (StateKind("output-files", "volume", local=False),)
    why, used = files.misfit(), any(map(files.by_crewai, tasks))
    told = why or f"the crew's code replaced Task.{files.METHOD}"
    return (StateKind("output-files", "working directory", local=used, detail=told, unfit=used and bool(why)),)


def _folder(settings: Settings) -> Folder | None:
    return Folder(settings.files, settings.files_prefix) if settings.files else None


def _names(objects: Iterable[object]) -> str:
    known = {
        "LanceDBStorage": "lancedb",
        "QdrantEdgeStorage": "qdrant",
        "SQLiteFlowPersistence": "sqlite",
        "KnowledgeStorage": "chroma",
    }
    return ", ".join(sorted({known.get(type(one).__name__, type(one).__name__) for one in objects}))
