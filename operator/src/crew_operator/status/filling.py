"""Whether Redis is about to be full, in time for somebody to give it more memory. Pure."""

from typing import Final

from crew_operator.status.observed import RedisLook, RedisState

NEARLY: Final = 0.85
"""Of maxmemory: with a quarter of it for kickoffs at most, most of that is memories."""
NO_MORE: Final = 0.8
"""Below which it is not nearly full any more: what comes and goes with a kickoff must not be told each time."""

PEAK: Final = 3
"""Times its size after a rewrite is what an append-only file takes at most: it is rewritten when it has doubled
(`auto-aof-rewrite-percentage 100`), and the new one is written beside it."""


def nearly_full(before: bool, look: RedisLook) -> bool:
    """What to say after this look. `before`: what was said before it."""
    if look.state is not RedisState.OK:
        return before
    return _nearly(before, look.fullness)


def disk_nearly_full(before: bool, look: RedisLook, size: int) -> bool:
    """The same of the volume of a managed Redis, of which the operator sees the append-only file alone.

    Args:
        size: bytes of the volume; 0 when that is not known.
    """
    if look.state is not RedisState.OK or look.persistence is None or not size:
        return before
    return _nearly(before, look.persistence.base * PEAK / size)


def _nearly(before: bool, fullness: float) -> bool:
    return fullness >= (NO_MORE if before else NEARLY)
