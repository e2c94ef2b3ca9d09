"""Kinds of CrewAI's state besides memory -> a nonce written through CrewAI's own API in one process, found in another.

What a crew or flow uses is exercised through its own objects; a kind that it does not use, through what CrewAI would
give it. `stores` does the same for memories and for a flow's own persistence.
"""

import json
from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager, contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import crewai_core.lock_store
from crewai import Task
from crewai.flow.persistence.factory import default_flow_persistence
from crewai.knowledge.storage.factory import resolve_knowledge_storage
from crewai.state.provider import json_provider
from crewai.tasks.output_format import OutputFormat
from crewai.tasks.task_output import TaskOutput
from crewai.utilities.task_output_storage_handler import TaskOutputStorageHandler

from crew_runtime.contract import keys
from crew_runtime.contract.rehearsal import Store
from crew_runtime.crewai.kickoffs import kickoff
from crew_runtime.crewai.loading.load import Loaded, Made
from crew_runtime.crewai.rehearsing import embedders, quiet
from crew_runtime.crewai.rehearsing.left_out import LeftOut
from crew_runtime.crewai.state import checkpoints, registration, task_outputs
from crew_runtime.crewai.state.knowledge import RedisKnowledgeStorage

LOCK_MS = 120_000
"""For which the lock outlives the process that took it: the other one begins only then."""
LOCK_SECONDS = 0.2
_BRANCH = "rehearsal"
_held: list[AbstractContextManager[None]] = []
"""Locks of this process, until it ends."""


@dataclass(frozen=True)
class Exercise:
    """One kind of state."""

    store: Store
    write: Callable[[str], None]
    """Of a nonce."""
    found: Callable[[str], bool]
    of_session: bool = False
    """Whether another session must not find it."""


def of(loaded: Loaded, made: Made, engine_of: Callable[[object], str]) -> Iterator[Exercise]:
    """All kinds. `engine_of`: the name of a storage's engine."""
    if not made.is_flow or not _persistence_of(made.target):
        yield _flow(default_flow_persistence(), engine_of)
    if made.is_flow and kickoff.is_conversational(made.target):
        yield _conversation(loaded, made, engine_of)
    yield from _knowledge(made, engine_of)
    yield _checkpoints()
    yield _task_outputs()
    yield _locks()


def text(nonce: str) -> str:
    """What is written."""
    return f"crewops rehearsal {nonce}"


def _flow(persistence: Any, engine_of: Callable[[object], str]) -> Exercise:
    def write(nonce: str) -> None:
        persistence.save_state(f"crewops-rehearsal-{nonce}", "crewops_rehearsal", {"nonce": nonce})

    def found(nonce: str) -> bool:
        state = persistence.load_state(f"crewops-rehearsal-{nonce}")
        return bool(state and state.get("nonce") == nonce)

    place = str(getattr(persistence, "db_path", "") or "")
    return Exercise(Store("flow", "crewai's", engine_of(persistence), place), write, found)


def _conversation(loaded: Loaded, made: Made, engine_of: Callable[[object], str]) -> Exercise:
    kept = _persistence_of(made.target)

    def turn(message: str, nonce: str) -> Any:
        flow = loaded.make().target
        quiet.flow(flow, LeftOut())
        flow.handle_turn(message, session_id=f"crewops-talk-{nonce}")
        return flow

    def found(nonce: str) -> bool:
        heard = turn("What did I say?", nonce).state.messages
        return any(text(nonce) in str(getattr(one, "content", one)) for one in heard)

    engine = engine_of(kept) if kept is not None else "process"
    return Exercise(Store("conversation", "flow", engine), lambda nonce: turn(text(nonce), nonce) and None, found)


def _persistence_of(flow: Any) -> Any:
    return getattr(flow, "persistence", None)


