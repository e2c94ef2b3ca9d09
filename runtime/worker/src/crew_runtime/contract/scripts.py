"""What each Lua script takes: the names of its KEYS and ARGV, in their order.

A caller gives its arguments by these names, and the head of the script says the same ones with what they mean; a test
compares the two, and the numbers by which the script reads them. KEYS have the names that they have in `keys`.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Final, TypeVar

Argument = str | bytes | int
One = TypeVar("One")


@dataclass(frozen=True)
class Signature:
    """Of one script."""

    room: str
    """Whose it is: `queue`, `sessions`, `webhooks` and `history` of the server half, `memory` of the worker half."""
    name: str
    """Of its file, without `.lua`."""
    keys: tuple[str, ...]
    argv: tuple[str, ...]
    more: str = ""
    """In words, what ARGV go on with."""
    more_keys: str = ""
    """In words, what KEYS go on with."""
    optional: int = 0
    """How many of the last KEYS may be missing, all of them together."""

    def names(self, given: Mapping[str, str], more: Sequence[str] = ()) -> list[str]:
        """The KEYS, from keys by their names. Raises TypeError when it takes others."""
        wanted = self.keys
        if self.optional and self.keys[-1] not in given:
            wanted = self.keys[: -self.optional]
        return [*self._in_order(wanted, given), *self._rest(more, self.more_keys)]

    def arguments(self, given: Mapping[str, Argument], more: Sequence[Argument] = ()) -> list[Argument]:
        """The ARGV, from arguments by their names, and the rest behind them. Raises TypeError when it takes others."""
        return [*self._in_order(self.argv, given), *self._rest(more, self.more)]

    def _in_order(self, wanted: Sequence[str], given: Mapping[str, One]) -> list[One]:
        if len(given) != len(wanted) or not all(name in given for name in wanted):
            raise TypeError(f"{self.room}/{self.name}.lua takes {', '.join(wanted)}, and was given {', '.join(given)}")
        return [given[name] for name in wanted]

    def _rest(self, more: Sequence[One], words: str) -> Sequence[One]:
        if more and not words:
            raise TypeError(f"{self.room}/{self.name}.lua takes nothing more")
        return more


_QUEUE: Final = ("queue", "handed_back", "leases", "waiting", "ends", "hooks", "pending")
_OWN: Final = ("root", "id", "owner", "attempt")
"""A kickoff that a server has."""
_FIELDS: Final = "field, value of each field"

QUEUE: Final = {
    one.name: one
    for one in (
        Signature(
            "queue", "accept", _QUEUE,
            (
                "root", "id", "session", "ordered", "most_waiting", "key", "body", "ttl", "owner", "replica", "lease",
                "budget",
            ),
            more=_FIELDS,
        ),
        Signature("queue", "claim", _QUEUE, ("root", "owner", "replica", "token", "claim", "lease", "noted")),
        Signature(
            "queue", "watch", _QUEUE, ("root", "owner", "lease", "renew_below"),
            more="id, attempt, fields of each kickoff",
        ),
        Signature(
            "queue", "restore", _QUEUE,
            ("root", "id", "session", "ordered", "owner", "attempt", "lease", "running_for"),
            more=_FIELDS,
        ),
        Signature(
            "queue", "finish", _QUEUE,
            (
                *_OWN, "end_id", "status", "ttl", "gone", "session", "segment", "said", "answered", "most_messages",
                "session_ttl",
            ),
            more=_FIELDS,
        ),
        Signature("queue", "settle", _QUEUE, _OWN),
        Signature("queue", "release", _QUEUE, (*_OWN, "lost", "most_losses", "end_id", "ttl", "end_of_losses")),
        Signature(
            "queue", "look", _QUEUE,
            ("root", "suspicion", "rule", "most_losses", "ttl", "end_of_loss", "end_of_losses", "end_of_unanswered"),
        ),
        Signature("queue", "tell", _QUEUE, (*_OWN, "ttl", "first"), more="type, data, channel of each event"),
        Signature("queue", "keep", _QUEUE, (*_OWN, "ttl", "first"), more="the rows"),
        Signature("queue", "pause", _QUEUE, (*_OWN, "question", "wait", "asked", "ttl"), more=_FIELDS),
        Signature("queue", "resume", _QUEUE, ("root", "id", "question", "token", "ttl", "hooks"), more=_FIELDS),
        Signature("queue", "bury", _QUEUE, (*_OWN, "why", "ttl", "end")),
    )
}  # fmt: skip

SESSIONS_PAGE: Final = Signature("sessions", "page", ("sessions", "meta"), ("root", "most", "after"))
SESSIONS_ERASE: Final = Signature(
    "sessions", "erase",
    (
        "session_records", "session", "sessions", "session_erased", "memory_ids", "memory_log", "revision", "mortal",
        "idle",
    ),
    ("records", "log_length", "stored_root", "segment", "most", "mark", "mark_ttl"),
)  # fmt: skip
SESSIONS_STRIP: Final = Signature("sessions", "strip", ("leases",), ("root", "session"), more_keys="the kickoffs")
SESSIONS_SWEEP: Final = Signature(
    "sessions", "sweep",
    ("meta", "memory_ids", "memory_log", "revision", "sessions", "idle", "mortal"),
    ("root", "ttl", "log_length", "most"),
)  # fmt: skip
SESSIONS_MESSAGES: Final = Signature(
    "sessions", "messages", ("messages",), ("place", "step", "most", "most_each", "most_bytes")
)

WEBHOOKS_TAKE: Final = Signature("webhooks", "take", ("hooks",), ("root", "lease", "most"))
WEBHOOKS_SETTLE: Final = Signature(
    "webhooks", "settle", ("hooks",), ("root", "webhook", "delivery", "what", "wait", "error")
)
WEBHOOKS_BURY: Final = Signature("webhooks", "bury", ("hooks",), ("root", "webhook", "digest", "why"))

_HISTORY: Final = ("history", "history_bytes", "history_lost", "history_shipper")
HISTORY_TAKE: Final = Signature("history", "take", _HISTORY, ("root", "shipper", "lease", "most", "most_bytes"))
HISTORY_SETTLE: Final = Signature("history", "settle", _HISTORY, ("root", "shipper"), more="the ids")
HISTORY_BURY: Final = Signature("history", "bury", _HISTORY, ("root", "entry", "why"))
HISTORY_ERASE: Final = Signature(
    "history", "erase", _HISTORY, ("root", "session", "after", "most", "budget", "counts", "writes")
)

MEMORY_DECLARE: Final = Signature("memory", "declare", ("meta",), ("dimension", "vector_type", "schema"))
MEMORY_EMBEDDER: Final = Signature("memory", "embedder", ("meta", "memory_ids"), ("embedder",))
MEMORY_WRITE: Final = Signature(
    "memory", "write",
    (
        "meta", "memory_ids", "memory_log", "revision", "mortal",
        "session_records", "session", "sessions", "idle", "session_erased",
    ),
    ("records", "dimension", "vector_type", "log_length", "mode", "mark", "roots"),
    more="the roots, and id, created, digest, number of fields and values, these of each record",
    optional=5,
)  # fmt: skip
MEMORY_DELETE: Final = Signature(
    "memory", "delete", ("memory_ids", "memory_log", "revision", "mortal"), ("records", "log_length", "roots"),
    more="the roots, and the ids",
)  # fmt: skip
MEMORY_TOUCH: Final = Signature("memory", "touch", ("meta",), ("records", "time"), more="the ids")
MEMORY_USE: Final = Signature(
    "memory", "use",
    (
        "meta", "memory_ids", "memory_log", "revision", "sessions", "idle", "mortal", "session_erased", "session",
        "session_records",
    ),
    ("root", "segment", "ttl", "log_length", "most"),
)  # fmt: skip
MEMORY_KEEP: Final = Signature(
    "memory", "keep", ("mortal", "memory_ids", "memory_log", "revision"), ("root", "log_length", "most")
)
MEMORY_MESSAGES: Final = Signature(
    "memory", "messages", ("messages",), ("place", "most", "most_each", "most_bytes", "session_ttl")
)
LOCK_TAKE: Final = Signature("memory", "take", ("lock",), ("token", "lease"))
LOCK_EXTEND: Final = Signature("memory", "extend", ("lock",), ("token", "lease"))
LOCK_RELEASE: Final = Signature("memory", "release", ("lock", "released"), ("token", "retried_within"))

ALL: Final = (
    *QUEUE.values(), SESSIONS_PAGE, SESSIONS_ERASE, SESSIONS_STRIP, SESSIONS_SWEEP, SESSIONS_MESSAGES, WEBHOOKS_TAKE,
    WEBHOOKS_SETTLE, WEBHOOKS_BURY, HISTORY_TAKE, HISTORY_SETTLE, HISTORY_BURY, HISTORY_ERASE, MEMORY_DECLARE,
    MEMORY_EMBEDDER, MEMORY_WRITE, MEMORY_DELETE, MEMORY_TOUCH,
    MEMORY_USE, MEMORY_KEEP, MEMORY_MESSAGES, LOCK_TAKE, LOCK_EXTEND, LOCK_RELEASE,
)  # fmt: skip
