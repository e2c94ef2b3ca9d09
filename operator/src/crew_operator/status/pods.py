"""Pods and a Deployment as the API server gives them -> facts."""

from collections.abc import Iterable, Mapping, Sequence
from typing import Any

from crew_operator.api import names
from crew_operator.status.observed import RedisMember, RedisPod, Replica, Workload
from crew_runtime.contract import pods as contract
from crew_runtime.contract import resource
from crew_runtime.contract.pods import Object

_HASH_LABEL = "pod-template-hash"


def replicas(pods: Sequence[Object]) -> tuple[Replica, ...]:
    """The crew's pods, oldest first."""
    own = contract.replicas(pods)
    # new pods are made from the newest template, so the youngest pod shows which one that is
    newest = contract.label(own[-1], _HASH_LABEL) if own else ""
    return tuple(_replica(one, newest) for one in own)


def are_of_one_template(pods: Sequence[Object], wanted: int) -> bool:
    """Whether all pods of a crew, also those on their way out, are of the template of its `wanted` ready ones."""
    own = contract.replicas(pods)
    return len(own) >= wanted and len({contract.label(one, _HASH_LABEL) for one in own}) == min(wanted, 1)


def wait_for_failover(pods: Iterable[Object]) -> tuple[bool, ...]:
    """For each of a crew's pods, also one on its way out, whether it waits for the next primary of Redis."""
    return tuple(contract.label(one, names.FAILS_OVER_LABEL) == "true" for one in contract.replicas(pods))


def all_use(pods: Sequence[Object], version: str, reported: Mapping[str, str]) -> bool:
    """Whether all pods of a crew, also those on their way out, connect to Redis with the password of this version.

    Args:
        reported: pod -> version, as they said last: what has read a new password reads no older one again.
    """
    return all(reported.get(one["metadata"]["name"]) == version for one in contract.replicas(pods))


def redis_pod(pods: Iterable[Object], name: str, made_by: str, called: str = "") -> RedisPod | None:
    """The pod of the managed Redis of the CrewDeployment `name`.

    Args:
        made_by: the StatefulSet's uid; empty: not known.
        called: the pod's name; the one of a Redis that is not replicated if nothing is said.
    """
    one = contract.redis(pods, name, made_by, called)
    if one is None:
        return None
    found = contract.trouble(one)
    return RedisPod(
        uid=str(one["metadata"].get("uid", "")),
        ip=contract.address(one),
        trouble=found.message if found is not None else "",
    )


def redis_pod_taken(pods: Iterable[Object], name: str, made_by: str) -> str:
    """The name of that pod when somebody else's has it; empty when none has. `made_by` as above."""
    one = contract.in_place_of_redis(pods, name, made_by)
    return "" if one is None else str(one["metadata"]["name"])


def redis_members(pods: Iterable[Object], name: str, made_by: str, *, updated: str) -> tuple[RedisMember, ...]:
    """The pods of the replicated Redis of the CrewDeployment `name`, by their number.

    Args:
        made_by: the StatefulSet's uid.
        updated: the revision of its newest template; empty: not known, and none is outdated.
    """
    return tuple(
        RedisMember(
            name=str(one["metadata"]["name"]),
            ordinal=number,
            uid=str(one["metadata"].get("uid", "")),
            ip=contract.address(one),
            role=contract.label(one, names.ROLE_LABEL),
            outdated=updated not in ("", contract.label(one, names.REVISION_LABEL)),
            terminating=one["metadata"].get("deletionTimestamp") is not None,
            ready=contract.is_ready(one),
        )
        for number, one in contract.redis_members(pods, name, made_by)
    )


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
        uid=str(deployment["metadata"].get("uid") or ""),
    )


def pruned(pod: Object) -> dict[str, Any]:
    """What this module and the contract's read of a pod, for who keeps many."""
    about, status = pod["metadata"], pod.get("status") or {}
    return {
        "metadata": {
            **_some(about, "name", "namespace", "creationTimestamp", "deletionTimestamp"),
            "labels": _some(
                about.get("labels") or {},
                *(resource.OWNER_LABEL, resource.COMPONENT_LABEL, _HASH_LABEL),
                *(names.ROLE_LABEL, names.REVISION_LABEL, names.FAILS_OVER_LABEL),
            ),
            "ownerReferences": [
                _some(one, "apiVersion", "kind", "name", "uid", "controller")
                for one in about.get("ownerReferences") or ()
                if one.get("controller")
            ],
        },
        "status": {
            **_some(status, "phase", "podIP"),
            "conditions": [_some(one, "type", "status", "reason", "message") for one in status.get("conditions") or ()],
            **{
                name: [_pruned_container(one) for one in status.get(name) or ()]
                for name in ("initContainerStatuses", "containerStatuses")
            },
        },
    }


def pruned_status(status: Object) -> dict[str, Any]:
    """What this module reads of a Deployment's status."""
    return {
        **_some(status, "replicas", "readyReplicas", "updatedReplicas", "observedGeneration"),
        "conditions": [_some(one, "type", "reason") for one in status.get("conditions") or ()],
    }


def _pruned_container(status: Object) -> dict[str, Any]:
    state, last = status.get("state") or {}, (status.get("lastState") or {}).get("terminated") or {}
    return {
        **_some(status, "name", "restartCount"),
        "state": {
            **({"running": {}} if "running" in state else {}),
            **({"waiting": _some(state["waiting"], "reason", "message")} if state.get("waiting") else {}),
        },
        "lastState": {"terminated": _some(last, "message", "reason", "exitCode")} if last else {},
    }


def _some(data: Object, *keys: str) -> dict[str, Any]:
    return {key: data[key] for key in keys if data.get(key) is not None}


def _replica(pod: Object, newest: str) -> Replica:
    metadata = pod["metadata"]
    return Replica(
        name=str(metadata["name"]),
        uid=str(metadata.get("uid", "")),
        ip=contract.address(pod),
        ready=contract.is_ready(pod),
        terminating=metadata.get("deletionTimestamp") is not None,
        restarts=contract.restarts(pod),
        newest=contract.label(pod, _HASH_LABEL) == newest,
        trouble=contract.trouble(pod),
        crew_runs=any(
            one.get("name") == resource.CREW_CONTAINER and "running" in (one.get("state") or {})
            for one in contract.statuses(pod)
        ),
    )