def _knowledge(made: Made, engine_of: Callable[[object], str]) -> Iterator[Exercise]:
    agents = [] if made.is_flow else quiet.agents_of(made.target)
    seen: list[Any] = []
    for owner, one in [("crew", made.target), *((f"agent {agent.role.strip()}", agent) for agent in agents)]:
        if one is not made.target and hasattr(one, "set_knowledge"):
            one.set_knowledge(crew_embedder=getattr(made.target, "embedder", None))  # as a kickoff does
        storage = getattr(getattr(one, "knowledge", None), "storage", None)
        if storage is not None and storage not in seen:
            seen.append(storage)
            yield _shelf(owner, storage, engine_of)
    if not seen:
        storage = resolve_knowledge_storage(None, "crewops-rehearsal")
        if isinstance(storage, RedisKnowledgeStorage):
            storage._embed = embedders.vectors
            yield _shelf("crewai's", storage, engine_of)


def _shelf(owner: str, storage: Any, engine_of: Callable[[object], str]) -> Exercise:
    def found(nonce: str) -> bool:
        return any(text(nonce) in one["content"] for one in storage.search([text(nonce)], score_threshold=0.0))

    return Exercise(Store("knowledge", owner, engine_of(storage)), lambda nonce: storage.save([text(nonce)]), found)


def _checkpoints() -> Exercise:
    # The default of a CheckpointConfig. Its path is random, and the other process has to know it.
    provider, folder = json_provider.JsonProvider(), ".checkpoints"

    def write(nonce: str) -> None:
        with _path(nonce):
            provider.checkpoint(json.dumps({"nonce": text(nonce)}), folder, branch=_BRANCH)

    def found(nonce: str) -> bool:
        try:
            kept = provider.from_checkpoint(_name(folder, nonce))
        except FileNotFoundError:
            return False
        return text(nonce) in kept

    store = Store("checkpoints", "crewai's", "redis" if checkpoints.in_force() else "files")
    return Exercise(store, write, found, of_session=True)


def _name(folder: str, nonce: str) -> str:
    return str(Path(folder) / _BRANCH / f"{nonce}.json")


@contextmanager
def _path(nonce: str) -> Iterator[None]:
    named: Any = json_provider
    before = named._build_path
    named._build_path = lambda folder, *_: Path(_name(folder, nonce))
    try:
        yield
    finally:
        named._build_path = before


def _task_outputs() -> Exercise:
    handler = TaskOutputStorageHandler()

    def write(nonce: str) -> None:
        task = Task(description=text(nonce), expected_output="a nonce")
        output = TaskOutput(description=text(nonce), raw=text(nonce), agent="rehearsal", output_format=OutputFormat.RAW)
        handler.add(task, output.model_dump(mode="json"), 0)

    def found(nonce: str) -> bool:
        return text(nonce) in json.dumps(handler.load(), default=str)

    store = Store("task-outputs", "crewai's", "redis" if task_outputs.in_force() else "sqlite")
    return Exercise(store, write, found, of_session=True)


def _locks() -> Exercise:
    made = registration.registered()
    shared = made is not None and crewai_core.lock_store._backend is made.locks

    def write(nonce: str) -> None:
        held = crewai_core.lock_store.lock(f"crewops-rehearsal-{nonce}")
        held.__enter__()
        _held.append(held)
        if made is not None and shared:
            name = keys.lock(made.locks.prefix, f"crewops-rehearsal-{nonce}")
            made.guard.call("lock", lambda client: client.pexpire(name, LOCK_MS))

    def found(nonce: str) -> bool:
        """Whether somebody holds it."""
        if _held:
            return True  # it is this process, which would wait for itself
        try:
            with crewai_core.lock_store.lock(f"crewops-rehearsal-{nonce}", timeout=LOCK_SECONDS):
                return False
        except Exception as error:
            if "held" in str(error) or "Lock" in type(error).__name__:
                return True
            raise

    return Exercise(Store("locks", "crewai's", "redis" if shared else "files"), write, found)
