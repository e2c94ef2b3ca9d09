"""The outputs of the last kickoff's tasks, for `Crew.replay`, on the shared store: one HASH a session, a field a task.

CrewAI has no seam for them. It keeps one SQLite file a host, from which every kickoff deletes what any other wrote, and
whose locks and fsyncs all slots of a host wait for: without it 16 slots do twice as many kickoffs a second (measured,
crewai 1.15.30). Hence the one patch of this room: the class that `TaskOutputStorageHandler` makes.
"""

import contextlib
import inspect
import json
import logging
from collections.abc import Callable, Iterator, Mapping
from datetime import UTC, datetime
from itertools import chain
from typing import Any, ClassVar, TypeVar

from crewai.memory.storage import kickoff_task_outputs_storage as original
from crewai.task import Task
from crewai.utilities import task_output_storage_handler as handler
from crewai.utilities.crew_json_encoder import CrewJSONEncoder

from crew_runtime.contract import keys
from crew_runtime.durability import Command
from crew_runtime.errors import BackendError, CrewRuntimeError
from crew_runtime.guard.call import Guard
from crew_runtime.sessions import binding

log = logging.getLogger(__name__)
Answer = TypeVar("Answer")

TTL = 7 * 24 * 3600.0
"""Seconds that outputs are kept after the last write, as the kickoffs are, when sessions live for ever."""
PATCHED = "KickoffTaskOutputsSQLiteStorage"
EXPECTED: Mapping[str, tuple[str, ...]] = {
    "add": ("self", "task", "output", "task_index", "was_replayed", "inputs"),
    "update": ("self", "task_index", "kwargs"),
    "load": ("self",),
    "delete_all": ("self",),
}
"""Parameters of each method, of every CrewAI that the patch was tried with."""


class TaskOutputs:
    """The hashes in Redis."""

    def __init__(self, guard: Guard, prefix: str, session_ttl: float | None = None) -> None:
        self._guard = guard
        self._prefix = prefix
        self._ttl_ms = int((session_ttl or TTL) * 1000)

    def write(self, fields: Mapping[str, str], drop: tuple[str, ...] = ()) -> None:
        """Set some fields and remove others, all or none."""
        key = self._key()

        commands: list[Command] = [("HDEL", key, *drop)] if drop else []
        commands += [("HSET", key, *chain.from_iterable(fields.items())), ("PEXPIRE", key, self._ttl_ms)]
        self._guard.call("task-outputs", lambda client: self._guard.durability.transaction(client, *commands))

    def read(self) -> dict[str, str]:
        """All fields."""
        key = self._key()
        found = self._guard.call("task-outputs", lambda client: client.hgetall(key))
        return {name.decode(): value.decode() for name, value in found.items()}

    def drop(self) -> None:
        """Forget them all."""
        key = self._key()
        self._guard.call("task-outputs", lambda client: self._guard.durability.write(client, ("DEL", key)))

    def _key(self) -> str:
        return keys.task_outputs(self._prefix, binding.session())


class RedisTaskOutputsStorage:
    """In place of CrewAI's storage, with its methods.

    A failure is recorded by the guard, which makes the kickoff's memory `degraded` or the kickoff an error that carries
    its result; it never ends the crew's work half way.
    """

    outputs: ClassVar[TaskOutputs | None] = None
    """Set by `patch`; of the process."""

    def __init__(self, db_path: str | None = None) -> None:
        """`db_path` has no meaning here."""

    def add(
        self,
        task: Task,
        output: dict[str, Any],
        task_index: int,
        was_replayed: bool = False,
        inputs: dict[str, Any] | None = None,
    ) -> None:
        """Keep one task's output; that of the same task is replaced."""
        if _heard is not None:
            _heard(task, task_index)
        task_id = str(task.id)
        row = {
            "task_id": task_id,
            "task_key": task.key,
            "expected_output": task.expected_output,
            "output": output,
            "task_index": task_index,
            "inputs": inputs or {},
            "was_replayed": was_replayed,
            "timestamp": datetime.now(UTC).strftime("%Y-%m-%d %H:%M:%S"),
        }
        self._try(lambda store: store.write({task_id: _packed(row)}), None)

    def update(self, task_index: int, **kwargs: Any) -> None:
        """Change fields of the task with this index; one that is not there is logged, as CrewAI does."""

        def change(store: TaskOutputs) -> None:
            for name, row in _rows(store.read()).items():
                if row["task_index"] == task_index:
                    changed = {**row, **kwargs}
                    fresh = str(changed["task_id"])
                    store.write({fresh: _packed(changed)}, drop=() if fresh == name else (name,))
                    return
            log.warning("No row found with task_index %d. No update performed.", task_index)

        self._try(change, None)

    def load(self) -> list[dict[str, Any]]:
        """Of this session's last kickoff, in the order of its tasks; none when the store gave no answer."""
        rows: dict[str, dict[str, Any]] = self._try(lambda store: _rows(store.read()), {})
        return sorted(rows.values(), key=lambda row: int(row["task_index"]))

    def delete_all(self) -> None:
        """Of this session, at the start of its next kickoff."""
        self._try(lambda store: store.drop(), None)

    def _try(self, ask: Callable[[TaskOutputs], Answer], otherwise: Answer) -> Answer:
        if self.outputs is None:
            raise CrewRuntimeError("task outputs have no store yet: call crew_runtime.install() first")
        try:
            return ask(self.outputs)
        except BackendError as error:
            log.error("task outputs: %s", error)  # noqa: TRY400 - the guard has recorded it
            return otherwise


def patch(outputs: TaskOutputs) -> None:
    """Have every Crew keep its task outputs there; nothing is changed where `obstacle` finds something."""
    if not obstacle():
        RedisTaskOutputsStorage.outputs = outputs
        setattr(handler, PATCHED, RedisTaskOutputsStorage)


_heard: Callable[[Task, int], None] | None = None


@contextlib.contextmanager
def listen(heard: Callable[[Task, int], None]) -> Iterator[None]:
    """Call `heard` with each task that CrewAI counts as finished, and its index, in the crew's own thread."""
    global _heard
    before, _heard = _heard, heard
    try:
        yield
    finally:
        _heard = before


def obstacle() -> str:
    """Why the patch does not fit this CrewAI, or ``."""
    if not hasattr(handler, PATCHED):
        return f"this CrewAI's TaskOutputStorageHandler makes no {PATCHED}"
    found = getattr(original, PATCHED, None)
    for method, parameters in EXPECTED.items():
        one = getattr(found, method, None)
        if one is None or tuple(inspect.signature(one).parameters) != parameters:
            return f"{PATCHED}.{method} of this CrewAI is not the one that is known"
    return ""


def in_force() -> bool:
    """Whether a Crew made now keeps its task outputs on the shared store."""
    return getattr(handler, PATCHED, None) is RedisTaskOutputsStorage and RedisTaskOutputsStorage.outputs is not None


def _packed(row: Mapping[str, Any]) -> str:
    return json.dumps(row, cls=CrewJSONEncoder)


def _rows(fields: Mapping[str, str]) -> dict[str, dict[str, Any]]:
    return {name: json.loads(text) for name, text in fields.items()}
