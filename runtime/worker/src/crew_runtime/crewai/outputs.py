"""What tasks said, in JSON's types and back: for results, and for kickoffs that go on in another process."""

from collections.abc import Iterable, Mapping
from datetime import datetime
from typing import Any

from crewai.tasks.task_output import TaskOutput
from pydantic import BaseModel

from crew_runtime.crewai.values import plain

_NOT_TEXT = ("files", "raw_tool_call_parts")
"""Of a message: objects of the process. Files are put in again by the executor; a provider does without the other."""
_TEXTS = ("name", "description", "expected_output", "raw", "agent")


def message(told: Mapping[str, Any]) -> dict[str, Any]:
    """One message of an agent's conversation."""
    return {str(key): plain(one) for key, one in told.items() if key not in _NOT_TEXT}


def conversation(told: Iterable[Mapping[str, Any]], answer: str) -> list[dict[str, Any]]:
    """An agent's messages with its answer at the end.

    CrewAI leaves the answer out of a text conversation (1.15.30), and then asks the model to change what it cannot see.
    """
    messages = [message(one) for one in told]
    if not messages or messages[-1].get("role") != "assistant":
        messages.append({"role": "assistant", "content": answer})
    return messages


def total(usage: Any, saved: Mapping[str, Any] | None) -> Any:
    """The usage of this attempt, and of those before it that `saved` knows."""
    before = (saved or {}).get("usage")
    if not isinstance(usage, Mapping) or not isinstance(before, Mapping):
        return usage
    return {name: one + before.get(name, 0) if isinstance(one, int) else one for name, one in usage.items()}


def packed(task: Any) -> dict[str, Any]:
    """A finished task's output, and when it ran."""
    output = task.output
    return {
        **{name: getattr(output, name) for name in _TEXTS},
        "format": output.output_format.value,
        "json": plain(output.json_dict),
        "pydantic": None if output.pydantic is None else output.pydantic.model_dump(mode="json"),
        "messages": [message(one) for one in output.messages or ()],
        "times": [one.isoformat() if one else None for one in (task.start_time, task.end_time)],
    }


def restore(task: Any, saved: Mapping[str, Any]) -> None:
    """Give a task of a fresh crew its output."""
    model: type[BaseModel] | None = task.output_pydantic or getattr(task, "response_model", None)
    typed = None if saved["pydantic"] is None or model is None else model.model_validate(saved["pydantic"])
    task.output = TaskOutput(
        **{name: saved[name] for name in _TEXTS},
        output_format=saved["format"],
        json_dict=saved["json"],
        pydantic=typed,
        messages=saved["messages"],
    )
    task.start_time, task.end_time = (datetime.fromisoformat(one) if one else None for one in saved["times"])
