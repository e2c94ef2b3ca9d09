"""Deployment: (deployment, its ReplicaSets) -> ReplicaSets to create and scale, conditions.

Source: Kubernetes' deployment controller: `rolling.go`, `recreate.go`, `progress.go`.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any

from localcluster.controllers.actions import (
    POD_HASH,
    Action,
    Create,
    Delete,
    Manifest,
    Plan,
    Replace,
    Status,
    Tell,
    condition,
    digest,
    owner_of,
    scaled,
)

REVISION = "deployment.kubernetes.io/revision"


@dataclass(frozen=True, slots=True)
class _Room:
    """How far a rolling update may go."""

    surge: int
    unavailable: int


def plan(deployment: Manifest, sets: Sequence[Manifest], now: datetime, stamp: str) -> Plan:
    """One step towards the wished template and number; the next one follows when pods have changed."""
    done = Plan()
    if deployment["metadata"].get("deletionTimestamp"):
        return done
    new = _current(deployment, sets)
    old = [one for one in sets if one is not new]
    steps: list[Action] = []
    if new is None and not deployment["spec"].get("paused"):
        if deployment["spec"]["strategy"]["type"] != "Recreate" or not any(_have(one) for one in old):
            made = _replica_set(deployment, sets, old)
            steps.append(Create("replicasets", made))
            steps.append(_told(deployment, "up", made, 0, made["spec"]["replicas"]))
        elif old:
            steps += _scale_all(deployment, old, 0)
    elif deployment["spec"].get("paused"):
        if new is not None:
            steps += _scale(deployment, new, deployment["spec"]["replicas"] - sum(_want(one) for one in old))
    elif new is not None:
        steps += _step(deployment, new, old)
        steps += _forgotten(deployment, old)
    done.actions += _revision(deployment, new)
    done.actions += steps
    status, again = _status(deployment, new, old, now, stamp)
    done.actions.append(Status("deployments", deployment, status))
    done.again = again
    return done


def _template(one: Manifest) -> Manifest:
    """A template without the label that tells its hash."""
    template = one["spec"]["template"]
    metadata = dict(template.get("metadata") or {})
    labels = {key: value for key, value in (metadata.get("labels") or {}).items() if key != POD_HASH}
    metadata.pop("creationTimestamp", None)
    return {**template, "metadata": {**metadata, "labels": labels}}


def _current(deployment: Manifest, sets: Sequence[Manifest]) -> Manifest | None:
    wanted = _template(deployment)
    return next((one for one in sets if _template(one) == wanted), None)


def _want(one: Manifest) -> int:
    return int(one["spec"].get("replicas", 1))


def _have(one: Manifest) -> int:
    return int((one.get("status") or {}).get("replicas", 0))


def _available(one: Manifest) -> int:
    return int((one.get("status") or {}).get("availableReplicas", 0))


def _room(deployment: Manifest) -> _Room:
    spec = deployment["spec"]
    rolling = spec["strategy"].get("rollingUpdate") or {}
    surge = scaled(rolling.get("maxSurge"), spec["replicas"], up=True)
    unavailable = scaled(rolling.get("maxUnavailable"), spec["replicas"], up=False)
    if surge == 0 and unavailable == 0:
        unavailable = 1  # as Kubernetes: with none of both nothing could ever move
    return _Room(surge, min(unavailable, spec["replicas"]))


def _replica_set(deployment: Manifest, sets: Sequence[Manifest], old: Sequence[Manifest]) -> Manifest:
    template = _template(deployment)
    hashed = digest(template)
    labels = {**template["metadata"]["labels"], POD_HASH: hashed}
    selector = deployment["spec"]["selector"]
    matched = {**(selector.get("matchLabels") or {}), POD_HASH: hashed}
    spec: dict[str, Any] = {
        "replicas": _grown(deployment, 0, old),
        "selector": {**selector, "matchLabels": matched},
        "template": {**template, "metadata": {**template["metadata"], "labels": labels}},
    }
    if "minReadySeconds" in deployment["spec"]:
        spec["minReadySeconds"] = deployment["spec"]["minReadySeconds"]
    return {
        "apiVersion": "apps/v1",
        "kind": "ReplicaSet",
        "metadata": {
            "name": f"{deployment['metadata']['name']}-{hashed}",
            "namespace": deployment["metadata"]["namespace"],
            "labels": labels,
            "annotations": {REVISION: str(1 + max((_revision_of(one) for one in sets), default=0))},
            "ownerReferences": [owner_of(deployment)],
        },
        "spec": spec,
    }


def _revision_of(one: Manifest) -> int:
    return int((one["metadata"].get("annotations") or {}).get(REVISION, 0))


def _revision(deployment: Manifest, new: Manifest | None) -> list[Action]:
    """Carry the ReplicaSet's revision over to the Deployment, where `kubectl rollout` reads it."""
    if new is None:
        return []
    annotations = deployment["metadata"].get("annotations") or {}
    revision = (new["metadata"].get("annotations") or {}).get(REVISION, "1")
    if annotations.get(REVISION) == revision:
        return []
    metadata = {**deployment["metadata"], "annotations": {**annotations, REVISION: revision}}
    return [Replace("deployments", {**deployment, "metadata": metadata})]


