"""Writes that wait until they are as durable as the spec asks, in the round trip of the write itself.

In: scripts whose answer is a promise to a client. Out: their answers, or NotAcknowledgedError with what they answered.
They wait on connections of their own: what renews leases must not wait behind them.
"""

import contextlib
import time
from collections.abc import Sequence
from typing import Any, Protocol, cast

from redis import exceptions
from redis.commands.core import AsyncScript

from crew_runtime.contract import durability, redis_errors
from crew_server import redis_client
from crew_server.errors import NotAcknowledgedError

Argument = str | bytes | int | float


class Settings(Protocol):
    """What has to be known."""

    @property
    def key_prefix(self) -> str: ...  # noqa: D102 - as in settings.Settings
    @property
    def durability(self) -> str: ...  # noqa: D102
    @property
    def backend_deadline(self) -> float: ...  # noqa: D102


class Durability:
    """How the writes of one server process are acknowledged."""

    def __init__(self, client: redis_client.Client, settings: Settings, *, deadline: float | None = None) -> None:
        """`deadline`: of one call, seconds; that of the settings by default."""
        self._client = client
        self._prefix = settings.key_prefix
        self._wanted = settings.durability
        self._patience = durability.Patience(deadline or settings.backend_deadline, time.monotonic)
        self._sent: set[str] = set()
        """The scripts that the server knows, by their hash, unless it forgot them."""

    def begin(self) -> None:
        """The next one waits in full, however the last one ended."""
        self._patience.restored()

    async def run(self, script: AsyncScript, names: Sequence[str], arguments: Sequence[Any]) -> Any:
        """Run it and wait for what it wrote. What it answered.

        Raises NotAcknowledgedError, and redis-py's errors.
        """
        if self._wanted == durability.BUFFERED:
            return await script(names, arguments, client=cast("Any", self._client))
        command = ("EVALSHA", script.sha, len(names), *names, *arguments)
        # Also what waits behind an answer that is none is part of this call.
        until = self._patience.until()
        if script.sha in self._sent:
            with contextlib.suppress(exceptions.NoScriptError):  # another server, or it was started again
                return await self._waited_for(command, until)
        await self._client.script_load(script.script)
        self._sent.add(script.sha)
        return await self._waited_for(command, until)

    async def wait(self) -> None:
        """Wait for all that was written before, over whichever connection. Raises as `run`."""
        if self._wanted != durability.BUFFERED:
            await self._waited_for(None, self._patience.until())

    async def _waited_for(self, command: Sequence[Argument] | None, until: float) -> Any:
        begun = time.monotonic()
        answer, written, told = await self._ask(command, durability.count(self._wanted, self._prefix), until)
        if isinstance(written, exceptions.OutOfMemoryError):
            _, written, told = await self._ask(None, durability.touch(self._prefix), until)
        if written == 0:
            _, _, told = await self._ask(None, durability.mark(self._prefix), until)
        if durability.is_interrupted(told):
            raise exceptions.ConnectionError("another member became the primary meanwhile")
        if isinstance(told, Exception):
            said = redis_errors.shown(str(told))
            raise NotAcknowledgedError(durability.impossible(self._wanted, said), answer) from told
        if not durability.holds(self._wanted, told):
            self._patience.fell_short()
            redis_client.renew()  # its primary may be one that is cut off from the others
            raise NotAcknowledgedError(durability.shortfall(self._wanted, time.monotonic() - begun), answer)
        self._patience.restored()
        return answer

    async def _ask(
        self, command: Sequence[Argument] | None, written: durability.Command, until: float
    ) -> tuple[Any, Any, Any]:
        """(answer to the command, to the write behind it, to the wait, which may be an error of Redis)."""
        asked = self._client.pipeline(transaction=False)
        wait = durability.wait(self._wanted, self._patience.milliseconds(until))
        for one in (*([command] if command else []), written, wait):
            asked.execute_command(*one)
        *answers, told = await asked.execute(raise_on_error=False)
        for one in answers:
            if isinstance(one, Exception) and not (one is answers[-1] and isinstance(one, exceptions.OutOfMemoryError)):
                raise one
        if isinstance(told, Exception) and not isinstance(told, exceptions.ResponseError):
            raise told
        return answers[0] if command else None, answers[-1], told
