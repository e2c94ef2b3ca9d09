"""The stores that a loaded crew keeps its state in -> a nonce written to each of them, or looked for.

Through the crew's own Memory objects as they were set up: their storage and their root scope. Only what costs money is
replaced: the LLM, which is never asked anything of weight, and an embedder that needs a key.
"""

from collections import Counter
from collections.abc import Callable, Iterable, Iterator
from contextlib import AbstractContextManager
from dataclasses import dataclass, replace
from typing import Any

from crewai.events.event_bus import crewai_event_bus
from crewai.llms.base_llm import BaseLLM

from crew_runtime.contract.rehearsal import OWN, STAND_IN, Store
from crew_runtime.crewai.loading.load import Loaded, Made
from crew_runtime.crewai.proofs import exercises
from crew_runtime.crewai.proofs.exercises import Exercise
from crew_runtime.crewai.rehearsing import embedders

SCOPE = "/crewops/rehearsal"
SESSION = "crewops-rehearsal"
STRANGER = "crewops-stranger"
NEAREST = 5

InSession = Callable[[str], AbstractContextManager[None]]
"""Binds what runs within to a session."""

_ENGINES = {
    "RedisStorage": "redis",
    "RedisFlowPersistence": "redis",
    "LanceDBStorage": "lancedb",
    "QdrantEdgeStorage": "qdrant-edge",
    "SQLiteFlowPersistence": "sqlite",
    "RedisKnowledgeStorage": "redis",
    "KnowledgeStorage": "chromadb",
}


@dataclass(frozen=True)
class Opened:
    """A store, and what there is to say of it before it is used."""

    store: Store
    target: Any
    """CrewAI's Memory, a scope or slice of one, or a FlowPersistence; or an Exercise."""


def opened(made: Made, embedder: str) -> list[Opened]:
    """All of them. `embedder`: one of `contract.rehearsal.EMBEDDERS`."""
    if made.is_flow:
        memories = [("flow", getattr(made.target, "memory", None))]
        persistences = [("flow", one) for one in _persistences(made.target)]
    else:
        memories = [("crew", getattr(made.target, "_memory", None)), *_of_agents(made.target)]
        persistences = []
    distinct = {id(one): (owner, one) for owner, one in memories if hasattr(_backing(one), "remember")}
    return [_memory(owner, one, embedder) for owner, one in _told_apart(distinct.values())] + [
        Opened(Store("flow", owner, _engine(one), str(getattr(one, "db_path", "") or "")), one)
        for owner, one in _told_apart(persistences)
    ]


def exercised(loaded: Loaded, made: Made) -> list[Opened]:
    """Every other kind of state."""
    found = list(exercises.of(loaded, made, _engine))
    kinds = dict.fromkeys(one.store.kind for one in found)
    return [
        Opened(replace(one.store, owner=owner), one)
        for kind in kinds
        for owner, one in _told_apart((one.store.owner, one) for one in found if one.store.kind == kind)
    ]


def write(one: Opened, nonce: str, in_session: InSession) -> Store:
    """The store with the nonce written, and whether this process itself finds it.

    An error is told, not raised: a user's embedder may raise anything.
    """
    store = one.store
    if store.read_only:
        return replace(store, done=True)
    try:
        with in_session(SESSION), crewai_event_bus.scoped_handlers():
            if isinstance(one.target, Exercise):
                one.target.write(nonce)
            elif store.kind == "flow":
                one.target.save_state(_id(nonce), "crewops_rehearsal", {"id": _id(nonce), "nonce": nonce})
            else:
                _remember(one.target, nonce)
            found = _found(one, nonce)
    except Exception as error:  # noqa: BLE001 - as said
        return replace(store, error=f"{type(error).__name__}: {error}")
    return replace(store, done=True, found=found)


def read(one: Opened, nonce: str, in_session: InSession) -> Store:
    """The store with whether the nonce was found, also by another session."""
    store = one.store
    if store.read_only:
        return replace(store, done=True)
    try:
        with crewai_event_bus.scoped_handlers():
            with in_session(SESSION):
                found = _found(one, nonce)
            with in_session(STRANGER):
                leaked = _of_session(one) and _found(one, nonce)
    except Exception as error:  # noqa: BLE001 - as above
        return replace(store, error=f"{type(error).__name__}: {error}")
    return replace(store, done=True, found=found, leaked=leaked)


def _of_session(one: Opened) -> bool:
    return one.target.of_session if isinstance(one.target, Exercise) else one.store.kind == "memory"


