"""ReplicaSet: (set, its pods) -> pods to create or delete, counts."""

import random
from collections.abc import Callable, Sequence
from typing import Any

from localcluster.controllers.actions import (
    Create,
    Delete,
    Manifest,
    Plan,
    Status,
    Tell,
    digest,
    is_active,
    is_ready,
    owner_of,
)


def pod_name(owner: str, salt: object) -> str:
    """A name for a pod of a set: the set's and five characters."""
    return f"{owner[:57]}-{digest([owner, salt])[:5]}"


def plan(replica_set: Manifest, pods: Sequence[Manifest], now: str, salt: Callable[[], float] = random.random) -> Plan:
    """Bring the number of active pods to the wished one, and say how many there are."""
    done = Plan()
    active = [pod for pod in pods if is_active(pod)]
    if not replica_set["metadata"].get("deletionTimestamp"):
        missing = replica_set["spec"].get("replicas", 1) - len(active)
        for _ in range(missing):
            pod = _pod(replica_set, pod_name(replica_set["metadata"]["name"], salt()))
            done.actions.append(Create("pods", pod))
            done.actions.append(Tell(replica_set, "SuccessfulCreate", f"Created pod: {pod['metadata']['name']}"))
        for pod in sorted(active, key=_last_to_keep)[: max(0, -missing)]:
            done.actions.append(Delete("pods", pod))
            done.actions.append(Tell(replica_set, "SuccessfulDelete", f"Deleted pod: {pod['metadata']['name']}"))
    done.actions.append(Status("replicasets", replica_set, _status(replica_set, active)))
    return done


def _last_to_keep(pod: Manifest) -> tuple[Any, ...]:
    """Deleted first: pods that are not ready, then the youngest."""
    return (is_ready(pod), _reversed(pod["metadata"]["creationTimestamp"]), pod["metadata"]["name"])


def _reversed(text: str) -> str:
    return "".join(chr(255 - ord(one)) for one in text)


def _pod(replica_set: Manifest, name: str) -> Manifest:
    template = replica_set["spec"]["template"]
    metadata = template.get("metadata") or {}
    kept = {key: metadata[key] for key in ("labels", "annotations", "finalizers") if metadata.get(key)}
    return {
        "apiVersion": "v1",
        "kind": "Pod",
        "metadata": {
            "generateName": f"{replica_set['metadata']['name']}-",
            "name": name,
            "namespace": replica_set["metadata"]["namespace"],
            **kept,
            "ownerReferences": [owner_of(replica_set)],
        },
        "spec": template["spec"],
    }


def _status(replica_set: Manifest, active: Sequence[Manifest]) -> Manifest:
    ready = sum(is_ready(pod) for pod in active)
    return {
        "replicas": len(active),
        "fullyLabeledReplicas": len(active),
        "readyReplicas": ready,
        "availableReplicas": ready,
        "observedGeneration": replica_set["metadata"]["generation"],
    }
