"""StatefulSet: (set, its pods, its claims, its revisions) -> pods and claims to create or delete, status.

Source: Kubernetes' stateful set controller, `stateful_set_control.go`.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

from localcluster.controllers.actions import (
    Action,
    Create,
    Delete,
    Manifest,
    Plan,
    Replace,
    Status,
    Tell,
    digest,
    is_ready,
    owner_of,
)

REVISION = "controller-revision-hash"
POD_NAME = "statefulset.kubernetes.io/pod-name"
POD_INDEX = "apps.kubernetes.io/pod-index"


@dataclass(frozen=True, slots=True)
class Found:
    """What there is of a set."""

    pods: Sequence[Manifest]
    claims: Sequence[Manifest]
    revisions: Sequence[Manifest]


def plan(wanted: Manifest, found: Found) -> Plan:
    """One step: in order, one pod at a time, unless the set wants them in parallel."""
    done = Plan()
    if wanted["metadata"].get("deletionTimestamp"):
        return done
    update = f"{wanted['metadata']['name']}-{digest(wanted['spec']['template'])}"
    current = _current_revision(wanted, found, update)
    done.actions += _revisions(wanted, found, update)
    done.actions += _claim_owners(wanted, found)
    done.actions += _pods(wanted, found, current, update)
    done.actions.append(Status("statefulsets", wanted, _status(wanted, found, current, update)))
    return done


def ordinal(pod: Manifest) -> int:
    """The number at the end of a pod's name; -1 when there is none."""
    tail = pod["metadata"]["name"].rpartition("-")[2]
    return int(tail) if tail.isdigit() else -1


def _start(wanted: Manifest) -> int:
    return int((wanted["spec"].get("ordinals") or {}).get("start", 0))


def _revision_of(pod: Manifest) -> str:
    return str((pod["metadata"].get("labels") or {}).get(REVISION, ""))


def _current_revision(wanted: Manifest, found: Found, update: str) -> str:
    known = (wanted.get("status") or {}).get("currentRevision")
    olds = {_revision_of(pod) for pod in found.pods}
    return update if known is None or not olds or olds == {update} else str(known)


def _revisions(wanted: Manifest, found: Found, update: str) -> list[Action]:
    known = sorted(found.revisions, key=lambda one: int(one["revision"]))
    if any(one["metadata"]["name"] == update for one in known):
        used = {update, *(_revision_of(pod) for pod in found.pods)}
        idle = [one for one in known if one["metadata"]["name"] not in used]
        surplus = len(idle) - wanted["spec"].get("revisionHistoryLimit", 10)
        return [Delete("controllerrevisions", one) for one in idle[: max(0, surplus)]]
    made = {
        "apiVersion": "apps/v1",
        "kind": "ControllerRevision",
        "metadata": {
            "name": update,
            "namespace": wanted["metadata"]["namespace"],
            "labels": {**(wanted["spec"]["template"]["metadata"].get("labels") or {}), REVISION: update},
            "ownerReferences": [owner_of(wanted)],
        },
        "data": {"spec": {"template": wanted["spec"]["template"]}},
        "revision": 1 + max((int(one["revision"]) for one in known), default=0),
    }
    return [Create("controllerrevisions", made)]


def _template_of(found: Found, revision: str) -> Manifest | None:
    for one in found.revisions:
        if one["metadata"]["name"] == revision:
            template: Manifest = one["data"]["spec"]["template"]
            return template
    return None


def _pods(wanted: Manifest, found: Found, current: str, update: str) -> list[Action]:
    spec = wanted["spec"]
    start = _start(wanted)
    numbers = range(start, start + spec["replicas"])
    there = {ordinal(pod): pod for pod in found.pods}
    ordered = spec.get("podManagementPolicy") != "Parallel"
    partition = ((spec.get("updateStrategy") or {}).get("rollingUpdate") or {}).get("partition", 0)
    actions: list[Action] = []
    for number in numbers:
        pod = there.get(number)
        if pod is None:
            revision = update if number >= partition or current == update else current
            actions += _create(wanted, found, number, revision, update)
        elif _has_ended(pod):
            actions += _delete(wanted, pod)
        if ordered and (pod is None or not _runs_well(pod)):
            return actions
    if actions:
        return actions
    surplus = sorted((one for one in there if one not in numbers), reverse=True)
    for number in surplus:
        pod = there[number]
        if not pod["metadata"].get("deletionTimestamp"):
            actions += _release(wanted, found, pod)
            actions += _delete(wanted, pod)
        if ordered:
            return actions
    return actions or _update(wanted, there, list(numbers), partition, update)


def _has_ended(pod: Manifest) -> bool:
    ended = (pod.get("status") or {}).get("phase") in ("Failed", "Succeeded")
    return ended and not pod["metadata"].get("deletionTimestamp")


def _runs_well(pod: Manifest) -> bool:
    return is_ready(pod) and not _has_ended(pod) and not pod["metadata"].get("deletionTimestamp")


def _update(
    wanted: Manifest, there: dict[int, Manifest], numbers: Sequence[int], partition: int, update: str
) -> list[Action]:
    """Delete the highest pod of an older revision; its successor is made from the new template."""
    if (wanted["spec"].get("updateStrategy") or {}).get("type") == "OnDelete":
        return []
    for number in reversed(numbers):
        pod = there.get(number)
        if number < partition or pod is None:
            return []
        if _revision_of(pod) != update and not pod["metadata"].get("deletionTimestamp"):
            return _delete(wanted, pod)
        if not is_ready(pod):
            return []
    return []


def _delete(wanted: Manifest, pod: Manifest) -> list[Action]:
    name = pod["metadata"]["name"]
    message = f"delete Pod {name} in StatefulSet {wanted['metadata']['name']} successful"
    return [Delete("pods", pod), Tell(wanted, "SuccessfulDelete", message)]