def _remember(view: Any, nonce: str) -> None:
    memory, scope = _backing(view), _scope(view)
    # All that CrewAI would ask an LLM for is given. A slice remembers nothing by itself: it reads what others wrote.
    (memory if hasattr(view, "scopes") else view).remember(
        _text(nonce),
        scope=scope,
        categories=["rehearsal"],
        metadata={"nonce": nonce},
        importance=0.5,
        source="crewops",
    )
    memory.drain_writes()


def _scope(view: Any) -> str:
    scopes = getattr(view, "scopes", None)
    return f"{scopes[0].rstrip('/')}{SCOPE}" if scopes else SCOPE


def _found(one: Opened, nonce: str) -> bool:
    if isinstance(one.target, Exercise):
        return one.target.found(nonce)
    if one.store.kind == "flow":
        state = one.target.load_state(_id(nonce))
        return bool(state and state.get("nonce") == nonce)
    matches = one.target.recall(_text(nonce), **_where(one.target), limit=NEAREST, depth="shallow", source="crewops")
    return any(match.record.content == _text(nonce) for match in matches)


def _where(view: Any) -> dict[str, Any]:
    return {} if hasattr(view, "scopes") else {"scope": SCOPE}


def _memory(owner: str, view: Any, wanted: str) -> Opened:
    memory = _backing(view)
    used, note = OWN, ""
    if wanted == STAND_IN:
        used, note = STAND_IN, "asked for"
    elif wanted != OWN and (why := _needs_a_key(memory.embedder)):
        used, note = STAND_IN, why
    memory._llm_instance = _SilentLLM(model="none")
    if used == STAND_IN:
        memory._embedder_instance = embedders.vectors
    storage = memory._storage
    place = str(getattr(storage, "_path", "") or "")
    return Opened(Store("memory", owner, _engine(storage), place, used, note, memory.read_only), view)


def stands_in(wanted: str) -> Callable[[Any], bool]:
    """Which embedders are replaced in what is not a Memory: built ones, so it is their class that tells."""
    return lambda embedder: wanted == STAND_IN or (wanted != OWN and bool(_needs_a_key(embedder)))


def _needs_a_key(embedder: Any) -> str:
    """Why this embedder cannot be counted on without a key and a network; `` for the crew's own code."""
    if embedder is None:
        return "the crew names no embedder: CrewAI's default is OpenAI's"
    if isinstance(embedder, dict):
        provider = str(embedder.get("provider") or "openai")
        return "" if provider == "custom" else f"the crew's is {provider}'s"
    module = type(embedder).__module__.partition(".")[0]
    return f"the crew's is {type(embedder).__name__}" if module in ("crewai", "chromadb") else ""


def _of_agents(crew: Any) -> Iterator[tuple[str, Any]]:
    for agent in crew.agents:
        yield f"agent {agent.role.strip()}", getattr(agent, "memory", None)
    if crew.manager_agent is not None:
        yield "manager", getattr(crew.manager_agent, "memory", None)


def _backing(view: Any) -> Any:
    """The Memory behind a scope or a slice of it."""
    return getattr(view, "_memory", None) or view


def _told_apart(owned: Iterable[tuple[str, Any]]) -> Iterator[tuple[str, Any]]:
    """The second of a name gets a number: both processes have to mean the same store."""
    seen: Counter[str] = Counter()
    for owner, one in owned:
        seen[owner] += 1
        yield (f"{owner} ({seen[owner]})" if seen[owner] > 1 else owner), one


def _persistences(flow: Any) -> Iterable[Any]:
    """Those of `@persist`, on the class and on methods, and one that the flow was made with."""
    marked = [type(flow), *vars(type(flow)).values()]
    configs = [getattr(one, "__flow_persistence_config__", None) for one in marked]
    found = [getattr(flow, "persistence", None), *(getattr(one, "persistence", None) for one in configs)]
    return {_engine(one) + str(getattr(one, "db_path", "")): one for one in found if one is not None}.values()


def _engine(storage: object) -> str:
    return _ENGINES.get(type(storage).__name__, type(storage).__name__)


def _id(nonce: str) -> str:
    return f"{SESSION}-{nonce}"


def _text(nonce: str) -> str:
    return f"crewops rehearsal {nonce}"


class _SilentLLM(BaseLLM):
    """Says nothing. CrewAI makes its default LLM, which needs a key, unless it is given one; asked, it may be only
    whether two records are the same, when a crew's embedder finds the rehearsals of two memories alike."""

    def call(self, messages: Any, *_: Any, response_model: Any = None, **__: Any) -> Any:
        """The answer with all its defaults."""
        return "" if response_model is None else response_model()

    def supports_function_calling(self) -> bool:
        """Structured answers are asked for by `response_model`."""
        return True
