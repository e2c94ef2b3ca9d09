"""What a running kickoff has finished, kept in Redis so that an attempt after a loss goes on behind it.

In: the `finished` and `begun` frames of its slot. Out: the kickoff's rows in Redis, written at once under its fence;
the same rows in the `run` frame of the next attempt; what a client is shown of them. Only slots read a row.
"""

import asyncio
import json
from collections.abc import Callable, Iterable, Mapping
from typing import TYPE_CHECKING, Any, Final

from crew_runtime.contract import frames
from crew_server.execution.rounds import Rounds
from crew_server.logs import Log
from crew_server.queue import state
from crew_server.queue.queue import Queue

if TYPE_CHECKING:
    from crew_server.execution.kickoff import RunningKickoff

log = Log(__name__)

MAX_BYTES: Final = 4 * 1024 * 1024
"""Of all rows of a kickoff as JSON; the tasks behind what fits run again after a loss."""
MAX_FIELDS_BYTES: Final = 15 * 1024 * 1024
"""Of the rows and of what a pause saved, in one `run` frame; else without the rows."""
assert MAX_FIELDS_BYTES < frames.MAX_FRAME - 1024 * 1024  # noqa: S101 - inputs come on top
MAX_TEXT = 1000
"""Characters of a task's name, or of a reason, that a client is shown."""


class Finished:
    """The rows of one kickoff, and how many of them Redis has."""

    def __init__(self, rows: Iterable[str] = ()) -> None:
        self.rows = list(rows)
        self.stored = len(self.rows)
        self.keeping = asyncio.Lock()
        self.revision = 0
        """Changes when a row is replaced."""

    def take(self, frame: frames.Frame) -> bool:
        """A `finished` frame; whether there is a row for Redis: one that is too long, or behind a gap, is not kept."""
        index, row = frame.get("index"), frame.get("row")
        if not isinstance(index, int) or not 0 <= index <= len(self.rows) or not isinstance(row, Mapping):
            return False
        text = json.dumps(row, separators=(",", ":"))
        if index < len(self.rows):
            del self.rows[index:]
            self.revision += 1
        self.stored = min(self.stored, index)
        if sum(map(len, self.rows)) + len(text) > MAX_BYTES:
            return False
        self.rows.append(text)
        return True


class Keeper:
    """Writes the rows of this server's kickoffs."""

    def __init__(self, queue: Queue, running: "Callable[[], Iterable[RunningKickoff]]") -> None:
        self._queue = queue
        self.rounds = Rounds(running, self._keep_running, "finished tasks not kept yet")

    async def _keep_running(self, kickoff: "RunningKickoff") -> None:
        if not kickoff.over:
            await self.keep(kickoff)

    async def keep(self, kickoff: "RunningKickoff") -> None:
        """All that this kickoff has finished. Raises BackendError; what was not written stays."""
        finished = kickoff.finished
        async with finished.keeping:
            while finished.stored < len(finished.rows):
                first, revision = finished.stored, finished.revision
                stored = await self._queue.keep(kickoff.claim, finished.rows[first:], first)
                if stored < 0:
                    return
                if finished.revision == revision:
                    finished.stored = stored


def run_fields(claim: state.Claim, *, keep: bool) -> dict[str, Any]:
    """What a `run` frame says of finished tasks."""
    size = sum(map(len, claim.finished))
    if claim.resume is not None and claim.finished:
        size += len(json.dumps(claim.resume.saved))
    try:
        rows = [json.loads(one) for one in claim.finished] if size <= MAX_FIELDS_BYTES else []
    except ValueError:
        log.warning("finished tasks cannot be read: they run again", kickoff_id=claim.request.kickoff_id)
        rows = []
    return {"keep": keep, "finished": rows}


def begun_fields(frame: frames.Frame) -> dict[str, str]:
    """What is stored of a `begun` frame."""
    named = {"resumed_from_task": frame.get("task"), "restarted_because": frame.get("why")}
    # Without lone surrogates, which Redis' encoding does not take.
    return {name: str(one).encode("utf-8", "replace").decode()[:MAX_TEXT] for name, one in named.items() if one}


def completed(frame: frames.Frame) -> int:
    """How many tasks are done already, of a `begun` frame."""
    number = frame.get("completed")
    return number if isinstance(number, int) and number >= 0 else 0