def claim_name(wanted: Manifest, claim: Manifest, number: int) -> str:
    """The name of a pod's claim."""
    return f"{claim['metadata']['name']}-{wanted['metadata']['name']}-{number}"


def _policy(wanted: Manifest) -> dict[str, str]:
    return wanted["spec"].get("persistentVolumeClaimRetentionPolicy") or {}


def _create(wanted: Manifest, found: Found, number: int, revision: str, update: str) -> list[Action]:
    name = wanted["metadata"]["name"]
    template = (_template_of(found, revision) if revision != update else None) or wanted["spec"]["template"]
    known = {claim["metadata"]["name"] for claim in found.claims}
    actions: list[Action] = []
    volumes: list[Manifest] = []
    for claim in wanted["spec"].get("volumeClaimTemplates") or ():
        wanted_name = claim_name(wanted, claim, number)
        volumes.append({"name": claim["metadata"]["name"], "persistentVolumeClaim": {"claimName": wanted_name}})
        if wanted_name not in known:
            actions.append(Create("persistentvolumeclaims", _claim(wanted, claim, wanted_name)))
            message = f"create Claim {wanted_name} Pod {name}-{number} in StatefulSet {name} success"
            actions.append(Tell(wanted, "SuccessfulCreate", message))
    claimed = {volume["name"] for volume in volumes}
    spec: dict[str, Any] = {**template["spec"], "hostname": f"{name}-{number}"}
    spec["volumes"] = [one for one in spec.get("volumes") or () if one["name"] not in claimed] + volumes
    if wanted["spec"].get("serviceName"):
        spec["subdomain"] = wanted["spec"]["serviceName"]
    metadata = template.get("metadata") or {}
    labels = {
        **(metadata.get("labels") or {}),
        REVISION: revision,
        POD_NAME: f"{name}-{number}",
        POD_INDEX: str(number),
    }
    pod = {
        "apiVersion": "v1",
        "kind": "Pod",
        "metadata": {
            "generateName": f"{name}-",
            "name": f"{name}-{number}",
            "namespace": wanted["metadata"]["namespace"],
            "labels": labels,
            **({"annotations": metadata["annotations"]} if metadata.get("annotations") else {}),
            "ownerReferences": [owner_of(wanted)],
        },
        "spec": spec,
    }
    message = f"create Pod {name}-{number} in StatefulSet {name} successful"
    return [*actions, Create("pods", pod), Tell(wanted, "SuccessfulCreate", message)]


def _claim(wanted: Manifest, claim: Manifest, name: str) -> Manifest:
    labels = {**(claim["metadata"].get("labels") or {}), **(wanted["spec"]["selector"].get("matchLabels") or {})}
    owners = [owner_of(wanted, controller=False)] if _policy(wanted).get("whenDeleted") == "Delete" else []
    return {
        "apiVersion": "v1",
        "kind": "PersistentVolumeClaim",
        "metadata": {
            "name": name,
            "namespace": wanted["metadata"]["namespace"],
            "labels": labels,
            **({"ownerReferences": owners} if owners else {}),
        },
        "spec": claim["spec"],
    }


def _claim_owners(wanted: Manifest, found: Found) -> list[Action]:
    """Let the claims' owners follow the retention policy, also when it changes later."""
    mine = owner_of(wanted, controller=False)
    prefixes = tuple(
        f"{claim['metadata']['name']}-{wanted['metadata']['name']}-"
        for claim in wanted["spec"].get("volumeClaimTemplates") or ()
    )
    actions: list[Action] = []
    for claim in found.claims:
        if not prefixes or not claim["metadata"]["name"].startswith(prefixes):
            continue
        owners = claim["metadata"].get("ownerReferences") or []
        has = any(one["uid"] == mine["uid"] for one in owners)
        should = _policy(wanted).get("whenDeleted") == "Delete"
        if has != should:
            kept = [one for one in owners if one["uid"] != mine["uid"]] + ([mine] if should else [])
            metadata = {**claim["metadata"], "ownerReferences": kept}
            actions.append(Replace("persistentvolumeclaims", {**claim, "metadata": metadata}))
    return actions


def _release(wanted: Manifest, found: Found, pod: Manifest) -> list[Action]:
    """With `whenScaled: Delete` a claim goes with the pod that is scaled away."""
    if _policy(wanted).get("whenScaled") != "Delete":
        return []
    names = {claim_name(wanted, claim, ordinal(pod)) for claim in wanted["spec"].get("volumeClaimTemplates") or ()}
    return [
        Replace(
            "persistentvolumeclaims",
            {**claim, "metadata": {**claim["metadata"], "ownerReferences": [owner_of(pod, controller=False)]}},
        )
        for claim in found.claims
        if claim["metadata"]["name"] in names
    ]


def _status(wanted: Manifest, found: Found, current: str, update: str) -> Manifest:
    pods = [pod for pod in found.pods if not pod["metadata"].get("deletionTimestamp")]
    ready = sum(is_ready(pod) for pod in pods)
    updated = sum(_revision_of(pod) == update for pod in pods)
    if updated == len(pods) == wanted["spec"]["replicas"] and ready == updated:
        current = update
    counts = {
        "readyReplicas": ready,
        "currentReplicas": sum(_revision_of(pod) == current for pod in pods),
        "updatedReplicas": updated,
    }
    return {
        "observedGeneration": wanted["metadata"]["generation"],
        "replicas": len(pods),
        "availableReplicas": ready,
        **{key: value for key, value in counts.items() if value},
        "currentRevision": current,
        "updateRevision": update,
        "collisionCount": 0,
    }
