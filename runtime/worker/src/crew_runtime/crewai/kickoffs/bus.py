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

from crew_runtime.crewai.outputs import values

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

MAX_DATA = 64 * 1024
"""Characters of one text in the data of an event."""


Heard = Callable[..., None]
"""Is called with seq, then by name type, task, agent (str), and `data` of an event that tells of content."""


def started() -> bool:
    """Whether the bus has its threads: a process with them must not fork."""
    return bool(crewai_event_bus._executor_initialized)


def start() -> None:
    """Start the bus' threads, which CrewAI does with the first event that somebody listens to."""
    begin = getattr(crewai_event_bus, "_ensure_executor_initialized", None)
    if begin is not None:
        begin()


def listen(heard: Heard) -> None:
    """Call `heard` for each event from now on, from the bus' threads and out of order."""

    def handler(source: Any, event: Any) -> None:
        task = event.task_name or getattr(event, "method_name", None) or ""
        agent = event.agent_role or ""
        data = _data(event)
        heard(
            event.emission_sequence or 0,
            type=event.type,
            task=str(task)[:MAX_TEXT],
            agent=str(agent)[:MAX_TEXT],
            **({"data": data} if data else {}),
        )

    for kind in _KINDS:
        crewai_event_bus.register_handler(kind, handler)


def _data(event: Any) -> dict[str, Any]:
    """What a task gave, or a step of an agent: a tool's use, or its answer. In the names of CrewAI's platform."""
    kind = event.type
    if kind == "task_completed":
        output = event.output
        told = {
            "task_id": str(event.task_id or ""),
            "description": output.description,
            "name": output.name,
            "expected_output": output.expected_output,
            "summary": output.summary,
            "agent": output.agent,
            "output": output.raw,
            "output_json": values.plain(output.json_dict),
        }
    elif kind in ("tool_usage_finished", "tool_usage_error"):
        failed = getattr(event, "error", None)
        told = {
            "tool": event.tool_name,
            "tool_input": values.plain(event.tool_args),
            "result": None if failed else _text(event.output),
            "error": str(failed) if failed else None,
        }
    elif kind == "agent_execution_completed":
        told = {"result": _text(event.output)}
    elif kind in ("task_failed", "agent_execution_error"):
        told = {"error": str(event.error)}
    else:
        return {}
    return {name: one[:MAX_DATA] if isinstance(one, str) else one for name, one in told.items()}


def _text(value: Any) -> str:
    return value if isinstance(value, str) else str(values.plain(value))


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
