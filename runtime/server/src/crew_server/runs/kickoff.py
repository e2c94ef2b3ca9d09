"""One kickoff in this server: the occupant of its slot, and the one place where it is decided how it ends."""

import asyncio
import json
from collections.abc import Callable, Mapping
from typing import Any

from crew_runtime.contract import frames
from crew_server.metrics import Metrics
from crew_server.runs import state, store
from crew_server.worker.slots import SILENCE, Child


class Kickoff:
    """A kickoff from its acceptance until its end is in Redis.

    `decide` holds the line within this process: the first end wins, and what a slot still sends is late. The line
    between replicas is held by Redis.
    """

    def __init__(
        self,
        request: state.Request,
        slot_memory: int,
        metrics: Metrics,
        on_end: "Callable[[Kickoff, state.Outcome], None]",
    ) -> None:
        self.request = request
        self.progress = state.Progress(request.tasks)
        self.outcome: state.Outcome | None = None
        self.child: Child | None = None
        self.accepted_at = asyncio.get_running_loop().time()
        self.started_at: float | None = None
        self.ended_at: float | None = None
        self.timer: asyncio.TimerHandle | None = None
        self.guard_failures: list[dict[str, str]] = []
        self.guard_count = 0
        self.recorded = asyncio.Event()
        """The end is in Redis, this one's or another's."""
        self.reported = asyncio.Event()
        """The slot has nothing more to say about it."""
        self._slot_memory = slot_memory
        self._metrics = metrics
        self._on_end = on_end
        self._unsaved: dict[str, str] = {}

    @property
    def id(self) -> str:
        """The kickoff's id."""
        return self.request.kickoff_id

    def started(self, child: Child) -> None:
        """It has a slot."""
        self.child = child
        self.started_at = asyncio.get_running_loop().time()
        self.unstored()

    def decide(self, outcome: state.Outcome) -> bool:
        """End it so, unless it has ended."""
        if self.outcome is not None:
            return False
        self.outcome = outcome
        self.ended_at = asyncio.get_running_loop().time()
        if self.timer is not None:
            self.timer.cancel()
        self._on_end(self, outcome)
        return True

    def take_unsaved(self) -> Mapping[str, str]:
        """Fields that Redis has not got yet; put back with `untake` when it did not get them."""
        unsaved, self._unsaved = self._unsaved, {}
        return unsaved

    def unstored(self) -> None:
        """Redis has no record of it: say again what it was told."""
        if self.started_at is not None:
            self._unsaved |= {"started_at": "NOW", "progress": json.dumps(self.progress.to_dict())}

    def untake(self, fields: Mapping[str, str]) -> None:
        """The fields did not reach Redis."""
        self._unsaved = {**fields, **self._unsaved}

    def last_fields(self) -> dict[str, str]:
        """What goes with the end: progress and the failures of the memory backend."""
        fields = {key: value for key, value in self._unsaved.items() if key != "started_at"}
        if self.started_at is not None and self.ended_at is not None:
            fields["execution_ms"] = str(round((self.ended_at - self.started_at) * 1000))
        if self.guard_count:
            fields["memory_failures"] = json.dumps({"count": self.guard_count, "first": self.guard_failures})
        return fields

    def view(self, replica: str) -> dict[str, Any]:
        """What a client sees of it when Redis cannot be asked."""
        fields = {
            "status": state.RUNNING,
            "kickoff_id": self.id,
            "session_id": self.request.session_id,
            "replica": replica,
            "attempt": str(self.request.attempt),
            "progress": json.dumps(self.progress.to_dict()),
        }
        now = asyncio.get_running_loop().time()
        if self.started_at is not None:
            fields["started_at"] = str(round(self.started_at * 1000))
        if self.outcome is not None:
            fields |= {"status": self.outcome.status, **store.outcome_fields(self.outcome), **self.last_fields()}
        return state.view(fields, round(now * 1000))

    # -- slots.Occupant -------------------------------------------------------------------------------------------

    def on_frame(self, frame: frames.Frame) -> None:
        """The slot sent something about this kickoff."""
        kind = frame["t"]
        if kind == frames.EVENT:
            self.progress = self.progress.after(frame)
            self._unsaved["progress"] = json.dumps(self.progress.to_dict())
        elif kind == frames.GUARD:
            self._guard(frame)
        elif kind in (frames.RESULT, frames.ERROR) and frame.get("id") == self.id:
            self.reported.set()
            self.decide(state.completed(frame) if kind == frames.RESULT else state.failed(frame))

    def on_lost(self, how: state.Exit | None, why: str) -> None:
        """The slot is gone."""
        self.reported.set()
        if why == "worker":
            self.decide(state.WORKER_LOST)
        elif why == "protocol":
            self.decide(state.BABBLED)
        elif why == "wedged":
            self.decide(state.wedged(SILENCE))
        else:
            self.decide(state.lost(how, self._slot_memory))

    def _guard(self, frame: Mapping[str, Any]) -> None:
        self.guard_count += 1
        self._metrics.guard_failure(frame.get("op"), frame.get("kind"))
        if len(self.guard_failures) < state.MAX_GUARD_FAILURES:
            self.guard_failures.append({key: str(frame.get(key, ""))[:500] for key in ("op", "kind", "error")})
