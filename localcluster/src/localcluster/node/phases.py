"""A pod's status out of its containers' states, as a kubelet writes it. Pure."""

from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Any

Manifest = dict[str, Any]
INIT, SIDECAR, MAIN = "init", "sidecar", "main"


@dataclass(slots=True)
class Snapshot:
    """One container as it is now."""

    name: str
    role: str
    """`init`, `sidecar` or `main`."""
    image: str
    state: Manifest
    last_state: Manifest = field(default_factory=dict)
    restarts: int = 0
    ready: bool = False
    started: bool = False
    identity: str = ""


@dataclass(frozen=True, slots=True)
class Facts:
    """What is known of a pod beside its containers."""

    pod_ip: str
    host_ip: str
    start_time: str
    leaving: bool = False
    """It is being deleted."""


def role(spec: Manifest, *, init: bool) -> str:
    """What a container is to its pod."""
    if not init:
        return MAIN
    return SIDECAR if spec.get("restartPolicy") == "Always" else INIT


def initialized(containers: Sequence[Snapshot]) -> bool:
    """Whether every init container is done and every sidecar has started."""
    for one in containers:
        if one.role == INIT and (one.state.get("terminated") or {}).get("exitCode") != 0:
            return False
        if one.role == SIDECAR and not one.started:
            return False
    return True


def phase(pod: Manifest, containers: Sequence[Snapshot]) -> str:
    """The pod's phase."""
    main = [one for one in containers if one.role == MAIN]
    policy = pod["spec"].get("restartPolicy", "Always")
    failed_init = any(
        one.role == INIT and (one.state.get("terminated") or {}).get("exitCode", 0) != 0 for one in containers
    )
    if failed_init and policy == "Never":
        return "Failed"
    if all("terminated" in one.state for one in main):
        failed = any(one.state["terminated"].get("exitCode") for one in main)
        return "Failed" if failed else "Succeeded"
    created = all("waiting" not in one.state or one.last_state for one in main)
    return "Running" if created and initialized(containers) else "Pending"


def status(pod: Manifest, containers: Sequence[Snapshot], facts: Facts, now: str) -> Manifest:
    """The whole status."""
    before = pod.get("status") or {}
    told = phase(pod, containers)
    over = told in ("Succeeded", "Failed")
    serving = [one for one in containers if one.role in (MAIN, SIDECAR)]
    unready = [one.name for one in serving if not one.ready]
    ready = not unready and not over
    reason, message = "", ""
    if over:
        reason = "PodCompleted" if told == "Succeeded" else "PodFailed"
    elif unready:
        reason, message = "ContainersNotReady", f"containers with unready status: [{' '.join(unready)}]"
    done = initialized(containers) or told == "Succeeded"
    waiting = [one.name for one in containers if one.role == INIT and "terminated" not in one.state]
    conditions = [
        _condition(before, "PodReadyToStartContainers", bool(facts.pod_ip) and not over, "", "", now),
        _condition(
            before,
            "Initialized",
            done,
            "" if done else "ContainersNotInitialized",
            "" if done else f"containers with incomplete status: [{' '.join(waiting)}]",
            now,
        ),
        _condition(before, "Ready", ready, reason, message, now),
        _condition(before, "ContainersReady", ready, reason, message, now),
        _condition(before, "PodScheduled", True, "", "", now),
    ]
    shown: Manifest = {
        "phase": told,
        "qosClass": before.get("qosClass", "BestEffort"),
        "conditions": conditions,
        "hostIP": facts.host_ip,
        "hostIPs": [{"ip": facts.host_ip}],
        "startTime": facts.start_time,
    }
    if facts.pod_ip:
        shown |= {"podIP": facts.pod_ip, "podIPs": [{"ip": facts.pod_ip}]}
    inits = [_container(one) for one in containers if one.role != MAIN]
    if inits:
        shown["initContainerStatuses"] = inits
    shown["containerStatuses"] = [_container(one) for one in containers if one.role == MAIN]
    return shown


def _container(one: Snapshot) -> Manifest:
    return {
        "name": one.name,
        "image": one.image,
        "imageID": one.image,
        "containerID": f"local://{one.identity}" if one.identity else "",
        "ready": one.ready if one.role != INIT else (one.state.get("terminated") or {}).get("exitCode") == 0,
        "started": one.started,
        "restartCount": one.restarts,
        "state": one.state,
        "lastState": one.last_state,
    }


def _condition(before: Manifest, kind: str, holds: bool, reason: str, message: str, now: str) -> Manifest:
    wanted = "True" if holds else "False"
    known = next((one for one in before.get("conditions") or () if one["type"] == kind), None)
    same = known is not None and known["status"] == wanted
    return {
        "type": kind,
        "status": wanted,
        "lastTransitionTime": known["lastTransitionTime"] if same and known else now,
        **({"reason": reason} if reason else {}),
        **({"message": message} if message else {}),
    }
