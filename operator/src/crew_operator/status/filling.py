"""Whether Redis is about to be full, in time for somebody to give it more memory. Pure."""

from typing import Final

from crew_operator.status.observed import RedisLook, RedisState

NEARLY: Final = 0.85
"""Of maxmemory: with a quarter of it for kickoffs at most, most of that is memories."""
NO_MORE: Final = 0.8
"""Below which it is not nearly full any more: what comes and goes with a kickoff must not be told each time."""


def nearly_full(before: bool, look: RedisLook) -> bool:
    """What to say after this look. `before`: what was said before it."""
    if look.state is not RedisState.OK:
        return before
    return look.fullness >= (NO_MORE if before else NEARLY)
