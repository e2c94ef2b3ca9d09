"""The one entry to the backend: `Guard.call(op, function)`."""

import random
import time
from collections.abc import Callable
from typing import NoReturn, TypeVar

from crew_runtime import redis_client
from crew_runtime.contract.replica_reasons import BackendReason
from crew_runtime.durability import Durability
from crew_runtime.errors import BackendError, BackendUnavailableError
from crew_runtime.guard import ledger
from crew_runtime.guard.breaker import Breaker
from crew_runtime.redis_client import Client, Connections

Answer = TypeVar("Answer")

TRY_SECONDS = 0.2
"""For each step of the trial that closes the breaker, or a quarter of the deadline if that is more: a healthy Redis
beside us needs 1 ms, one behind TLS and a slow line some round trips, and a deadline is chosen for that line."""
RETRY_AFTER = (0.02, 0.1)
"""Seconds, drawn evenly: after a restart of Redis every pooled connection is dead once, in all replicas at once."""
FAILOVER_SECONDS = 8.0
"""In which a replicated Redis has another primary: a killed one is followed within 2 s, a stalled one within 6 s."""


def try_seconds(deadline: float) -> float:
    """How long a trial may wait for each answer, where a call has `deadline`; seconds."""
    return max(TRY_SECONDS, deadline / 4)


class Guard:
    """Calls of one process to one backend."""

    def __init__(self, connections: Connections, durability: Durability | None = None) -> None:
        """`durability`: another one than the settings of the connections ask for."""
        self._connections = connections
        self.durability = durability or Durability(connections.settings)
        """For what `call` asks: by it a write waits until it is acknowledged."""
        self._breaker = Breaker(time.monotonic, connections.deadline)
        self._waited_in_vain = False
        """For another primary: the next call does not wait for one again."""

    @property
    def opened(self) -> int:
        """As `Connections.opened`."""
        return self._connections.opened

    def begin(self) -> None:
        """A new piece of work begins: its first call finds out whether the backend still hangs.

        Without it, a kickoff that is accepted because Redis answers again would fail by what the last one met.
        """
        self._breaker.hopeful()
        self.durability.begin()
        self._waited_in_vain = False

    def call(self, op: str, ask: Callable[[Client], Answer], *, idempotent: bool = True) -> Answer:
        """Run `ask` with this process' client. Raises BackendError, having recorded it.

        An idempotent call (a second run of which changes nothing more) is tried again once on another connection when
        its own was cut; never after a time-out, which a second try would only double. With a Redis that fails over it
        is tried until another primary is there.
        """
        try:
            try:
                answer = self._asked(op, ask, idempotent=idempotent)
            except BackendError as error:
                waits = self.durability.fails_over and not self._waited_in_vain
                if not waits or not _may_pass(error, idempotent=idempotent):
                    raise
                answer = self._after_failover(op, ask, error, idempotent=idempotent)
        except BackendError as error:
            ledger.record(ledger.Failure(op, error.kind, str(error)))
            raise
        self._waited_in_vain = False
        return answer

    def _asked(self, op: str, ask: Callable[[Client], Answer], *, idempotent: bool) -> Answer:
        if self._breaker.is_open:
            self._try_again(op)
        try:
            return self._once(op, ask)
        except BackendUnavailableError as error:
            if not idempotent or error.kind != BackendReason.REFUSED:
                raise
            time.sleep(random.uniform(*RETRY_AFTER))  # noqa: S311 - not for secrets
            return self._once(op, ask)

    def _after_failover(
        self, op: str, ask: Callable[[Client], Answer], error: BackendError, *, idempotent: bool
    ) -> Answer:
        """The answer of the next primary. Raises the last error when there is none in time."""
        until = time.monotonic() + FAILOVER_SECONDS
        while time.monotonic() < until:
            time.sleep(random.uniform(*RETRY_AFTER))  # noqa: S311 - not for secrets
            try:
                return self._asked(op, ask, idempotent=idempotent)
            except BackendError as again:
                if not _may_pass(again, idempotent=idempotent):
                    raise
                error = again
        self._waited_in_vain = True
        raise error

    def refuse(self, op: str, error: BackendError) -> NoReturn:
        """Raise `error`, found without asking the backend, having recorded it."""
        ledger.record(ledger.Failure(op, error.kind, str(error)))
        raise error

    def _once(self, op: str, ask: Callable[[Client], Answer]) -> Answer:
        try:
            begun, _ = time.monotonic(), self.durability.waited
            with redis_client.mapped(op):
                answer = ask(self._connections.redis)
            # What waits for a disk or a replica is no slow answer.
            self._breaker.answered(time.monotonic() - begun - self.durability.waited)
        except BackendError as error:
            if error.kind == BackendReason.TIMEOUT:
                self._breaker.opened(str(error))
            if error.kind in (BackendReason.READ_ONLY, BackendReason.NOT_ACKNOWLEDGED):
                self._connections.renew()
            raise
        else:
            return answer

    def _try_again(self, op: str) -> None:
        why = self._breaker.why
        if not self._breaker.may_try():
            raise BackendUnavailableError(f"{op}: not asked, because Redis hangs ({why})", BackendReason.TIMEOUT)
        client, seconds = self._connections.redis, try_seconds(self._connections.deadline)
        connection = client.connection_pool.connection_class(
            **{**client.connection_pool.connection_kwargs, "socket_timeout": seconds,
               "socket_connect_timeout": seconds}
        )  # fmt: skip
        try:
            with redis_client.mapped(op):
                connection.connect()
                connection.send_command("PING")
                connection.read_response()
        except BackendError as error:
            self._breaker.opened(why or str(error))
            raise BackendUnavailableError(f"{op}: Redis still hangs ({error})", error.kind) from error
        finally:
            connection.disconnect()
        self._breaker.closed()


def _may_pass(error: BackendError, *, idempotent: bool) -> bool:
    """What a failover looks like from here. A member that takes no writes has not done what it was asked; of what ends
    without an answer nobody knows.
    """
    if error.kind == BackendReason.READ_ONLY:
        return True
    return idempotent and error.kind in (BackendReason.REFUSED, BackendReason.TIMEOUT)
