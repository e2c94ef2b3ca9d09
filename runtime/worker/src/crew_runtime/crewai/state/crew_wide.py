"""Tells a scope that the crew's own code passed from one that an LLM suggested: wrappers of CrewAI's methods (1.15.30).

CrewAI gives its storage one resolved scope, whoever chose it. `Memory._encode_batch` is the last call that has the
caller's scope and root scope apart from what the LLM adds; `forget`, `reset` and `update` are called by the crew's own
code alone. An LLM reaches any of them only through a tool: the arguments of each tool call are looked at.
"""

import functools
import json
from collections.abc import Awaitable, Callable
from typing import Any

from crewai.memory.types import MemoryRecord
from crewai.memory.unified_memory import Memory

from crew_runtime.crewai.state.memory_storage import RedisStorage
from crew_runtime.sessions import areas, sharing


def plan_in_one_area(original: Callable[..., list[MemoryRecord]]) -> Callable[..., list[MemoryRecord]]:
    """`Memory._encode_batch`: files, compares and consolidates in the area that the caller named."""

    @functools.wraps(original)
    def _encode_batch(
        self: Memory,
        contents: list[str],
        scope: str | None = None,
        categories: list[str] | None = None,
        metadata: dict[str, Any] | None = None,
        importance: float | None = None,
        source: str | None = None,
        private: bool = False,
        root_scope: str | None = None,
    ) -> list[MemoryRecord]:
        with sharing.asks(scope, root_scope, planned=True):
            kept = original(self, contents, scope, categories, metadata, importance, source, private, root_scope)
        return [_as_recalled(self, one) for one in kept]

    return _encode_batch


def keep_suggestion(original: Callable[..., Any]) -> Callable[..., Any]:
    """`Memory._submit_save`: what a tool saves in the background is still the tool's when that has returned."""

    @functools.wraps(original)
    def _submit_save(self: Memory, fn: Any, *args: Any, **kwargs: Any) -> Any:
        with sharing.keep_suggestion():
            return original(self, fn, *args, **kwargs)

    return _submit_save


def delete_where_asked(original: Callable[..., Any]) -> Callable[..., Any]:
    """`Memory.forget` and `Memory.reset`, whose first parameter is the scope."""

    @functools.wraps(original)
    def delete(self: Memory, scope: str | None = None, *args: Any, **kwargs: Any) -> Any:
        with sharing.asks(scope, self.root_scope):
            return original(self, scope, *args, **kwargs)

    return delete


def update_inside_the_root(original: Callable[..., MemoryRecord]) -> Callable[..., MemoryRecord]:
    """`Memory.update`: reaches what lies below the root scope, and moves it nowhere else but to the crew, if asked."""

    @functools.wraps(original)
    def update(
        self: Memory, record_id: str, content: str | None = None, scope: str | None = None, *rest: Any, **named: Any
    ) -> MemoryRecord:
        with sharing.asks(self.root_scope, shares=scope):
            if areas.asked(self.root_scope) != "/":
                shown = areas.path if _is_ours(self) else areas.asked
                root, existing = shown(self.root_scope), self._storage.get_record(record_id)
                if existing is None or not areas.within(shown(existing.scope), root):
                    raise ValueError(f"Record not found: {record_id}")
                if scope is not None and not areas.within(shown(scope), root):
                    scope = areas.asked(f"{root}/{scope}")
            return _as_recalled(self, original(self, record_id, content, scope, *rest, **named))

    return update


def watch_run(original: Callable[..., Any]) -> Callable[..., Any]:
    """`run` of a tool."""

    @functools.wraps(original)
    def run(self: Any, *args: Any, **kwargs: Any) -> Any:
        with sharing.called_with((args, kwargs)):
            return original(self, *args, **kwargs)

    return run


def watch_arun(original: Callable[..., Awaitable[Any]]) -> Callable[..., Awaitable[Any]]:
    """`arun` of a tool."""

    @functools.wraps(original)
    async def arun(self: Any, *args: Any, **kwargs: Any) -> Any:
        with sharing.called_with((args, kwargs)):
            return await original(self, *args, **kwargs)

    return arun


def watch_invoke(original: Callable[..., Any]) -> Callable[..., Any]:
    """`invoke` of a structured tool."""

    @functools.wraps(original)
    def invoke(self: Any, input: Any, config: dict[str, Any] | None = None, **kwargs: Any) -> Any:  # noqa: A002
        with sharing.called_with((_read(input), kwargs)):
            return original(self, input, config, **kwargs)

    return invoke


def watch_ainvoke(original: Callable[..., Awaitable[Any]]) -> Callable[..., Awaitable[Any]]:
    """`ainvoke` of a structured tool."""

    @functools.wraps(original)
    async def ainvoke(self: Any, input: Any, config: dict[str, Any] | None = None, **kwargs: Any) -> Any:  # noqa: A002
        with sharing.called_with((_read(input), kwargs)):
            return await original(self, input, config, **kwargs)

    return ainvoke


def _is_ours(memory: Memory) -> bool:
    """In a storage of the user's own `@crew` is text like any other."""
    return isinstance(memory._storage, RedisStorage)


def _as_recalled(memory: Memory, kept: MemoryRecord) -> MemoryRecord:
    """CrewAI's tool to save tells its LLM the scope of what it saved: the one that it lies in."""
    if not areas.names_crew(kept.scope) or not _is_ours(memory):
        return kept
    return kept.model_copy(update={"scope": areas.path(kept.scope)})


def _read(given: Any) -> Any:
    """Arguments as JSON text may spell any letter as an escape; CrewAI refuses what is no JSON."""
    if not isinstance(given, str):
        return given
    try:
        return json.loads(given)
    except ValueError:
        return given
