"""One memory on its way, apart from where it lies. Pure."""

import hashlib
from typing import NamedTuple

from crew_runtime.memory import records, values
from crew_runtime.memory.records import Record
from crew_runtime.sessions import areas


class Item(NamedTuple):
    """A record with the scope that CrewAI sees, and whose it is."""

    record: Record
    session: str | None = None
    """None: nobody's in particular; the whole crew's."""

    def with_vector(self, vector: bytes) -> "Item":
        """The same memory with it."""
        return Item(records.with_vector(self.record, vector), self.session)


def fingerprint(item: Item) -> bytes:
    """Equal for two memories that say the same of the same. Without the time of the last recall, which goes on, and
    without the vector, which a store may keep in fewer bits. 128 bits.
    """
    one = item.record
    said = [
        one.content,
        areas.path(one.scope),
        item.session,
        list(one.categories),
        dict(one.metadata),
        one.importance,
        round(one.created * 1e6),  # CrewAI's times have microseconds
        one.source or None,
        one.private,
    ]
    return hashlib.blake2b(values.canonical(said).encode(), digest_size=16).digest()
