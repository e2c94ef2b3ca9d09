"""The answers of the processes -> what is shared, what is local, and why. Pure."""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from enum import StrEnum

from crew_runtime.contract.rehearsal import OWN, STAND_IN, Answer, Store
from crew_runtime.contract.report import StateKind
from crewctl.findings import Finding, Level, failed
from crewctl.verify.facts import Outcome, Pair

LOCAL_ENGINES = frozenset({"lancedb", "qdrant-edge", "sqlite", "chromadb", "files", "process"})
SHARED_ENGINES = frozenset({"redis", "postgres"})
_OWN_STORAGE = "give Memory no storage=: memory=True, or Memory(...) without it, is put on the shared backend"
_REMEDIES = {
    "memory": _OWN_STORAGE,
    "flow": "use @persist without persistence=: the runtime puts it on the shared backend",
    "locks": "do not call set_lock_backend in the crew's code",
    "conversation": "mark the flow with @persist(): a conversation is kept by its flow's persistence",
    "knowledge": "give Knowledge no storage=: the runtime puts it on the shared backend",
    "task-outputs": "use a crewai that this runtime supports: docs/state.md",
    "checkpoints": "leave provider= out of the CheckpointConfig: the runtime puts the default's on the shared backend",
}


@dataclass(frozen=True)
class Row:
    """A kind of state."""

    state: str
    lies_in: str
    finding: Finding
    exercised: bool = True
    """By two processes; else only looked at."""


class Result(StrEnum):
    """What a check comes to."""

    PASSED = "passed"
    """State is shared, and a rehearsed kickoff worked of which nothing of the crew's own code was left out."""
    NOT_SEEN = "not seen"
    """State is shared; whether a kickoff works was not seen."""
    FAILED = "failed"


@dataclass(frozen=True)
class Verdict:
    """What is said in the end."""

    rows: tuple[Row, ...]
    today: tuple[str, ...]
    """What happens without the runtime, a line for each store."""
    notes: tuple[str, ...]
    failure: str = ""
    """Why nothing could be looked at."""
    unseen: tuple[str, ...] = ()
    """What the rehearsal of the kickoff did not see, and by which a kickoff may fail."""

    @property
    def result(self) -> Result:
        """The worst of what was found."""
        if self.failure or failed(row.finding for row in self.rows):
            return Result.FAILED
        return Result.NOT_SEEN if self.unseen else Result.PASSED

    def passes(self, *, strict: bool) -> bool:
        """Whether a build goes on. `strict`: only when the kickoff was seen to work.

        Without, what was not seen is none of the author's faults: nobody could ever mend it in a crew with a callback.
        """
        return self.result is Result.PASSED or (self.result is Result.NOT_SEEN and not strict)


def judge(outcome: Outcome) -> Verdict:
    """All that the answers say."""
    notes = tuple(_notes(outcome))
    pair = outcome.shared
    if failure := _failure(pair):
        return Verdict((), (), notes, failure)
    rows = [_of_store(pair, store) for store in pair.write.stores]
    rows += _of_kinds(pair.write, rows)
    unseen = tuple(_unseen_of_kickoff(pair.write))
    return Verdict(tuple(rows), tuple(_today(outcome.alone)), notes, unseen=unseen)


def _unseen_of_kickoff(answer: Answer) -> Iterator[str]:
    if answer.note:
        yield f"the rehearsal came to no end that says anything: {answer.note}"
    yield from (f"not run: {words}" for words in answer.left_out)


def _failure(pair: Pair) -> str:
    for one in (pair.write, pair.read):
        if one is not None and one.reason:
            return "\n".join(part for part in (f"{one.reason}: {one.message}", one.detail) if part)
    return ""


def _of_store(pair: Pair, written: Store) -> Row:
    read = _match(pair.read, written)
    where = f"{written.engine} {written.place}".strip()
    level, message, remedy = _judged(written, read)
    return Row(_title(written), where, Finding(level, _title(written), message, remedy))


