"""What a search or a deletion is about, and the RediSearch query that says so. Pure."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

from crew_runtime.memory.records import metadata_tags, tag


@dataclass(frozen=True)
class Filter:
    """All parts have to hold."""

    roots: tuple[str, ...]
    """Stored scopes; a record lies below one of them."""
    categories: tuple[str, ...] = ()
    """A record has one of them; empty: any record."""
    metadata: Mapping[str, Any] = field(default_factory=dict)
    """Each key with exactly this value, in JSON's types."""
    older_than: float | None = None
    """Created before this time, epoch seconds."""

    def tags(self) -> tuple[tuple[str, frozenset[str]], ...]:
        """(field, tags of which one has to be there), one for each demand."""
        demands = [("anc", frozenset(tag(root) for root in self.roots))]
        if self.categories:
            demands.append(("cat", frozenset(map(tag, self.categories))))
        demands += [("md", frozenset({one})) for one in metadata_tags(self.metadata)]
        return tuple(demands)


def query(wanted: Filter) -> str:
    """The RediSearch expression (DIALECT 2) of a filter. Tags are hex: nothing to escape."""
    parts = [f"@{name}:{{{'|'.join(sorted(tags))}}}" for name, tags in wanted.tags()]
    if wanted.older_than is not None:
        parts.append(f"@ts:[-inf ({wanted.older_than!r}]")
    return "(" + " ".join(parts) + ")"


def children(scopes: Sequence[str], parent: str) -> list[str]:
    """The immediate children of a logical parent among logical scopes, sorted."""
    start = parent.rstrip("/") + "/"
    return sorted(
        {
            start + scope[len(start) :].split("/", 1)[0]
            for scope in scopes
            if len(scope) > len(start) and scope.startswith(start)
        }
    )
