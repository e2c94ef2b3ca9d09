"""A kickoff that waits for a person: what it asks, as frame, as stored fields and as a client sees it. Pure."""

import json
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from crew_runtime.contract import frames

_SHOWN = ("task_id", "kind", "task", "agent", "output", "message", "choices", "round")


@dataclass(frozen=True)
class Pause:
    """A question, and what is needed to go on once it is answered."""

    task_id: str
    """Of this question alone: the next one of the same task has another."""
    asked: Mapping[str, Any]
    """What the person is shown."""
    saved: Mapping[str, Any]
    """For the slot that goes on; nobody else reads it."""
    completed: int
    """Tasks that are finished."""


def paused(frame: frames.Frame) -> Pause:
    """Out of a `paused` frame."""
    completed = frame.get("completed")
    return Pause(
        task_id=str(frame.get("task_id") or ""),
        asked={name: frame.get(name) for name in _SHOWN},
        saved=frame.get("saved") or {},
        completed=completed if isinstance(completed, int) else 0,
    )


def pause_fields(pause: Pause) -> dict[str, str]:
    """As it is stored; the script writes what is shown, and when, itself."""
    return {"saved": json.dumps(pause.saved), "done": str(pause.completed)}


def shown(pause: Pause) -> str:
    """What the person is shown, as JSON."""
    return json.dumps(pause.asked)


def answer_fields(feedback: str, *, approved: bool) -> dict[str, str]:
    """A person's answer as it is stored."""
    return {"answer": json.dumps({"feedback": feedback, "approved": approved})}


def view(fields: Mapping[str, str]) -> dict[str, Any]:
    """What a client sees of the question. Times are Unix seconds; null while Redis has not got it yet."""
    times = {"since": "asked_at", "until": "answer_by"}
    seen = {name: int(fields[field]) / 1000 if field in fields else None for name, field in times.items()}
    return {**json.loads(fields.get("asked", "{}")), **seen}
