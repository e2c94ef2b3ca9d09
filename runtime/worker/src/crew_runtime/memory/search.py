"""What both ways of searching offer; `crewai.storage` knows no more of them than this."""

from collections import Counter
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Protocol

from crew_runtime.memory.filters import Filter
from crew_runtime.memory.records import Record


@dataclass(frozen=True)
class Summary:
    """What lies under a filter."""

    scopes: Mapping[str, int] = field(default_factory=dict)
    """Records by stored scope."""
    categories: Counter[str] = field(default_factory=Counter)
    oldest: float | None = None
    newest: float | None = None

    @property
    def count(self) -> int:
        """Records."""
        return sum(self.scopes.values())


class Search(Protocol):
    """Finds records by vector and by filter. Every method raises BackendError."""

    mode: str
    """`index` or `plain`."""

    def nearest(self, wanted: Filter, vector: bytes, limit: int) -> list[tuple[Record, float]]:
        """Records with their squared L2 distance, nearest first."""

    def newest(self, wanted: Filter, limit: int, offset: int) -> list[Record]:
        """Records, newest first."""

    def ids(self, wanted: Filter) -> list[str]:
        """Of all records."""

    def count(self, wanted: Filter) -> int:
        """How many records."""

    def summary(self, wanted: Filter) -> Summary:
        """Counts by scope and category, and the span of time."""

    def ensure(self) -> None:
        """Make what the searches need on the server, once the store's dimension is known."""
