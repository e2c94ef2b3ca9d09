"""Writes that wait until they are as durable as the settings ask, in the round trip of the write itself."""

import threading
import time
from collections.abc import Sequence
from typing import Any

import redis

from crew_runtime import redis_client
from crew_runtime.contract import durability, redis_errors
from crew_runtime.errors import NotAcknowledgedError
from crew_runtime.settings import Settings

Command = Sequence[str | bytes | int]
MULTI, EXEC = ("MULTI",), ("EXEC",)


class Durability:
    """Of one process; safe for its threads."""

    def __init__(self, settings: Settings) -> None:
        self._prefix = settings.key_prefix
        self._wanted = settings.durability
        self._patience = durability.Patience(settings.backend_deadline, time.monotonic)
        self._thread = threading.local()

    @property
    def fails_over(self) -> bool:
        """Another server may take the place of the one that is asked, and has what was acknowledged."""
        return self._wanted == durability.REPLICATED

    @property
    def waited(self) -> float:
        """Seconds that the last write of this thread waited after Redis had answered it. Reading it begins anew."""
        seconds: float = getattr(self._thread, "waited", 0.0)
        self._thread.waited = 0.0
        return seconds

    def begin(self) -> None:
        """A new piece of work begins: its first write waits in full, however the last one's ended."""
        self._patience.restored()

    def write(self, client: redis_client.Client, *commands: Command) -> list[Any]:
        """Ask them, and wait for them; of none, for what this process wrote before. What Redis answered to each.

        Raises NotAcknowledgedError, and redis-py's errors; of an answer that is an error, the first.
        """
        if self._wanted == durability.BUFFERED:
            if not commands:
                return []
            return _checked(redis_client.commands(client, commands).answers)
        begun, until = time.monotonic(), self._patience.until()
        *answers, written, told = self._ask(client, [*commands, durability.count(self._wanted, self._prefix)], until)
        _checked(answers)
        if isinstance(written, redis.exceptions.OutOfMemoryError):
            written, told = self._ask(client, [durability.touch(self._prefix)], until)
        _checked([written])
        if written == 0:
            put, told = self._ask(client, [durability.mark(self._prefix)], until)
            _checked([put])
        if durability.is_interrupted(told):
            raise redis.exceptions.ConnectionError("another member became the primary meanwhile")
        if isinstance(told, Exception):
            said = redis_errors.shown(str(told))
            raise NotAcknowledgedError(durability.impossible(self._wanted, said), possible=False) from told
        if not durability.holds(self._wanted, told):
            self._patience.fell_short()
            raise NotAcknowledgedError(durability.shortfall(self._wanted, time.monotonic() - begun))
        self._patience.restored()
        return answers

    def transaction(self, client: redis_client.Client, *commands: Command) -> list[Any]:
        """The same, all of them or none. What Redis answered to each."""
        answers: list[Any] = self.write(client, MULTI, *commands, EXEC)[-1]
        return _checked(answers)

    def _ask(self, client: redis_client.Client, commands: Sequence[Command], until: float) -> list[Any]:
        """The answers, the last of them to the wait; each may be an error."""
        wait = durability.wait(self._wanted, self._patience.milliseconds(until))
        asked = redis_client.commands(client, [*commands, wait])
        self._thread.waited = getattr(self._thread, "waited", 0.0) + asked.last_after
        return asked.answers


def _checked(answers: list[Any]) -> list[Any]:
    for one in answers:
        if isinstance(one, redis.exceptions.RedisError):
            raise one
    return answers
