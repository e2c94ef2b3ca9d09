"""The claim of the crew's files and the Events about it, as the API server gives them -> facts. Pure."""

from collections.abc import Iterable, Mapping
from dataclasses import replace
from typing import Any, Final

from crew_operator.status.observed import Claim

Object = Mapping[str, Any]
BOUND: Final = "Bound"
_NORMAL_WAIT: Final = "WaitForFirstConsumer"
"""Of a class that makes a volume where the first pod is to run."""


def claim(found: Object) -> Claim:
    """A PersistentVolumeClaim; a new one has no status."""
    about, spec = found["metadata"], found.get("spec") or {}
    return Claim(
        name=str(about["name"]),
        uid=str(about.get("uid") or ""),
        phase=str((found.get("status") or {}).get("phase") or "Pending"),
        storage_class=str(spec.get("storageClassName") or ""),
        modes=tuple(str(mode) for mode in spec.get("accessModes") or ()),
    )


def told(one: Claim, events: Iterable[Object]) -> Claim:
    """With what its provisioner, or whoever looks for a volume, said last."""
    heard = [event for event in events if event.get("message") and event.get("reason") != _NORMAL_WAIT]
    if not heard:
        return replace(one, said="", warned=False)
    last = max(heard, key=_time)
    return replace(one, said=str(last["message"]).strip(), warned=last.get("type") == "Warning")


def _time(event: Object) -> str:
    """When it happened last; RFC 3339 in UTC, which sorts."""
    series = event.get("series") or {}
    times = (series.get("lastObservedTime"), event.get("lastTimestamp"), event.get("eventTime"))
    return max((str(one) for one in times if one), default=str(event["metadata"].get("creationTimestamp") or ""))
