"""Asks the prober slot for a proof: a write, read or erasure through CrewAI's own memory, in the crew's interpreter."""

import asyncio
from typing import Any

from crew_runtime.contract import frames
from crew_runtime.contract.replica_reasons import ApiReason
from crew_server.errors import NotReadyError
from crew_server.logs import Log
from crew_server.metrics import Metrics
from crew_server.worker.exits import Exit
from crew_server.worker.slots import Child, Slots

log = Log(__name__)

ACTIONS = ("write", "read", "forget")
DEADLINE = 5.0
"""Seconds, waiting for an earlier proof included; the operator's own deadline is longer."""


class Prober:
    """One proof at a time."""

    def __init__(self, slots: Slots, metrics: Metrics) -> None:
        self._slots = slots
        self._metrics = metrics
        self._turn = asyncio.Lock()
        self._n = 0

    async def prove(self, action: str, nonce: str) -> dict[str, Any]:
        """{ok, found, via, seconds, error}. Raises NotReadyError when there is no prober."""
        begun = asyncio.get_running_loop().time()
        asked: _Asked | None = None
        try:
            async with asyncio.timeout(DEADLINE), self._turn:
                asked = self._ask(action, nonce)
                answer = await asked.answer
        except TimeoutError:
            if asked is not None and asked.child is not None:
                self._slots.kill(asked.child)
            answer = {"ok": False, "error": f"the process that checks memory did not answer within {DEADLINE:g} s"}
        finally:
            if asked is not None and asked.child is not None:
                self._slots.done(asked.child)
        seconds = asyncio.get_running_loop().time() - begun
        return {
            "ok": answer.get("ok") is True,
            "found": answer.get("found") is True,
            "via": answer.get("via"),
            "seconds": answer.get("seconds", round(seconds, 4)),
            "error": answer.get("error"),
        }

    def _ask(self, action: str, nonce: str) -> "_Asked":
        self._n += 1
        asked = _Asked(self._n, self._metrics)
        child = self._slots.take_prober(asked)
        if child is None:
            raise NotReadyError(
                ApiReason.NO_PROBER, "the worker has no process yet that could check memory", retry_after=2
            )
        asked.child = child
        self._slots.tell(child, frames.PROOF, n=self._n, action=action, nonce=nonce)
        return asked


class _Asked:
    """The prober's occupant while it proves."""

    def __init__(self, n: int, metrics: Metrics) -> None:
        self.child: Child | None = None
        self.answer: asyncio.Future[frames.Frame] = asyncio.get_running_loop().create_future()
        self._n = n
        self._metrics = metrics

    def on_frame(self, frame: frames.Frame) -> None:
        """slots.Occupant."""
        if frame["t"] == frames.PROOF_RESULT and frame.get("n") == self._n and not self.answer.done():
            self.answer.set_result(frame)
        elif frame["t"] == frames.GUARD:
            self._metrics.guard_failure(frame.get("op"), frame.get("kind"))

    def on_lost(self, how: Exit | None, why: str) -> None:
        """slots.Occupant."""
        if not self.answer.done():
            error = f"the process that checks memory ended before it answered ({why or how})"
            self.answer.set_result({"ok": False, "error": error})
