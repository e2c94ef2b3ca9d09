"""What the server itself decides about built-in kinds when they are written: addresses, names accepted, scale."""

import ipaddress
from typing import Any

from localcluster.apiserver import cel, kinds, schema
from localcluster.apiserver.kinds import Resource
from localcluster.apiserver.status import ApiError, Cause, bad_request, invalid
from localcluster.apiserver.store import Store

Manifest = dict[str, Any]
_SERVICES = ("", "services")


def cluster_address(store: Store, cidr: str, service: Manifest) -> None:
    """Give a Service the lowest free address of `cidr`, in place, unless it is headless or brings its own."""
    spec = service["spec"]
    if spec.get("type") == "ExternalName":
        return
    if not spec.get("clusterIP"):
        taken = {record.manifest["spec"].get("clusterIP") for record in store.select(_SERVICES)}
        free = (str(address) for address in ipaddress.ip_network(cidr).hosts())
        chosen = next((address for address in free if address not in taken), None)
        if chosen is None:
            raise ApiError(500, "InternalError", f"no service address is free in {cidr}")
        spec["clusterIP"] = chosen
    spec["clusterIPs"] = [spec["clusterIP"]]
    spec.setdefault("ipFamilies", ["IPv4"])
    spec.setdefault("ipFamilyPolicy", "SingleStack")


def storage_class(store: Store, claim: Manifest) -> None:
    """Give a new claim that names no class the default one, in place."""
    if claim["spec"].get("storageClassName") is None:
        for record in store.select(("storage.k8s.io", "storageclasses")):
            annotations = record.manifest["metadata"].get("annotations") or {}
            if annotations.get("storageclass.kubernetes.io/is-default-class") == "true":
                claim["spec"]["storageClassName"] = record.manifest["metadata"]["name"]


def accept_crd(crd: Manifest, now: str) -> None:
    """Say in a CRD's status that it is served, in place: here that is true at once."""
    names = crd["spec"]["names"]
    told = {
        "NamesAccepted": ("NoConflicts", "no conflicts found"),
        "Established": ("InitialNamesAccepted", "the initial names have been accepted"),
    }
    status = crd.get("status") or {}
    times = {one["type"]: one["lastTransitionTime"] for one in status.get("conditions") or ()}
    stored = list(status.get("storedVersions") or ())
    storage = next(version["name"] for version in crd["spec"]["versions"] if version.get("storage"))
    crd["status"] = {
        "acceptedNames": dict(names),
        "conditions": [
            {
                "type": kind,
                "status": "True",
                "reason": reason,
                "message": message,
                "lastTransitionTime": times.get(kind, now),
            }
            for kind, (reason, message) in told.items()
        ],
        "storedVersions": stored if storage in stored else [*stored, storage],
    }


def crd_warnings(crd: Manifest) -> list[str]:
    """What this server cannot do of a CRD, so that nobody is fooled."""
    return [
        f"{crd['metadata']['name']}: the local API server does not enforce the CEL rule at {at or 'the top'}: {why}"
        for resource in kinds.of_crd(crd)
        for at, rule in cel.rules(resource.node)
        if (why := cel.unsupported(rule))
    ]


def _at(manifest: Any, path: str) -> Any:
    for part in path.strip(".").split("."):
        manifest = manifest.get(part) if isinstance(manifest, dict) else None
    return manifest


def scale_of(resource: Resource, manifest: Manifest) -> Manifest:
    """The `Scale` of an object."""
    metadata = manifest["metadata"]
    if resource.custom:
        wanted = _at(manifest, resource.scale["specReplicasPath"])
        have = _at(manifest, resource.scale.get("statusReplicasPath", ".status.replicas"))
        path = resource.scale.get("labelSelectorPath")
        selector = _at(manifest, path) if path else None
        if wanted is None:
            raise ApiError(
                500, "InternalError", f"the spec replicas field {resource.scale['specReplicasPath']!r} does not exist"
            )
    else:
        wanted = manifest["spec"].get("replicas", 1)
        have = (manifest.get("status") or {}).get("replicas", 0)
        labels = (manifest["spec"].get("selector") or {}).get("matchLabels") or {}
        selector = ",".join(f"{key}={value}" for key, value in sorted(labels.items()))
    kept = ("name", "namespace", "uid", "resourceVersion", "creationTimestamp")
    return {
        "kind": "Scale",
        "apiVersion": "autoscaling/v1",
        "metadata": {key: metadata[key] for key in kept if key in metadata},
        "spec": {"replicas": wanted},
        "status": {"replicas": have or 0, **({"selector": selector} if selector else {})},
    }


def scale_faults(resource: Resource, manifest: Manifest) -> list[Cause]:
    """What is wrong with the replicas of a custom resource that can be scaled."""
    path = resource.scale.get("specReplicasPath")
    replicas = _at(manifest, path) if path else None
    if path and isinstance(replicas, int) and replicas < 0:
        return [Cause(path, f"Invalid value: {replicas}: should be a non-negative integer")]
    return []


def with_scale(resource: Resource, manifest: Manifest, scale: Manifest) -> Manifest:
    """The object with the replicas of a `Scale`."""
    replicas = (scale.get("spec") or {}).get("replicas", 0)
    if not isinstance(replicas, int) or replicas < 0:
        cause = Cause("spec.replicas", f"Invalid value: {replicas}: should be a non-negative integer")
        raise invalid("Scale", "autoscaling", manifest["metadata"]["name"], [cause])
    path = (resource.scale.get("specReplicasPath") or ".spec.replicas").strip(".").split(".")
    return _with(manifest, path, replicas)


def _with(manifest: Manifest, path: list[str], value: Any) -> Manifest:
    if not path:
        raise bad_request("empty path of replicas")
    head, *rest = path
    return {**manifest, head: _with(manifest.get(head) or {}, rest, value) if rest else value}


def check_decoded(resource: Resource, manifest: Manifest) -> None:
    """Refuse a built-in object whose fields have other types than Kubernetes' own, as its decoder would."""
    if not resource.custom:
        wrong = schema.wrong_types(resource.node, manifest)
        if wrong:
            raise bad_request(
                f'{resource.kind} in version "{resource.version}" cannot be handled as a {resource.kind}: '
                f"json: {wrong[0].message}"
            )
