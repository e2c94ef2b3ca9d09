"""What tasks said, in JSON's types and back: for results, and for kickoffs that go on in another process."""

from collections.abc import Iterable, Mapping
from datetime import datetime
from typing import Any

from crewai.tasks.task_output import TaskOutput
from pydantic import BaseModel

from crew_runtime.crewai.outputs.values import plain

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


def packed(task: Any, output: Any = None) -> dict[str, Any]:
    """A finished task's output, its own or the one given, and when it ran."""
    output = task.output if output is None else output
    return {
        **{name: getattr(output, name) for name in _TEXTS},
        "format": output.output_format.value,
        "json": plain(output.json_dict),
        "pydantic": None if output.pydantic is None else output.pydantic.model_dump(mode="json"),
        "messages": [message(one) for one in output.messages or ()],
        "times": [one.isoformat() if one else None for one in (task.start_time, task.end_time)],
    }


def check(task: Any, output: Any, saved: Mapping[str, Any]) -> None:
    """Raise ValueError when a typed output would not be the same again."""
    if output.pydantic is not None and _typed(task, saved) != output.pydantic:
        raise ValueError(f"a {type(output.pydantic).__name__} is not the same again when it is read back from JSON")


def _typed(task: Any, saved: Mapping[str, Any]) -> BaseModel | None:
    model: type[BaseModel] | None = task.output_pydantic or getattr(task, "response_model", None)
    return None if saved["pydantic"] is None or model is None else model.model_validate(saved["pydantic"])


def restore(task: Any, saved: Mapping[str, Any]) -> None:
    """Give a task of a fresh crew its output."""
    typed = _typed(task, saved)
    task.output = TaskOutput(
        **{name: saved[name] for name in _TEXTS},
        output_format=saved["format"],
        json_dict=saved["json"],
        pydantic=typed,
        messages=saved["messages"],
    )
    task.start_time, task.end_time = (datetime.fromisoformat(one) if one else None for one in saved["times"])
