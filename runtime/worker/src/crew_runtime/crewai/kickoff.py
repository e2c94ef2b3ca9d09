"""One kickoff of a loaded crew or flow -> plain values, or a pause for a person; with every memory write done.

The crew is copied and the flow built anew, so that two kickoffs of one process share no state of either.
"""

import json
import threading
from collections.abc import Iterable, Iterator, Mapping, Set
from dataclasses import dataclass
from typing import Any

from crewai.core.providers.human_input import reset_provider, set_provider
from crewai.crews.crew_output import CrewOutput
from crewai.flow.async_feedback.types import HumanFeedbackPending
from pydantic import BaseModel

from crew_runtime.crewai import flow_feedback, human_input, outputs
from crew_runtime.crewai.human_input import Answer, Pause, TaskReview
from crew_runtime.crewai.load import Loaded
from crew_runtime.crewai.values import plain


@dataclass(frozen=True)
class Output:
    """What a kickoff gave, in JSON's types."""

    text: str
    json: dict[str, Any] | None
    tasks: list[dict[str, Any]]
    usage: dict[str, Any] | None


def run(loaded: Loaded, given: Mapping[str, Any], session: str, answer: Answer | None = None) -> Output | Pause:
    """Kick off and wait, or go on from a pause that `answer` answers. Raises what the crew raises, SystemExit too."""
    inputs = {**loaded.defaults, **given}
    try:
        if loaded.make_flow is not None:
            return _flow(loaded.make_flow(), inputs, session, answer)
        return _crew(loaded.crew.copy(), loaded.crew, inputs, answer)
    except human_input.Asked as asked:
        return asked.pause
    except flow_feedback.AskedInFlowError as error:
        raise RuntimeError(str(error)) from error


def _crew(crew: Any, base: Any, inputs: dict[str, Any], answer: Answer | None) -> Output | Pause:
    # A streaming kickoff returns at once and runs in a thread of its own.
    crew.stream = False
    provider = set_provider(TaskReview(crew, answer))
    try:
        result = crew.kickoff(inputs=inputs)
    finally:
        reset_provider(provider)
        # kickoff() itself has waited for the writes of all of these.
        _close_pools(_memories(crew), keep=_memories(base))
    usage = plain(result.token_usage) if isinstance(result, CrewOutput) else None
    usage = outputs.total(usage, answer.saved if answer else None)
    return Output(_text(result), _json(result), _tasks(crew, result), usage)


def _flow(flow: Any, inputs: dict[str, Any], session: str, answer: Answer | None) -> Output | Pause:
    flow.stream = False
    # The state of a persisted flow is kept under this id: the next kickoff of the session goes on from there.
    inputs.setdefault("id", session)
    message = inputs.get("message")
    provider = set_provider(TaskReview())
    try:
        if answer is not None:
            result = flow_feedback.resume(flow, answer)
        elif isinstance(message, str) and _conversational(flow):
            # A turn of the session's conversation; it takes no other inputs (crewai 1.15.30).
            result = flow.handle_turn(message, session_id=session)
        else:
            result = flow.kickoff(inputs=inputs)
    finally:
        reset_provider(provider)
        for memory in _memories(flow):
            memory.drain_writes()
        _close_pools(_memories(flow), keep=())
    if isinstance(result, HumanFeedbackPending):
        return flow_feedback.pause(flow, result, answer)
    tasks = _tasks(None, result) if isinstance(result, CrewOutput) else []
    state = plain(flow.state)
    usage = plain(getattr(flow, "usage_metrics", None))
    return Output(
        _text(result),
        _json(result) or (state if isinstance(state, dict) else None),
        tasks,
        usage if isinstance(usage, dict) else None,
    )


def _conversational(flow: Any) -> bool:
    """Source: ConversationalMixin.handle_turn, 1.15.30, which refuses any other flow."""
    enabled = getattr(flow, "_is_conversational_enabled", None)
    return bool(enabled is not None and enabled())


def threads(loaded: Loaded) -> Set[threading.Thread]:
    """The threads that a crew keeps between kickoffs: those of the memory that all its copies share."""
    owners = () if loaded.crew is None else _memories(loaded.crew)
    return frozenset(thread for memory in owners for thread in getattr(_pool(memory), "_threads", ()))


def _text(result: Any) -> str:
    if isinstance(result, str):
        return result
    if isinstance(result, dict | list):
        return json.dumps(plain(result), ensure_ascii=False)
    return "" if result is None else str(result)


def _json(result: Any) -> dict[str, Any] | None:
    if isinstance(result, CrewOutput):
        result = result.json_dict or result.pydantic
    value = plain(result) if isinstance(result, BaseModel | Mapping) else None
    return value if isinstance(value, dict) else None


def _tasks(crew: Any, result: Any) -> list[dict[str, Any]]:
    outputs = getattr(result, "tasks_output", ())
    made_by = list(crew.tasks) if crew is not None else [None] * len(outputs)
    return [_task(task, output) for task, output in zip(made_by, outputs, strict=False)]


def _task(task: Any, output: Any) -> dict[str, Any]:
    return {
        "task_id": str(task.id) if task is not None else "",
        "name": output.name or "",
        "output": output.raw,
        "agent": output.agent,
        "execution_time": getattr(task, "execution_duration", None),
    }


def _memories(owner: Any) -> list[Any]:
    """The Memory objects behind a crew, its agents, or a flow. Source: Crew._drain_memory_writes, 1.15.30."""
    holders = [owner, getattr(owner, "manager_agent", None), *(getattr(owner, "agents", None) or ())]
    found = [getattr(owner, "_memory", None), *(getattr(one, "memory", None) for one in holders)]
    backing = [getattr(one, "_memory", None) or one for one in found if one is not None and not isinstance(one, bool)]
    return list({id(one): one for one in backing if hasattr(one, "drain_writes")}.values())


def _close_pools(memories: Iterable[Any], keep: Iterable[Any]) -> None:
    """End the save threads of memories that only this kickoff had. Not `Memory.close`: it closes the shared backend."""
    kept = {id(one) for one in keep}
    for pool in _pools(one for one in memories if id(one) not in kept):
        pool.shutdown(wait=True)


def _pools(memories: Iterable[Any]) -> Iterator[Any]:
    return (pool for memory in memories if (pool := _pool(memory)) is not None)


def _pool(memory: Any) -> Any:
    return getattr(memory, "_save_pool", None)
