"""One kickoff in this server: the occupant of its slot, and the one place where it is decided how it ends."""

import asyncio
import dataclasses
import json
from collections.abc import Callable, Mapping
from typing import Any

from crew_runtime.contract import frames
from crew_server.execution import progress
from crew_server.execution.progress import Finished
from crew_server.metrics import Metrics
from crew_server.queue import record, state
from crew_server.worker.exits import Exit
from crew_server.worker.slots import SILENCE, Child

MAX_UNTOLD = 1000
"""Events that wait for a Redis that is away; what comes then is not told."""
MAX_UNTOLD_BYTES = 4 * 1024 * 1024
"""Of all of them as JSON: each may have 64 KiB, and every slot of the replica as many."""
_OUTCOMES = {frames.RESULT: state.completed, frames.PAUSED: state.paused, frames.ERROR: state.failed}


class RunningKickoff:
    """A kickoff from its claim until its end is in Redis, or it is somebody else's.

    `decide` and `leave` hold the line within this process: the first wins, and what a slot still sends is late. The
    line between replicas is held by Redis.
    """

    def __init__(
        self,
        claim: state.Claim,
        tasks: int | None,
        slot_memory: int,
        metrics: Metrics,
        on_over: "Callable[[RunningKickoff], None]",
        on_event: Callable[[], None],
        on_finished: Callable[[], None],
    ) -> None:
        self.claim = claim
        self.progress = state.Progress(tasks, completed_tasks=claim.completed)
        self.outcome: state.Outcome | None = None
        self.left = ""
        """Why this server has nothing more to do with it, though it has not ended here."""
        self.child: Child | None = None
        self.stopped = False
        """Whether its slot was asked to end it."""
        self.started_at = asyncio.get_running_loop().time()
        self.ended_at: float | None = None
        self.timer: asyncio.TimerHandle | None = None
        self.guard_failures: list[dict[str, str]] = []
        self.guard_count = 0
        self.recorded = asyncio.Event()
        """Redis has its end, or that it is not ours any more."""
        self.reported = asyncio.Event()
        """The slot has nothing more to say about it, or is gone."""
        self._slot_memory = slot_memory
        self._metrics = metrics
        self.finished = Finished(claim.finished)
        self._begun: dict[str, str] = {}
        self._on_over = on_over
        self._on_event = on_event
        self._on_finished = on_finished
        self.untold: list[state.Event] = []
        """Events that Redis has not got yet."""
        self.told_events = 0
        """How many it has."""
        self.telling = asyncio.Lock()
        self._unsaved: dict[str, str] = {"progress": json.dumps(self.progress.to_dict())}

    @property
    def id(self) -> str:
        """The kickoff's id."""
        return self.claim.request.kickoff_id

    @property
    def request(self) -> state.Request:
        """What was asked for."""
        return self.claim.request

    @property
    def over(self) -> bool:
        """Whether nothing that its slot still sends counts."""
        return self.outcome is not None or bool(self.left)

    @property
    def seconds(self) -> float:
        """Since it has its slot, until its end."""
        return (self.ended_at or asyncio.get_running_loop().time()) - self.started_at

    @property
    def memory_trouble(self) -> str:
        """What the crew's memory failed by, in one sentence."""
        first = self.guard_failures[0] if self.guard_failures else {"op": "unknown", "error": "not told"}
        return f"the crew's memory failed {self.guard_count} times, first: {first['op']}: {first['error']}"

    def decide(self, outcome: state.Outcome) -> bool:
        """End it so, unless it is over."""
        if self.over:
            return False
        self.outcome = outcome
        self._close()
        return True

    def leave(self, why: str) -> bool:
        """It has ended elsewhere, or is another server's; unless it is over here."""
        if self.over:
            return False
        self.left = why
        self._close()
        return True

    def take_unsaved(self) -> Mapping[str, str]:
        """Fields that Redis has not got yet; put back with `untake` when it did not get them."""
        unsaved, self._unsaved = self._unsaved, {}
        return unsaved

    def untake(self, fields: Mapping[str, str]) -> None:
        """The fields did not reach Redis."""
        self._unsaved = {**fields, **self._unsaved}

    def told(self) -> dict[str, str]:
        """All that Redis was told of it since its start."""
        return {"progress": json.dumps(self.progress.to_dict()), **self._begun}

    def last_fields(self) -> dict[str, str]:
        """What goes with the end: progress and the failures of the memory backend."""
        return {**self.pause_fields(), "execution_ms": str(round(self.seconds * 1000))}

    def pause_fields(self) -> dict[str, str]:
        """What goes with a pause."""
        fields = self.told()
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
            "attempt": str(self.claim.attempt),
            "started_at": str(round(self.started_at * 1000)),
            **self.told(),
        }
        if self.outcome is not None:
            fields |= {"status": self.outcome.status, **record.outcome_fields(self.outcome), **self.last_fields()}
        return state.view(fields, round(asyncio.get_running_loop().time() * 1000))

    # -- slots.Occupant -------------------------------------------------------------------------------------------

    def on_frame(self, frame: frames.Frame) -> None:
        """The slot sent something about this kickoff."""
        kind = frame["t"]
        if kind == frames.EVENT:
            self.progress = self.progress.after(frame)
            self._unsaved["progress"] = json.dumps(self.progress.to_dict())
            if (event := state.event(frame)) is not None and self._takes(event):
                self.untold.append(event)
                self._on_event()
        elif kind == frames.GUARD:
            self._guard(frame)
        elif kind == frames.FINISHED and frame.get("id") == self.id:
            if self.finished.take(frame):
                self._on_finished()
        elif kind == frames.BEGUN and frame.get("id") == self.id:
            self._begun = progress.begun_fields(frame)
            self.progress = dataclasses.replace(self.progress, completed_tasks=progress.completed(frame))
            self._unsaved |= self.told()
        elif kind in _OUTCOMES and frame.get("id") == self.id:
            self.reported.set()
            self.decide(_OUTCOMES[kind](frame))

    def on_lost(self, how: Exit | None, why: str) -> None:
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

    def _takes(self, event: state.Event) -> bool:
        waiting = sum(len(one.data) for one in self.untold)
        return len(self.untold) < MAX_UNTOLD and waiting + len(event.data) <= MAX_UNTOLD_BYTES

    def _guard(self, frame: Mapping[str, Any]) -> None:
        self.guard_count += 1
        self._metrics.guard_failure(frame.get("op"), frame.get("kind"))
        if len(self.guard_failures) < state.MAX_GUARD_FAILURES:
            self.guard_failures.append({key: str(frame.get(key, ""))[:500] for key in ("op", "kind", "error")})

    def _close(self) -> None:
        self.ended_at = asyncio.get_running_loop().time()
        if self.timer is not None:
            self.timer.cancel()
        self._on_over(self)
