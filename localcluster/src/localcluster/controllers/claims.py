"""PersistentVolumeClaim: (claim, pods, volume) -> a volume of its own, bound; kept while a pod uses it."""

from collections.abc import Sequence

from localcluster.controllers.actions import Action, Create, Delete, Manifest, Plan, Replace, Status

PROTECTION = "kubernetes.io/pvc-protection"


def volume_name(claim: Manifest) -> str:
    """The name of a claim's volume, which is also the name of its folder."""
    return f"pvc-{claim['metadata']['uid']}"


def plan(claim: Manifest, pods: Sequence[Manifest], volume: Manifest | None, path: str) -> Plan:
    """Bind a claim at once, follow its size, and let go of it when no pod uses it any more."""
    metadata = claim["metadata"]
    finalizers = metadata.get("finalizers") or []
    if metadata.get("deletionTimestamp"):
        if PROTECTION not in finalizers or any(uses(pod, claim) for pod in pods):
            return Plan()
        kept = {**metadata, "finalizers": [one for one in finalizers if one != PROTECTION]}
        gone: list[Action] = [Delete("persistentvolumes", volume)] if volume is not None else []
        return Plan([*gone, Replace("persistentvolumeclaims", {**claim, "metadata": kept})])
    if PROTECTION not in finalizers or not claim["spec"].get("volumeName"):
        spec = {**claim["spec"], "volumeName": volume_name(claim)}
        protected = [*finalizers, *({PROTECTION} - set(finalizers))]
        bound = {**claim, "metadata": {**metadata, "finalizers": protected}, "spec": spec}
        return Plan([Replace("persistentvolumeclaims", bound)])
    capacity = {"storage": claim["spec"]["resources"]["requests"]["storage"]}
    wanted = _volume(claim, capacity, path)
    actions: list[Action] = []
    if volume is None:
        actions.append(Create("persistentvolumes", wanted))
    elif volume["spec"]["capacity"] != capacity:
        actions.append(Replace("persistentvolumes", {**volume, "spec": {**volume["spec"], "capacity": capacity}}))
    elif not volume.get("status"):
        actions.append(Status("persistentvolumes", volume, {"phase": "Bound"}))
    status = {"phase": "Bound", "accessModes": claim["spec"]["accessModes"], "capacity": capacity}
    return Plan([*actions, Status("persistentvolumeclaims", claim, status)])


def uses(pod: Manifest, claim: Manifest) -> bool:
    """Whether a pod that has not ended mounts a claim."""
    if pod["metadata"]["namespace"] != claim["metadata"]["namespace"]:
        return False
    if (pod.get("status") or {}).get("phase") in ("Succeeded", "Failed"):
        return False
    names = (
        (volume.get("persistentVolumeClaim") or {}).get("claimName") for volume in pod["spec"].get("volumes") or ()
    )
    return claim["metadata"]["name"] in names


def _volume(claim: Manifest, capacity: dict[str, str], path: str) -> Manifest:
    metadata = claim["metadata"]
    return {
        "apiVersion": "v1",
        "kind": "PersistentVolume",
        "metadata": {"name": volume_name(claim)},
        "spec": {
            "capacity": capacity,
            "accessModes": claim["spec"]["accessModes"],
            "persistentVolumeReclaimPolicy": "Delete",
            "storageClassName": claim["spec"].get("storageClassName", ""),
            "hostPath": {"path": path},
            "claimRef": {
                "apiVersion": "v1",
                "kind": "PersistentVolumeClaim",
                "namespace": metadata["namespace"],
                "name": metadata["name"],
                "uid": metadata["uid"],
            },
        },
    }
