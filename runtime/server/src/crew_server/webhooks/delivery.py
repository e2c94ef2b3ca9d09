"""Delivers what waits in the outbox: at least once, in order for each webhook, by whichever replica is there.

A receiver that is slow or away delays its own webhooks only: each host has a few deliveries at once, and no kickoff
waits for any. What fails is tried again for hours, then given up, which the kickoff's status and a metric tell.
"""

import asyncio
import collections
import contextlib
import json
import random
import time
from collections.abc import Mapping
from typing import Any
from urllib.parse import urlsplit

from crew_server.errors import BackendError
from crew_server.logs import Log
from crew_server.metrics import Metrics
from crew_server.webhooks import payloads
from crew_server.webhooks.outbox import Delivery, Outbox
from crew_server.webhooks.sending import ReceiverAnswer, Sender, SendError

log = Log(__name__)

AT_ONCE = 32
OF_ONE_HOST = 4
LOOK_EVERY = 5.0
"""Seconds after which one looks for what a dead replica left."""
RETRY_REDIS = 1.0
CLOSING = 3.0
"""Seconds that a shutdown waits for what is under way; what it does not finish another replica sends again."""
FIRST_PAUSE, LONGEST_PAUSE = 1.0, 600.0
MOST_TRIES = 30
"""Three and a half hours with these pauses."""
_AGAIN = {408, 425, 429}


def pause(tries: int, asked: float | None, chance: float) -> float:
    """Seconds until a delivery is tried again that failed `tries` times before; `chance` 0 to 1 spreads them."""
    wait: float = min(LONGEST_PAUSE, FIRST_PAUSE * 2 ** min(tries, 30))
    return max(wait * (0.75 + chance / 2), min(asked or 0.0, LONGEST_PAUSE))


class Deliverer:
    """The deliveries of one server."""

    def __init__(self, outbox: Outbox, sender: Sender, metrics: Metrics, key: bytes | None) -> None:
        self._outbox = outbox
        self._sender = sender
        self._metrics = metrics
        self._key = key
        self._tasks: set[asyncio.Task[None]] = set()
        self._hosts: collections.Counter[str] = collections.Counter()
        self._poked = asyncio.Event()

    def poke(self) -> None:
        """There may be something to deliver."""
        self._poked.set()

    async def run(self) -> None:
        """For ever."""
        while True:
            self._poked.clear()
            wait: float | None = LOOK_EVERY
            if len(self._tasks) < AT_ONCE:
                try:
                    taken, due = await self._outbox.take(AT_ONCE - len(self._tasks))
                except BackendError as error:
                    log.debug("webhooks cannot be checked", error=error.message)
                    taken, due = [], RETRY_REDIS
                for one in taken:
                    task = asyncio.get_running_loop().create_task(self._deliver(one))
                    self._tasks.add(task)
                    task.add_done_callback(self._done)
                wait = LOOK_EVERY if due is None else min(LOOK_EVERY, max(due, 0.01))
            try:
                async with asyncio.timeout(wait):
                    await self._poked.wait()
            except TimeoutError:
                continue

    async def close(self) -> None:
        """Let what is under way end, for a moment."""
        if self._tasks:
            await asyncio.wait(self._tasks, timeout=CLOSING)
        for task in list(self._tasks):
            task.cancel()
        await asyncio.gather(*self._tasks, return_exceptions=True)
        await self._sender.close()

    # -- inside ---------------------------------------------------------------------------------------------------

    def _done(self, task: "asyncio.Task[None]") -> None:
        self._tasks.discard(task)
        self.poke()
        if not task.cancelled() and (error := task.exception()) is not None:
            log.error("a delivery failed unforeseen", error=repr(error))

    async def _deliver(self, one: Delivery) -> None:
        try:
            kickoff = await self._outbox.kickoff(one.kickoff_id)
            hook = _hook(kickoff, one.channel)
            if hook is None:
                await self._settle(one, "abandoned", error="the kickoff is gone, or names no such receiver")
                return
            host = hook["url"]
            with contextlib.suppress(ValueError):
                host = urlsplit(host).netloc
            if self._hosts[host] >= OF_ONE_HOST:
                await self._settle(one, "later", random.uniform(0.5, 2.0))  # noqa: S311 - to spread them
                return
            self._hosts[host] += 1
            try:
                verdict = await self._attempt(one, kickoff, hook)
            finally:
                self._hosts[host] -= 1
            await self._settle(one, *verdict)
        except BackendError as error:
            # Its lease runs out, and it is delivered again: at least once.
            log.debug("a delivery could not be settled", kickoff_id=one.kickoff_id, error=error.message)

    async def _attempt(
        self, one: Delivery, kickoff: Mapping[str, str], hook: Mapping[str, Any]
    ) -> tuple[str, float, str]:
        """(what became of it, seconds until it is tried again, error).

        Whatever fails by itself fails for good: it would fail in the same way each time, for as long as the kickoff is
        kept.
        """
        try:
            content = payloads.body(one, kickoff, time.time_ns() // 1_000_000)
            sent = payloads.headers(one, content, hook.get("authentication", {}), self._key, int(time.time()))
            return await self._send(one, hook["url"], sent, content)
        except Exception as error:
            log.error("a delivery failed by a fault of the server", kickoff_id=one.kickoff_id, exc_info=error)  # noqa: TRY400
            return self._failed(one, None, f"cannot be sent: {type(error).__name__}", final=True)

    async def _send(self, one: Delivery, url: str, headers: dict[str, str], content: bytes) -> tuple[str, float, str]:
        try:
            answer = await self._sender.post(url, headers, content)
        except SendError as error:
            return self._failed(one, None, str(error), final=error.final)
        if 200 <= answer.status < 300:
            return "delivered", 0.0, ""
        final = answer.status < 500 and answer.status not in _AGAIN
        return self._failed(one, answer, f"the receiver answered {answer.status}", final=final)

    def _failed(
        self, one: Delivery, answer: ReceiverAnswer | None, error: str, *, final: bool
    ) -> tuple[str, float, str]:
        message = f"{one.channel} webhook: {error}"
        if final:
            return "failed", 0.0, message
        if one.tries + 1 >= MOST_TRIES:
            return "abandoned", 0.0, message
        asked = None if answer is None else answer.retry_after
        return "retry", pause(one.tries, asked, random.random()), message  # noqa: S311 - to spread them

    async def _settle(self, one: Delivery, what: str, seconds: float = 0.0, error: str = "") -> None:
        ended = await self._outbox.settle(one, what, seconds, error)
        if what != "later":
            self._metrics.webhooks.labels(one.channel, what).inc(max(1, ended))
        fields: dict[str, Any] = {"kickoff_id": one.kickoff_id, "channel": one.channel, "event_id": one.id}
        if what in ("failed", "abandoned"):
            log.error("webhook given up", error=error, deliveries=ended, **fields)
        elif what == "retry":
            log.warning("webhook not delivered yet", error=error, again_in=round(seconds, 1), **fields)


def _hook(kickoff: Mapping[str, str], channel: str) -> Mapping[str, Any] | None:
    """Where the channel is told, out of the stored fields; None when they name no receiver, or cannot be read."""
    try:
        hook = json.loads(kickoff.get("hooks", "{}")).get(channel)
    except (ValueError, AttributeError, RecursionError):
        return None
    return hook if isinstance(hook, Mapping) and isinstance(hook.get("url"), str) else None