def _judged(written: Store, read: Store | None) -> tuple[Level, str, str]:
    remedy = _REMEDIES[written.kind]
    if written.read_only:
        return Level.OK, "read only: the crew remembers nothing in it", ""
    if written.error:
        return Level.FAIL, f"process A could not write: {written.error}", _of_error(written)
    if written.engine == "process":
        return Level.FAIL, "nothing keeps it: each turn has a process of its own, and starts empty", remedy
    if not written.found:
        return Level.FAIL, "not even the process that wrote it finds it", "check the storage that the crew gives it"
    if read is None or read.error:
        why = read.error if read is not None else "it has no such store"
        return Level.FAIL, f"process B could not read: {why}", _of_error(written)
    if not read.found:
        return Level.FAIL, "process A remembered, process B did not find it: it survives in one process only", remedy
    if written.engine in LOCAL_ENGINES:
        return Level.FAIL, "process B found it, but in a file: two pods share no disk", remedy
    if written.engine not in SHARED_ENGINES:
        text = "process B found it, in a storage of the crew's own; whether two pods reach it only you know"
        return Level.WARN, f"{text}, and MemoryShared will say LocalFallback", _OWN_STORAGE
    if read.leaked:
        return Level.FAIL, "another session found it as well", "report this: sessions have to be kept apart"
    return Level.OK, "process A remembered, process B found it", ""


def _of_error(store: Store) -> str:
    if store.embedder != OWN:
        return "read the error; the crew's own storage may have raised it"
    return "read the error; with --embedder stand-in the crew's own embedder is left out"


def _of_kinds(answer: Answer, rows: Sequence[Row]) -> Iterator[Row]:
    """The kinds of state that no process has exercised, as the runtime found them in force."""
    exercised = {store.kind for store in answer.stores}
    warned = {row.state.partition(" ")[0] for row in rows if row.finding.level is not Level.OK}
    for kind in answer.state:
        if kind.by_nature:
            continue  # nobody needs another's; docs/state.md names them
        if kind.local and kind.kind not in warned:
            yield _local(kind)
        elif kind.kind not in exercised:
            yield _unseen(kind)


def _unseen(kind: StateKind) -> Row:
    """What is not exercised is not called shared."""
    if kind.backend == "unused":
        return Row(kind.kind, kind.backend, Finding(Level.OK, kind.kind, "not used by the crew"), exercised=False)
    text = "the runtime moved it, but this version of it does not exercise it: install the runtime of this crewctl"
    return Row(kind.kind, kind.backend, Finding(Level.WARN, kind.kind, text), exercised=False)


def _local(kind: StateKind) -> Row:
    remedy = _REMEDIES.get(kind.kind, "see docs/state.md: what of this kind can be shared, and what cannot")
    return Row(
        kind.kind, kind.backend, Finding(Level.FAIL, kind.kind, f"local: {kind.detail}", remedy), exercised=False
    )


def _today(pair: Pair) -> Iterator[str]:
    if failure := _failure(pair):
        yield f"not seen: {failure.splitlines()[0]}"
        return
    if not pair.write.stores:
        yield "the crew keeps no memory"
    for store in pair.write.stores:
        read = _match(pair.read, store)
        where = f"{_title(store)}, in {store.engine}"
        if store.error:
            yield f"{where}: not seen: {store.error}"
        elif store.read_only:
            yield f"{where}: read only"
        elif read is not None and read.found:
            yield f"{where}: what process A remembered, process B found"
        else:
            yield f"{where}: what process A remembered, process B did not find"


def _notes(outcome: Outcome) -> Iterator[str]:
    answer = outcome.shared.write
    if outcome.placeholders:
        yield "placeholders stood in for API keys: the crew could not be built without"
    for store in answer.stores:
        if store.embedder == STAND_IN:
            why = f"a stand-in embedded the texts ({store.embedder_note})"
            yield f"{_title(store)}: {why}; --embedder own uses the crew's"
    if not answer.reason and not any(store.kind == "memory" for store in answer.stores):
        yield "the crew keeps no memory (memory=True switches it on): there was nothing to exercise"


def _match(answer: Answer | None, store: Store) -> Store | None:
    found = (one for one in (answer.stores if answer else ()) if (one.kind, one.owner) == (store.kind, store.owner))
    return next(found, None)


def _title(store: Store) -> str:
    """`memory`, `memory of agent Host`, `flow (2)`: a crew's and a flow's own need no owner."""
    owner, _, number = store.owner.partition(" (")
    if owner not in ("crew", "flow", "crewai's"):
        return f"{store.kind} of {store.owner}"
    return f"{store.kind} ({number}" if number else store.kind
