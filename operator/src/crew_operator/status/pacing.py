"""How often one CrewDeployment's status may be written, and when its turn to be looked at is. Pure.

A condition that flips with each look, or a replica that words its trouble anew each time, must not become a stream of
writes: what is held back is said by a later pass, as it is then.
"""

import zlib
from dataclasses import dataclass, replace
from typing import Final

BURST: Final = 10.0
"""Writes in a row: a first start takes about three."""
EACH: Final = 6.0
"""Seconds in which one more is earned."""
QUIET: Final = 5.0
"""Seconds between a write and one that is no news."""

RESTLESS_AT_ONCE: Final = 100
"""Crews that are not ready and are looked at as often as can be; more of them share what that costs."""


@dataclass(frozen=True)
class Pace:
    """What has been written of late."""

    left: float = BURST
    written_at: float | None = None


def may_write(pace: Pace, now: float, *, news: bool) -> bool:
    """`news`: a condition changes its status or its reason, and not merely because a crew starts. `now` in seconds of
    any clock that only moves forward.
    """
    if pace.written_at is None:
        return True
    if not news and now - pace.written_at < QUIET:
        return False
    return _left(pace, now) >= 1.0


def quiet(pace: Pace, now: float) -> float:
    """Seconds until what is no news may be written, more than 0."""
    since = now - (pace.written_at if pace.written_at is not None else now)
    return max(0.1, QUIET - since)


def restless(tick: float, longest: float, many: int) -> float:
    """Seconds between two looks at one of `many` crews that are not ready: `tick`, or up to `longest` when many are."""
    return min(longest, tick * max(1.0, many / RESTLESS_AT_ONCE))


def written(pace: Pace, now: float) -> Pace:
    """After a write."""
    return replace(pace, left=_left(pace, now) - 1.0, written_at=now)


def turn(name: str, period: float, now: float) -> float:
    """Seconds from `now` to this name's next turn, more than 0. Each has one in every `period` seconds, and those of
    all names are spread over it evenly, whenever they were made.
    """
    return period - (now - share(name) * period) % period


def share(name: str) -> float:
    """From 0 to 1, always the same for one name and spread evenly over all names."""
    return zlib.crc32(name.encode()) / 2**32


def _left(pace: Pace, now: float) -> float:
    return pace.left if pace.written_at is None else min(BURST, pace.left + (now - pace.written_at) / EACH)
