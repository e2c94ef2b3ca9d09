"""A crew's pods as the API server gives them: which are replicas, and why one does not run. Pure."""

import json
import re
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from typing import Any

from crew_runtime.contract import resource
from crew_runtime.contract.reasons import BY_WORD, Reason

Object = Mapping[str, Any]

_PULL_WORDS = frozenset({"ErrImagePull", "ImagePullBackOff", "InvalidImageName", "ErrImageNeverPull"})
_CRASH_WORDS = frozenset({"CrashLoopBackOff", "RunContainerError", "StartError"})
_BACK_OFF = re.compile(r"back-off \d[\dhms.]*(?= )", re.IGNORECASE)
"""The kubelet's pause, which grows by itself: a message that changes would be written again and again."""
_HARMLESS_WORDS = frozenset({"", "ContainerCreating", "PodInitializing"})


@dataclass(frozen=True)
class ContainerTrouble:
    """Why a pod's containers do not run."""

    reason: Reason
    message: str


def replicas(pods: Iterable[Object]) -> list[Object]:
    """The crew's own, oldest first. Pods that ended (evicted, for one) are nobody's replicas."""
    own = [one for one in pods if label(one, resource.COMPONENT_LABEL) == resource.CREW and not _has_ended(one)]
    return sorted(own, key=lambda one: (str(one["metadata"].get("creationTimestamp", "")), one["metadata"]["name"]))


def redis(pods: Iterable[Object], name: str, made_by: str = "", called: str = "") -> Object | None:
    """The pod of the managed Redis of the CrewDeployment `name`: whoever asks it shows it a password, so its name and
    labels, which anybody may give to a pod, are not enough.

    Args:
        made_by: uid of its StatefulSet; empty while that is not known, when the name of it has to do.
        called: the pod's name, of several; the first one's if nothing is said.
    """
    one = _called(pods, called or resource.redis_pod(name))
    return one if one is not None and _is_made_by(one, resource.redis(name), made_by) else None


def redis_members(pods: Iterable[Object], name: str, made_by: str) -> list[tuple[int, Object]]:
    """All pods of the managed Redis of the CrewDeployment `name` with their numbers, in order. `made_by` as above."""
    stateful_set = resource.redis(name)
    found = []
    for one in pods:
        called, _, number = str(one["metadata"]["name"]).rpartition("-")
        if called == stateful_set and number.isdecimal() and _is_made_by(one, stateful_set, made_by):
            found.append((int(number), one))
    return sorted(found, key=lambda one: one[0])


def in_place_of_redis(pods: Iterable[Object], name: str, made_by: str = "") -> Object | None:
    """Somebody else's pod that has the name of that one."""
    one = _called(pods, resource.redis_pod(name))
    return one if one is not None and not _is_made_by(one, resource.redis(name), made_by) else None


def trouble(pod: Object) -> ContainerTrouble | None:
    """Why a pod's containers do not run; None while they do, or simply start."""
    for one in statuses(pod):
        waiting = (one.get("state") or {}).get("waiting") or {}
        word = str(waiting.get("reason") or "")
        if word not in _HARMLESS_WORDS:
            if (told := _told(one)) is not None:
                return told
            detail = _BACK_OFF.sub("back-off", str(waiting.get("message") or "").strip())
            last = _last_end(one)
            message = f"container {one.get('name')}: {word}" + (f": {detail}" if detail else "") + last
            return ContainerTrouble(_reason(word, detail), message)
    status = pod.get("status") or {}
    if status.get("phase") not in (None, "Pending"):
        return None  # it had a node
    for condition in status.get("conditions") or ():
        if condition.get("type") == "PodScheduled" and condition.get("status") == "False":
            return ContainerTrouble(Reason.POD_NOT_STARTED, f"not scheduled: {condition.get('message') or ''}".strip())
    return None


def is_ready(pod: Object) -> bool:
    """Whether its Ready condition is True."""
    conditions = (pod.get("status") or {}).get("conditions") or ()
    return any(one.get("type") == "Ready" and one.get("status") == "True" for one in conditions)


def restarts(pod: Object) -> int:
    """Of all its containers together."""
    return sum(int(one.get("restartCount") or 0) for one in statuses(pod))


def address(pod: Object) -> str:
    """Its IP address; empty while it has none."""
    return str((pod.get("status") or {}).get("podIP") or "")


def statuses(pod: Object) -> tuple[Object, ...]:
    """Those of its containers, init containers first."""
    status = pod.get("status") or {}
    return (*(status.get("initContainerStatuses") or ()), *(status.get("containerStatuses") or ()))


def label(pod: Object, name: str) -> str:
    """A label's value; empty without it."""
    return str((pod["metadata"].get("labels") or {}).get(name, ""))


def _called(pods: Iterable[Object], name: str) -> Object | None:
    return next((one for one in pods if one["metadata"]["name"] == name), None)


def _is_made_by(pod: Object, stateful_set: str, uid: str) -> bool:
    owners: Iterable[Object] = pod["metadata"].get("ownerReferences") or ()
    controller = next((one for one in owners if one.get("controller")), None)
    return controller is not None and (
        str(controller.get("apiVersion", "")).startswith("apps/")
        and controller.get("kind") == "StatefulSet"
        and controller.get("name") == stateful_set
        and uid in ("", controller.get("uid"))
    )


def _has_ended(pod: Object) -> bool:
    return str((pod.get("status") or {}).get("phase", "")) in ("Succeeded", "Failed")


def _told(container: Object) -> ContainerTrouble | None:
    """What a launcher or worker that gave up left as its termination message: JSON, in the last line of it."""
    said = str(((container.get("lastState") or {}).get("terminated") or {}).get("message") or "")
    try:
        told = json.loads(said.strip().rpartition("\n")[2])
    except ValueError:
        return None
    if not isinstance(told, dict) or (reason := BY_WORD.get(str(told.get("reason")))) is None:
        return None
    return ContainerTrouble(reason, str(told.get("message") or reason.cause))


def _reason(word: str, detail: str) -> Reason:
    if word == "CreateContainerConfigError" and "runAsNonRoot" in detail:
        return Reason.IMAGE_RUNS_AS_ROOT
    if word in _PULL_WORDS:
        return Reason.IMAGE_NOT_PULLED
    return Reason.CONTAINER_CRASHES if word in _CRASH_WORDS else Reason.POD_NOT_STARTED


def _last_end(container: Object) -> str:
    ended = (container.get("lastState") or {}).get("terminated") or {}
    if not ended:
        return ""
    said = str(ended.get("message") or ended.get("reason") or "").strip()
    return f" (last exit code {ended.get('exitCode')}{': ' + said[-200:] if said else ''})"
