"""What CrewAI gave -> what a kickoff's result says, in JSON's types. Pure: the crew and the flow stay as they are."""

import json
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from typing import Any

from crewai.crews.crew_output import CrewOutput
from crewai.lite_agent_output import LiteAgentOutput
from crewai.tasks.task_output import TaskOutput
from pydantic import BaseModel

from crew_runtime.crewai.outputs import usage
from crew_runtime.crewai.outputs.values import plain

_OUTPUTS = (CrewOutput, TaskOutput, LiteAgentOutput)
"""What CrewAI's crews, tasks and agents give: `raw` is what was said, the rest is about it."""
_STRUCTURED = (*_OUTPUTS, BaseModel, Mapping)


@dataclass(frozen=True)
class Output:
    """What a kickoff gave, in JSON's types."""

    text: str
    json: Any
    """Most often an object; of a model that is a list, a number or a text, that. None: nothing structured."""
    tasks: list[dict[str, Any]]
    usage: dict[str, int] | None


def of_crew(crew: Any, result: Any, before: usage.Counts, earlier: Any = None) -> Output:
    """The result of the crew that was kicked off.

    Args:
        crew: The very object; its tasks hold what they gave.
        result: What `kickoff` returned: a CrewOutput, or what the last `@after_kickoff` made of it, None too.
        before: `usage.counted(crew)` right before the kickoff.
        earlier: The usage of the attempts before this one, of a kickoff that waited for a person; or None.
    """
    metrics = getattr(result, "token_usage", None)
    if not any((usage.since(metrics, {}) or {}).values()):
        # A CrewOutput that an `@after_kickoff` made anew says 0, and anything else nothing.
        metrics = getattr(crew, "usage_metrics", None)
    return Output(
        text=_text(result),
        json=_json(result),
        tasks=_tasks(crew, result),
        usage=usage.total(usage.since(metrics, before), earlier),
    )


def of_flow(flow: Any, result: Any, earlier: Any = None) -> Output:
    """The result of the flow that was kicked off; its state stands in for a result without a structure of its own.

    CrewAI counts a flow's tokens anew in each kickoff, over all crews, agents and LLMs that it calls (1.15.30).
    """
    state = plain(flow.state)
    stands_in = isinstance(state, dict) and not isinstance(result, _STRUCTURED)
    counted = usage.since(getattr(flow, "usage_metrics", None), {})
    if not any((counted or {}).values()):
        # An LLM of the author's own reports no call to the flow, but counts for the crew that it served.
        counted = usage.since(getattr(result, "token_usage", None), {}) or counted
    return Output(
        text=_text(result),
        json=state if stands_in else _json(result),
        tasks=[_task(None, one) for one in result.tasks_output] if isinstance(result, CrewOutput) else [],
        usage=usage.total(counted, earlier),
    )


def _text(result: Any) -> str:
    """What was said; of anything else its JSON. `str()` would give Python's notation, which no client reads."""
    if isinstance(result, _OUTPUTS):
        return result.raw
    value = plain(result)
    if isinstance(value, str):
        return value
    return "" if result is None else json.dumps(value, ensure_ascii=False)


def _json(result: Any) -> Any:
    if isinstance(result, _OUTPUTS):
        typed = getattr(result, "json_dict", None)
        return plain(result.pydantic if typed is None else typed)
    return plain(result) if isinstance(result, _STRUCTURED) else None


def _tasks(crew: Any, result: Any) -> list[dict[str, Any]]:
    """By the result; by the crew's own tasks when an `@after_kickoff` left none of them in it."""
    told = result.tasks_output if isinstance(result, CrewOutput) else ()
    outputs = list(told) or [task.output for task in crew.tasks if task.output is not None]
    return [_task(task, output) for task, output in zip(_makers(crew.tasks, outputs), outputs, strict=True)]


def _makers(tasks: Iterable[Any], outputs: Iterable[Any]) -> list[Any]:
    """The task of each output; None for one that no task of the crew gave."""
    by_output = {id(task.output): task for task in tasks if task.output is not None}
    return [by_output.get(id(output)) for output in outputs]


def _task(task: Any, output: TaskOutput) -> dict[str, Any]:
    return {
        "task_id": str(task.id) if task is not None else "",
        "name": output.name or "",
        "output": output.raw,
        "agent": output.agent,
        "execution_time": getattr(task, "execution_duration", None),
    }
