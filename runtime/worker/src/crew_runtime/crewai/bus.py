"""CrewAI's event bus: what it tells of a kickoff, the threads that belong to it, and when it has told everything."""

import threading
from collections.abc import Callable, Set
from typing import Any

from crewai.events.base_events import BaseEvent
from crewai.events.event_bus import crewai_event_bus
from crewai.events.types import (
    agent_events,
    crew_events,
    flow_events,
    knowledge_events,
    llm_events,
    memory_events,
    task_events,
    tool_usage_events,
)

_MODULES = (
    agent_events,
    crew_events,
    flow_events,
    knowledge_events,
    llm_events,
    memory_events,
    task_events,
    tool_usage_events,
)
_SKIPPED = {"LLMStreamChunkEvent", "LLMThinkingChunkEvent", "FlowCreatedEvent"}
"""The first two come once a token and run in the crew's own thread; the last is numbered before its kickoff begins."""
_KINDS = tuple(
    kind
    for module in _MODULES
    for kind in vars(module).values()
    if isinstance(kind, type)
    and issubclass(kind, BaseEvent)
    and kind.__module__ == module.__name__
    and "type" in kind.model_fields
    and not kind.model_fields["type"].is_required()
    and kind.__name__ not in _SKIPPED
)
MAX_TEXT = 200
"""Characters of a task's or agent's name in an event; CrewAI takes the description for a task without a name."""

Heard = Callable[[int, str, str, str], None]
"""seq, type, task, agent"""


def started() -> bool:
    """Whether the bus has its threads: a process with them must not fork."""
    return bool(crewai_event_bus._executor_initialized)


def listen(heard: Heard) -> None:
    """Call `heard` for each event from now on, from the bus' threads and out of order."""

    def handler(source: Any, event: Any) -> None:
        task = event.task_name or getattr(event, "method_name", None) or ""
        agent = event.agent_role or ""
        heard(event.emission_sequence or 0, event.type, str(task)[:MAX_TEXT], str(agent)[:MAX_TEXT])

    for kind in _KINDS:
        crewai_event_bus.register_handler(kind, handler)


def flush(seconds: float) -> bool:
    """Wait until all handlers have run; False when they took longer."""
    return bool(crewai_event_bus.flush(seconds))


def threads() -> Set[threading.Thread]:
    """The bus' own threads: its loop, its pool, and its loop's pool."""
    if not started():
        return frozenset()
    found = {crewai_event_bus._loop_thread, *crewai_event_bus._sync_executor._threads}
    pool = getattr(crewai_event_bus._loop, "_default_executor", None)
    return found | set(getattr(pool, "_threads", ()))
