"""How long each key of a crew lives: every key that anything writes is in this table, and a test looks at all of them.

Two kinds of retention meet in one Redis. Memories are precious: they stay until somebody erases them, or their session
ends. What kickoffs leave is transient: it has a time to live from `spec.kickoffs.retention` and a budget of bytes, so
that memories can always be saved.
"""

import re
from enum import StrEnum
from typing import Final


class Life(StrEnum):
    """What ends a key."""

    MEMORY = "Memory"
    """An erasure, or the end of its session; nothing otherwise."""
    INDEX = "Index"
    """One of each for the crew. Its entries go with what they point to, or it keeps a fixed number of them."""
    WORK = "Work"
    """A kickoff that runs or waits; at its end it goes, or expires."""
    EXPIRES = "Expires"
    """Time: it has an expiry from its first write on."""


_LIVES: Final = {
    # Beginnings of the keys, behind the crew's root; the functions of `keys` say what they are.
    Life.MEMORY: ("m:", "s:", "session:", "f:", "to:", "k:", "cps:", "message_store:"),
    Life.INDEX: (
        *("canary", "position", "meta", "log", "rev", "ids", "mortal", "sessions", "idle", "rehearsals"),
        "k:dimensions",
        *("queue", "queue:handed-back", "leases", "waiting", "pending", "hooks"),
        *("kickoffs:bytes", "kickoffs:total", "kickoffs:ends", "kickoffs:inputs"),
        *("history", "history:bytes", "history:lost"),
    ),
    Life.WORK: ("run:", "runs:", "hook:", "line:"),
    Life.EXPIRES: (
        *("health:", "acknowledged", "done:", "ends", "ev:", "dead", "idem:", "claim:", "cp:", "lock:", "erased:"),
        *("twin:", "history:shipper"),
    ),
}
_KEY: Final = re.compile(r"cs:\{[^}]*\}:(?:rehearsal:\{[^}]*\}:)?(.*)", re.DOTALL)


def of(key: str) -> Life | None:
    """How long a key lives; None for one that is none of a crew's."""
    found = _KEY.fullmatch(key)
    if found is None:
        return None
    name = found.group(1)
    for life, starts in _LIVES.items():
        if any(name == start or (start.endswith(":") and name.startswith(start)) for start in starts):
            return life
    return None
