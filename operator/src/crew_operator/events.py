"""Transitions and acts -> Kubernetes Events on the CrewDeployment. Pure.

An Event's name is made from what it says, so that the same thing said again counts up instead of piling up.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from crew_operator.api import names
from crew_operator.api.names import ConditionType
from crew_operator.desired import metadata
from crew_operator.status.conditions import Transition, timestamp


@dataclass(frozen=True)
class Note:
    """What an Event says."""

    reason: str
    message: str
    warning: bool = False


def notes(transitions: Sequence[Transition]) -> tuple[Note, ...]:
    """One for each transition. Of conditions that are said for the first time only Ready's: the rest is just new."""
    return tuple(
        Note(one.reason, f"{one.type}={one.status}: {one.message}", one.warning)
        for one in transitions
        if one.before is not None or (one.type == ConditionType.READY.value and one.status == "False")
    )


def event(owner: Mapping[str, Any], note: Note, first: float, now: float, count: int) -> dict[str, Any]:
    """The manifest. `owner`: the CrewDeployment; times in Unix seconds."""
    about = owner["metadata"]
    said = metadata.checksum([about.get("uid"), note.reason, note.message, note.warning])
    return {
        "apiVersion": "v1",
        "kind": "Event",
        "metadata": {"name": f"{about['name']}.{said}", "namespace": about["namespace"]},
        "involvedObject": {
            "apiVersion": names.API_VERSION,
            "kind": names.KIND,
            "namespace": about["namespace"],
            "name": about["name"],
            "uid": about.get("uid", ""),
        },
        "type": "Warning" if note.warning else "Normal",
        "reason": note.reason,
        "message": note.message,
        "source": {"component": names.FIELD_MANAGER},
        "reportingComponent": names.FIELD_MANAGER,
        "firstTimestamp": timestamp(first),
        "lastTimestamp": timestamp(now),
        "count": count,
    }