def _grown(deployment: Manifest, have: int, old: Sequence[Manifest]) -> int:
    """How many replicas the new set may be given."""
    spec = deployment["spec"]
    if spec["strategy"]["type"] == "Recreate":
        return int(spec["replicas"])
    allowed = spec["replicas"] + _room(deployment).surge - have - sum(_want(one) for one in old)
    return int(have + max(0, min(allowed, spec["replicas"] - have)))


def _step(deployment: Manifest, new: Manifest, old: Sequence[Manifest]) -> list[Action]:
    spec = deployment["spec"]
    if spec["strategy"]["type"] == "Recreate":
        if any(_want(one) for one in old):
            return _scale_all(deployment, old, 0)
        return [] if any(_have(one) for one in old) else _scale(deployment, new, spec["replicas"])
    if _want(new) > spec["replicas"]:
        return _scale(deployment, new, spec["replicas"])
    grown = _grown(deployment, _want(new), old)
    if grown != _want(new):
        return _scale(deployment, new, grown)
    return _shrink(deployment, new, old)


def _shrink(deployment: Manifest, new: Manifest, old: Sequence[Manifest]) -> list[Action]:
    """Scale old sets down: first what is not available anyway, then what the budget allows."""
    least = deployment["spec"]["replicas"] - _room(deployment).unavailable
    total = _want(new) + sum(_want(one) for one in old)
    spare = total - least - (_want(new) - _available(new))
    steps: list[Action] = []
    left: list[tuple[Manifest, int]] = []
    for one in sorted(old, key=lambda one: str(one["metadata"]["creationTimestamp"])):
        broken = max(0, min(spare, _want(one) - _available(one)))
        spare -= broken
        left.append((one, _want(one) - broken))
    budget = _available(new) + sum(_available(one) for one in old) - least
    for one, want in left:
        drop = max(0, min(budget, want, spare))
        budget, spare = budget - drop, spare - drop
        steps += _scale(deployment, one, want - drop)
    return steps


def _scale_all(deployment: Manifest, sets: Sequence[Manifest], replicas: int) -> list[Action]:
    return [action for one in sets for action in _scale(deployment, one, replicas)]


def _scale(deployment: Manifest, one: Manifest, replicas: int) -> list[Action]:
    before = _want(one)
    if before == replicas:
        return []
    resized = {**one, "spec": {**one["spec"], "replicas": replicas}}
    return [
        Replace("replicasets", resized),
        _told(deployment, "up" if replicas > before else "down", one, before, replicas),
    ]


