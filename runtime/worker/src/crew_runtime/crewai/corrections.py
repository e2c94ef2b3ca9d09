"""What CrewAI's Memory does wrong above its storage, put right there, because no storage can see it (1.15.30).

- Deep recall searches the first 20 children of its scope and never the scope itself: records at a root vanish as
  soon as it has a child. Here the scope is searched first, and our scopes are paths, so that holds all below it.
- `update` of a Memory with a root scope reaches any record by its id, and moves it wherever it is told.

Each correction wraps one method whose parameters are checked first; one that does not fit is left out, and said.
"""

import functools
import inspect
from collections.abc import Callable
from typing import Any, NamedTuple

from crewai.memory.recall_flow import RecallFlow
from crewai.memory.types import MemoryRecord
from crewai.memory.unified_memory import Memory

from crew_runtime.sessions import areas


class Correction(NamedTuple):
    """One method to wrap."""

    owner: type
    method: str
    parameters: tuple[str, ...]
    """Of the method that the correction was written for."""
    make: Callable[[Callable[..., Any]], Callable[..., Any]]


def apply() -> None:
    """Put right what can be; once a process."""
    for one in CORRECTIONS:
        found = getattr(one.owner, one.method, None)
        if found is not None and not hasattr(found, "__wrapped__") and not _misfit(one):
            setattr(one.owner, one.method, one.make(found))


def missing() -> tuple[str, ...]:
    """The methods that stay as CrewAI made them."""
    return tuple(
        f"{one.owner.__name__}.{one.method}"
        for one in CORRECTIONS
        if not hasattr(getattr(one.owner, one.method, None), "__wrapped__")
    )


def _misfit(one: Correction) -> bool:
    return tuple(inspect.signature(getattr(one.owner, one.method)).parameters) != one.parameters


def _search_the_scope_too(original: Callable[[RecallFlow], Any]) -> Callable[[RecallFlow], Any]:
    @functools.wraps(original)
    def do_search(self: RecallFlow) -> Any:
        scope = areas.path(self.state.scope)
        below = [areas.path(one) for one in self.state.candidate_scopes]
        self.state.candidate_scopes = [scope, *(one for one in below if one != scope and areas.within(one, scope))]
        return original(self)

    return do_search


def _stay_inside_the_root(original: Callable[..., MemoryRecord]) -> Callable[..., MemoryRecord]:
    @functools.wraps(original)
    def update(
        self: Memory, record_id: str, content: str | None = None, scope: str | None = None, *rest: Any, **named: Any
    ) -> MemoryRecord:
        root = areas.path(self.root_scope)
        if root != "/":
            existing = self._storage.get_record(record_id)
            if existing is None or not areas.within(areas.path(existing.scope), root):
                raise ValueError(f"Record not found: {record_id}")
            if scope is not None and not areas.within(areas.path(scope), root):
                scope = areas.join(root, scope)
        return original(self, record_id, content, scope, *rest, **named)

    return update


CORRECTIONS = (
    Correction(RecallFlow, "_do_search", ("self",), _search_the_scope_too),
    Correction(
        Memory,
        "update",
        ("self", "record_id", "content", "scope", "categories", "metadata", "importance"),
        _stay_inside_the_root,
    ),
)
