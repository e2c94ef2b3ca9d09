"""What CrewAI's Memory does wrong above its storage, put right there, because no storage can see it (1.15.30).

- Deep recall searches the first 20 children of its scope and never the scope itself: records at a root vanish as
  soon as it has a child. Here the scope is searched first, and our scopes are paths, so that holds all below it.
- `update` of a Memory with a root scope reaches any record by its id, and moves it wherever it is told.
- A scope does not say who chose it, the crew's code or an LLM: see `crew_wide`. `@crew` in a scope has power only when
  each of these corrections is in place.

Each correction wraps one method whose parameters are checked first; one that does not fit is left out, and said.
"""

import functools
import inspect
from collections.abc import Callable
from typing import Any, NamedTuple

from crewai.memory.recall_flow import RecallFlow
from crewai.memory.unified_memory import Memory
from crewai.tools.base_tool import BaseTool, Tool
from crewai.tools.structured_tool import CrewStructuredTool

from crew_runtime.crewai.state import crew_wide
from crew_runtime.sessions import areas, sharing

_MARK = "__crew_runtime_correction__"
"""Of our wrappers; `functools.wraps` hands it on to whatever wraps them in turn."""


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
        if found is not None and not _in_place(one) and not _misfit(one):
            made = one.make(found)
            setattr(made, _MARK, True)
            setattr(one.owner, one.method, made)
    sharing.allow(not unshared())


def missing() -> tuple[str, ...]:
    """The methods that stay as CrewAI made them."""
    return _missing(CORRECTIONS)


def unshared() -> tuple[str, ...]:
    """Those of them without which `@crew` in a scope has no power."""
    return _missing(SHARING)


def _missing(wanted: tuple[Correction, ...]) -> tuple[str, ...]:
    return tuple(f"{one.owner.__name__}.{one.method}" for one in wanted if not _in_place(one))


def _in_place(one: Correction) -> bool:
    return hasattr(getattr(one.owner, one.method, None), _MARK)


def _misfit(one: Correction) -> bool:
    return tuple(inspect.signature(getattr(one.owner, one.method)).parameters) != one.parameters


def _search_the_scope_too(original: Callable[[RecallFlow], Any]) -> Callable[[RecallFlow], Any]:
    @functools.wraps(original)
    def do_search(self: RecallFlow) -> Any:
        scope = areas.asked(self.state.scope)
        below = [areas.asked(one) for one in self.state.candidate_scopes]
        self.state.candidate_scopes = [scope, *(one for one in below if one != scope and areas.within(one, scope))]
        return original(self)

    return do_search


_FILED = ("scope", "categories", "metadata", "importance")
_INVOKED = ("self", "input", "config", "kwargs")
_RUN = ("self", "args", "kwargs")

SHARING = (
    Correction(
        Memory,
        "_encode_batch",
        ("self", "contents", *_FILED, "source", "private", "root_scope"),
        crew_wide.plan_in_one_area,
    ),
    Correction(Memory, "_submit_save", ("self", "fn", "args", "kwargs"), crew_wide.keep_suggestion),
    Correction(
        Memory,
        "forget",
        ("self", "scope", "categories", "older_than", "metadata_filter", "record_ids"),
        crew_wide.delete_where_asked,
    ),
    Correction(Memory, "reset", ("self", "scope"), crew_wide.delete_where_asked),
    Correction(Memory, "update", ("self", "record_id", "content", *_FILED), crew_wide.update_inside_the_root),
    Correction(BaseTool, "run", _RUN, crew_wide.watch_run),
    Correction(BaseTool, "arun", _RUN, crew_wide.watch_arun),
    Correction(Tool, "run", _RUN, crew_wide.watch_run),
    Correction(Tool, "arun", _RUN, crew_wide.watch_arun),
    Correction(CrewStructuredTool, "invoke", _INVOKED, crew_wide.watch_invoke),
    Correction(CrewStructuredTool, "ainvoke", _INVOKED, crew_wide.watch_ainvoke),
)
CORRECTIONS = (Correction(RecallFlow, "_do_search", ("self",), _search_the_scope_too), *SHARING)