def _told(deployment: Manifest, way: str, one: Manifest, before: int, after: int) -> Action:
    name = one["metadata"]["name"]
    return Tell(deployment, "ScalingReplicaSet", f"Scaled {way} replica set {name} from {before} to {after}")


def _forgotten(deployment: Manifest, old: Sequence[Manifest]) -> list[Action]:
    idle = sorted((one for one in old if not _want(one) and not _have(one)), key=_revision_of)
    surplus = len(idle) - deployment["spec"].get("revisionHistoryLimit", 10)
    return [Delete("replicasets", one) for one in idle[: max(0, surplus)]]


def _status(
    deployment: Manifest, new: Manifest | None, old: Sequence[Manifest], now: datetime, stamp: str
) -> tuple[Manifest, float | None]:
    spec, before = deployment["spec"], deployment.get("status") or {}
    every = [*old, *([new] if new is not None else [])]
    updated = _have(new) if new is not None else 0
    total = sum(_have(one) for one in every)
    available = sum(_available(one) for one in every)
    counts = {
        "replicas": total,
        "updatedReplicas": updated,
        "readyReplicas": sum(int((one.get("status") or {}).get("readyReplicas", 0)) for one in every),
        "availableReplicas": available,
        "unavailableReplicas": max(0, max(total, spec["replicas"]) - available),
    }
    conditions: list[Manifest] = before.get("conditions") or []
    least = spec["replicas"] - (_room(deployment).unavailable if spec["strategy"]["type"] != "Recreate" else 0)
    if available >= least:
        told = ("True", "MinimumReplicasAvailable", "Deployment has minimum availability.")
    else:
        told = ("False", "MinimumReplicasUnavailable", "Deployment does not have minimum availability.")
    shown = [condition("Available", *told, conditions, stamp)]
    progress, again = _progress(deployment, new, counts, now, stamp)
    shown.append(progress)
    status = {
        "observedGeneration": deployment["metadata"]["generation"],
        **{key: value for key, value in counts.items() if value},
        "conditions": shown,
    }
    return status, again


def _progress(
    deployment: Manifest, new: Manifest | None, counts: Manifest, now: datetime, stamp: str
) -> tuple[Manifest, float | None]:
    spec, before = deployment["spec"], deployment.get("status") or {}
    conditions: list[Manifest] = before.get("conditions") or []
    known = next((one for one in conditions if one["type"] == "Progressing"), None)
    name = f'ReplicaSet "{new["metadata"]["name"]}"' if new is not None else "ReplicaSet"
    complete = counts["updatedReplicas"] == counts["replicas"] == counts["availableReplicas"] == spec["replicas"]
    if complete and new is not None:
        message = f"{name} has successfully progressed."
        return condition("Progressing", "True", "NewReplicaSetAvailable", message, conditions, stamp), None
    if new is None:
        return condition(
            "Progressing", "True", "NewReplicaSetCreated", "Created new replica set", conditions, stamp
        ), None
    moved = any(counts[key] > before.get(key, 0) for key in ("updatedReplicas", "readyReplicas", "availableReplicas"))
    moved = moved or counts["replicas"] < before.get("replicas", 0)
    finished = known is not None and known["reason"] == "NewReplicaSetAvailable"
    if known is None or moved or (finished and counts["updatedReplicas"] < spec["replicas"]):
        message = f"{name} is progressing."
        fresh = condition("Progressing", "True", "ReplicaSetUpdated", message, conditions, stamp)
        return {**fresh, "lastUpdateTime": stamp}, float(spec["progressDeadlineSeconds"])
    if finished:  # a pod of a finished rollout that fell ill is no rollout
        return known, None
    since = datetime.fromisoformat(known["lastUpdateTime"])
    left = spec["progressDeadlineSeconds"] - (now - since).total_seconds()
    if left <= 0:
        message = f"{name} has timed out progressing."
        return condition("Progressing", "False", "ProgressDeadlineExceeded", message, conditions, stamp), None
    return known, left + 0.1
