"""Pods and a Deployment as the API server gives them -> facts."""

import json
from collections.abc import Iterable, Mapping, Sequence
from typing import Any

from crew_operator.api import names
from crew_operator.api.reasons import BY_WORD, Reason
from crew_operator.status.observed import ContainerTrouble, RedisPod, Replica, Workload

Object = Mapping[str, Any]

_HASH_LABEL = "pod-template-hash"
_PULL_WORDS = frozenset({"ErrImagePull", "ImagePullBackOff", "InvalidImageName", "ErrImageNeverPull"})
_CRASH_WORDS = frozenset({"CrashLoopBackOff", "RunContainerError", "StartError"})
_HARMLESS_WORDS = frozenset({"", "ContainerCreating", "PodInitializing"})


def replicas(pods: Sequence[Object]) -> tuple[Replica, ...]:
    """The crew's pods, oldest first. Pods that ended (evicted, for one) are nobody's replicas."""
    own = [one for one in pods if _component(one) == names.CREW and _phase(one) not in ("Succeeded", "Failed")]
    own.sort(key=lambda one: (str(one["metadata"].get("creationTimestamp", "")), one["metadata"]["name"]))
    # new pods are made from the newest template, so the youngest pod shows which one that is
    newest = _label(own[-1], _HASH_LABEL) if own else ""
    return tuple(_replica(one, newest) for one in own)


def redis_pod(pods: Iterable[Object], name: str) -> RedisPod | None:
    """The pod of the managed Redis of the CrewDeployment `name`."""
    for one in pods:
        if one["metadata"]["name"] == names.redis_pod(name):
            status = one.get("status") or {}
            found = trouble(one)
            return RedisPod(
                uid=str(one["metadata"].get("uid", "")),
                ip=str(status.get("podIP") or ""),
                trouble=found.message if found is not None else "",
            )
    return None


def workload(deployment: Object | None) -> Workload | None:
    """The crew's Deployment."""
    if deployment is None:
        return None
    status = deployment.get("status") or {}
    generation = deployment["metadata"].get("generation", 0)
    return Workload(
        wanted=int((deployment.get("spec") or {}).get("replicas", 1)),
        replicas=int(status.get("replicas") or 0),
        ready=int(status.get("readyReplicas") or 0),
        updated=int(status.get("updatedReplicas") or 0),
        up_to_date=int(status.get("observedGeneration") or 0) >= int(generation),
        deadline_exceeded=any(
            one.get("type") == "Progressing" and one.get("reason") == "ProgressDeadlineExceeded"
            for one in status.get("conditions") or ()
        ),
    )


def trouble(pod: Object) -> ContainerTrouble | None:
    """Why a pod's containers do not run; None while they do, or simply start."""
    status = pod.get("status") or {}
    for one in (*(status.get("initContainerStatuses") or ()), *(status.get("containerStatuses") or ())):
        waiting = (one.get("state") or {}).get("waiting") or {}
        word = str(waiting.get("reason") or "")
        if word not in _HARMLESS_WORDS:
            if (told := _told(one)) is not None:
                return told
            detail = str(waiting.get("message") or "").strip()
            last = _last_end(one)
            message = f"container {one.get('name')}: {word}" + (f": {detail}" if detail else "") + last
            return ContainerTrouble(_reason(word, detail), message)
    for condition in status.get("conditions") or ():
        if condition.get("type") == "PodScheduled" and condition.get("status") == "False":
            return ContainerTrouble(Reason.POD_NOT_STARTED, f"not scheduled: {condition.get('message') or ''}".strip())
    return None


def _replica(pod: Object, newest: str) -> Replica:
    metadata, status = pod["metadata"], pod.get("status") or {}
    statuses = (*(status.get("initContainerStatuses") or ()), *(status.get("containerStatuses") or ()))
    return Replica(
        name=str(metadata["name"]),
        uid=str(metadata.get("uid", "")),
        ip=str(status.get("podIP") or ""),
        ready=any(one.get("type") == "Ready" and one.get("status") == "True" for one in status.get("conditions") or ()),
        terminating=metadata.get("deletionTimestamp") is not None,
        restarts=sum(int(one.get("restartCount") or 0) for one in statuses),
        newest=_label(pod, _HASH_LABEL) == newest,
        trouble=trouble(pod),
        crew_runs=any(one.get("name") == names.CREW_CONTAINER and _runs(one) for one in statuses),
    )


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


def _runs(container: Object) -> bool:
    return "running" in (container.get("state") or {})


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


def _component(pod: Object) -> str:
    return _label(pod, names.COMPONENT_LABEL)


def _label(pod: Object, name: str) -> str:
    return str((pod["metadata"].get("labels") or {}).get(name, ""))


def _phase(pod: Object) -> str:
    return str((pod.get("status") or {}).get("phase", ""))
