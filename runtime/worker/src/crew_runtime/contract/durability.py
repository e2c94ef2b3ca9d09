"""How far a write has come before it is acknowledged, in Redis' words: for both halves and the operator. Pure.

`WAIT` and `WAITAOF` count from the last write that their own connection made. A script that finds its work done, as one
that is sent a second time does, makes none, and WAIT behind it answers at once whatever the replicas have (seen with
Redis 8.2). Hence a write goes before each.
"""

import math
from collections.abc import Callable, Sequence
from typing import Any, Final

from crew_runtime.contract import keys

BUFFERED: Final = "Buffered"
"""In the memory of the primary, and on its disk when its `appendfsync` says so."""
FSYNC: Final = "Fsync"
"""On the disk of the primary."""
REPLICATED: Final = "Replicated"
"""In the memory of one replica at least, as well as of the primary."""
VALUES: Final = (BUFFERED, FSYNC, REPLICATED)

SHARE: Final = 0.8
"""Of a call's deadline that a write may wait: what it ends with has to be told before the call is given up."""
HURRY_MS: Final = 100
"""At most, for a while after a write came short: not each of a kickoff's calls is to cost a deadline."""
HURRY_SECONDS: Final = 2.0
"""How long that while is; the next call behind it waits in full again."""
MARK_SECONDS: Final = 86400

Command = tuple[str, ...]


class Patience:
    """How long writes of one process wait to be acknowledged."""

    def __init__(self, deadline: float, clock: Callable[[], float]) -> None:
        """`deadline`: of one call, seconds. `clock`: seconds."""
        # Never 0, which is for ever.
        self._full = max(1, int(deadline * SHARE * 1000))
        self._clock = clock
        self._hurry_until = -math.inf

    def until(self) -> float:
        """When a write that begins now has waited long enough, by the clock."""
        now = self._clock()
        return now + (min(self._full, HURRY_MS) if now < self._hurry_until else self._full) / 1000

    def milliseconds(self, until: float) -> int:
        """What is left until then; never 0."""
        return max(1, int((until - self._clock()) * 1000))

    def fell_short(self) -> None:
        """One was not acknowledged in time."""
        if self._clock() >= self._hurry_until:  # it had waited in full
            self._hurry_until = self._clock() + HURRY_SECONDS

    def restored(self) -> None:
        """One was acknowledged, or new work begins, which finds out for itself."""
        self._hurry_until = -math.inf


def default(members: int) -> str:
    """Of a crew whose spec does not say. `members`: of its Redis, 1 for one that is not the operator's."""
    return REPLICATED if members > 1 else BUFFERED


def count(durability: str, prefix: str) -> Command:
    """The write before a wait. Of a replicated Redis it numbers the acknowledged writes, by which the operator finds
    the member that has all of them (docs/failover.md). At `maxmemory` Redis refuses it: `touch` takes its place then.
    """
    return ("INCR", keys.position(prefix)) if durability == REPLICATED else touch(prefix)


def touch(prefix: str) -> Command:
    """A write before a wait that numbers nothing. Answered by 0, and no write, when `mark` has to make its key first.

    Redis takes this one at its `maxmemory` too: a deletion, which makes room, has to be acknowledged as well.
    """
    return ("EXPIRE", keys.acknowledged(prefix), str(MARK_SECONDS))


def mark(prefix: str) -> Command:
    """The write instead of it, where its key is not there."""
    return ("SET", keys.acknowledged(prefix), "1", "EX", str(MARK_SECONDS))


def wait(durability: str, milliseconds: int) -> Command:
    """Waits for what this connection wrote before. `durability`: FSYNC or REPLICATED."""
    if durability == FSYNC:
        return ("WAITAOF", "1", "0", str(milliseconds))
    return ("WAIT", "1", str(milliseconds))


def holds(durability: str, answer: Any) -> bool:
    """Whether what `wait` answered says that the write came so far."""
    count = answer[0] if isinstance(answer, Sequence) and not isinstance(answer, str | bytes) and answer else answer
    return isinstance(count, int) and count >= 1


def is_interrupted(answer: Any) -> bool:
    """Whether the server became a replica meanwhile: what was written is kept or not, as by a cut connection."""
    return isinstance(answer, Exception) and str(answer).startswith("UNBLOCKED")


def shortfall(durability: str, seconds: float) -> str:
    """What to say of a write that did not."""
    where = "on the disk of Redis" if durability == FSYNC else "on a replica of Redis"
    return (
        f"Redis took the write, and it was not {where} within {seconds:.1f} s, as spec.memory.durability: "
        f"{durability} asks: it may still come to be kept, or be lost"
    )


def impossible(durability: str, said: str) -> str:
    """What to say where Redis refuses to wait. `said`: its error, as it may be shown."""
    needs = (
        "Redis 7.2 or newer with appendonly yes, and a user that may call WAITAOF"
        if durability == FSYNC
        else "a primary that has a replica, and a user that may call WAIT"
    )
    return (
        f"Redis cannot acknowledge writes as spec.memory.durability: {durability} asks ({said}): it needs {needs}; "
        f"or set it to {BUFFERED}"
    )
