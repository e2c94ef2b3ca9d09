"""The volume for the crew's files: one claim, which the pods of all replicas mount."""

from collections.abc import Mapping
from typing import Any

from crew_operator.api import names
from crew_operator.api.spec import CrewDeployment, CrewStorage, WhenDeleted
from crew_operator.desired import metadata
from crew_operator.desired.metadata import Inputs, Manifest
from crew_operator.errors import Problem
from crew_runtime.contract import env

_PATH = "spec.crew.storage"


def claim(crew: CrewDeployment, storage: CrewStorage, inputs: Inputs) -> Manifest:
    """The PersistentVolumeClaim. It outlives the crew unless the spec says otherwise, hence has no owner then; by its
    labels a crew that is made again under the name knows it. What a claim cannot change stays as it is, and it is grown
    by itself: to apply a size below its own would be refused, with all the rest.
    """
    about = metadata.of(crew, names.files(crew.name), names.CREW)
    if storage.when_deleted is WhenDeleted.RETAIN:
        del about["ownerReferences"]
    there = inputs.files_claim or {}
    spec: dict[str, Any] = {
        "accessModes": list(there.get("accessModes") or [mode.value for mode in storage.access_modes]),
        "resources": {"requests": {"storage": requested(there) or storage.size}},
    }
    if storage.storage_class_name is not None:
        spec["storageClassName"] = there.get("storageClassName") or storage.storage_class_name
    return {"apiVersion": "v1", "kind": "PersistentVolumeClaim", "metadata": about, "spec": spec}


def requested(spec: Mapping[str, Any]) -> str:
    """What a claim's spec asks for; empty when it says nothing."""
    return str(((spec.get("resources") or {}).get("requests") or {}).get("storage") or "")


def problems(crew: CrewDeployment, there: Mapping[str, Any] | None) -> tuple[Problem, ...]:
    """What the spec asks for and the claim that is there cannot become: one from before the spec had a storage, or was
    made again.

    Args:
        there: the claim's spec; None: there is none.
    """
    storage = crew.spec.crew.storage
    if storage is None or there is None:
        return ()
    found = []
    keep = f"or remove {_PATH}, delete the claim {names.files(crew.name)} with the files in it, and write it again"
    wanted, has = storage.storage_class_name, str(there.get("storageClassName") or "")
    if wanted is not None and has and wanted != has:
        says = f"the claim has the class {has} and keeps it: write {has}, {keep}"
        found.append(Problem(f"{_PATH}.storageClassName", says))
    modes = [str(mode) for mode in there.get("accessModes") or ()]
    if modes and set(modes) != {mode.value for mode in storage.access_modes}:
        says = f"the claim has the modes {', '.join(modes)} and keeps them: write these, {keep}"
        found.append(Problem(f"{_PATH}.accessModes", says))
    return tuple(found)


def volumes(crew: CrewDeployment) -> list[dict[str, Any]]:
    """Of the pod."""
    if crew.spec.crew.storage is None:
        return []
    return [{"name": names.FILES_VOLUME, "persistentVolumeClaim": {"claimName": names.files(crew.name)}}]


def mounts(crew: CrewDeployment) -> list[dict[str, Any]]:
    """Of the crew's container."""
    storage = crew.spec.crew.storage
    return [{"name": names.FILES_VOLUME, "mountPath": storage.mount_path}] if storage is not None else []


def pod_security(crew: CrewDeployment) -> dict[str, Any]:
    """Without it the kubelet gives each file of the volume to the pod's group, at every start of a pod: with many files
    that takes minutes."""
    return {"fsGroupChangePolicy": "OnRootMismatch"} if crew.spec.crew.storage is not None else {}


def variables(crew: CrewDeployment) -> dict[str, str | None]:
    """Where the runtime has CrewAI write."""
    storage = crew.spec.crew.storage
    if storage is None:
        return {}
    return {env.FILES: storage.mount_path, env.FILES_PREFIX: storage.mount_path.lstrip("/")}


def strategy(crew: CrewDeployment) -> dict[str, Any]:
    """How replicas are replaced. None is taken away before a new one is ready, whatever their number; but a volume that
    one node or pod may have at a time is free for the new one only when the old one is gone.
    """
    storage = crew.spec.crew.storage
    if storage is not None and not storage.is_shared:
        return {"type": "Recreate"}
    return {"type": "RollingUpdate", "rollingUpdate": {"maxUnavailable": 0, "maxSurge": "25%"}}
