"""Transitions and acts -> Kubernetes Events on the CrewDeployment. Pure.

An Event's name is made from what it says, so that the same thing said again counts up instead of piling up.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from crew_operator.api import names
from crew_operator.api.names import ConditionType
from crew_operator.desired import metadata
from crew_operator.status.conditions import MAX_MESSAGE, Condition, Transition, timestamp
from crew_runtime.contract.reasons import Reason

STARTING_FOR = 180.0
"""Seconds after its creation in which a crew that was never ready may be merely starting."""
_READY = ConditionType.READY.value
_STARTING = frozenset(
    one.word
    for one in (
        Reason.REPLICAS_NOT_READY,
        Reason.REDIS_POD_MISSING,
        Reason.REDIS_UNREACHABLE,
        Reason.REDIS_NO_QUORUM,
        Reason.REDIS_NOT_REPLICATED,
        Reason.REDIS_LOADING,
        Reason.REDIS_RESTARTED,
        Reason.REPLICA_LOST_REDIS,
        Reason.POD_NOT_STARTED,
        Reason.STORAGE_NOT_BOUND,
    )
)
"""What pods, volumes, names and policies look like while they come to be."""


@dataclass(frozen=True)
class Note:
    """What an Event says."""

    reason: str
    message: str
    warning: bool = False


def notes(transitions: Sequence[Transition], *, starting: bool = False, first: bool = False) -> tuple[Note, ...]:
    """One for each transition. Of conditions that are said for the first time only Ready's: the rest is just new.

    Args:
        starting: the crew was made a moment ago and was never ready; what may go by itself is not told then.
        first: it was never ready, so that nobody misses what it gets; all of that is told by Ready.
    """
    return tuple(
        Note(one.reason, f"{one.type}={one.status}: {one.message}", one.warning)
        for one in transitions
        if (one.before is not None or (one.type == _READY and one.status == "False"))
        and (one.warning or one.type == _READY or not first)
        and not (starting and one.status != "True" and one.reason in _STARTING)
    )


def overdue(conditions: Sequence[Condition]) -> tuple[Note, ...]:
    """What was not told while the crew started, and is a warning now that it should have."""
    return tuple(
        Note(one["reason"], f"{one['type']}={one['status']}: {one['message']}", warning=True)
        for one in conditions
        if one["status"] == "False" and one["reason"] in _STARTING
    )


def event(
    owner: Mapping[str, Any], note: Note, first: float, now: float, count: int, *, combined: bool = False
) -> dict[str, Any]:
    """The manifest. `owner`: the CrewDeployment; times in Unix seconds.

    Args:
        combined: it stands for all further messages of its reason.
    """
    about = owner["metadata"]
    text = "" if combined else note.message
    said = metadata.checksum([about.get("uid"), note.reason, text, note.warning])
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
        "message": f"(combined from similar events) {note.message}"[:MAX_MESSAGE] if combined else note.message,
        "source": {"component": names.FIELD_MANAGER},
        "reportingComponent": names.FIELD_MANAGER,
        "firstTimestamp": timestamp(first),
        "lastTimestamp": timestamp(now),
        "count": count,
    }
