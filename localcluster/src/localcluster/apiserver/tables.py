"""Server-side printing: manifests -> the `Table` that `kubectl get` shows."""

import re
from collections.abc import Callable, Sequence
from datetime import UTC, datetime
from typing import Any

from localcluster.apiserver.kinds import Resource

Manifest = dict[str, Any]
Cell = Callable[[Manifest, datetime], Any]


def age(manifest: Manifest, now: datetime) -> str:
    """Time since creation, as kubectl writes it."""
    return since(manifest["metadata"].get("creationTimestamp"), now)


def since(time: str | None, now: datetime) -> str:
    """Time since `time`: `<unknown>`, `5s`, `3m20s`, `2h`, `4d`."""
    if not time:
        return "<unknown>"
    try:
        then = datetime.fromisoformat(time)
    except ValueError:
        return "<invalid>"
    seconds = max(0, int((now - then.astimezone(UTC)).total_seconds()))
    if seconds < 120:
        return f"{seconds}s"
    minutes, hours, days = seconds // 60, seconds // 3600, seconds // 86400
    if minutes < 10:
        return f"{minutes}m{seconds % 60}s" if seconds % 60 else f"{minutes}m"
    if hours < 3:
        return f"{minutes}m"
    if hours < 8:
        return f"{hours}h{minutes % 60}m" if minutes % 60 else f"{hours}h"
    return f"{hours}h" if hours < 48 else f"{days}d"


def _name(manifest: Manifest, now: datetime) -> str:
    return str(manifest["metadata"]["name"])


def _spec(*path: str, default: Any = "<none>") -> Cell:
    def cell(manifest: Manifest, now: datetime) -> Any:
        value: Any = manifest
        for part in path:
            value = value.get(part) if isinstance(value, dict) else None
        return default if value in (None, "", []) else value

    return cell


def _ready(manifest: Manifest, now: datetime) -> str:
    return f"{manifest.get('status', {}).get('readyReplicas', 0)}/{manifest['spec'].get('replicas', 1)}"


def _pod_ready(manifest: Manifest, now: datetime) -> str:
    status, spec = manifest.get("status") or {}, manifest["spec"]
    sidecars = {one["name"] for one in spec.get("initContainers") or () if one.get("restartPolicy") == "Always"}
    ready = sum(bool(one.get("ready")) for one in status.get("containerStatuses") or ())
    ready += sum(bool(one.get("ready")) for one in status.get("initContainerStatuses") or () if one["name"] in sidecars)
    return f"{ready}/{len(spec.get('containers') or ()) + len(sidecars)}"


def _pod_status(manifest: Manifest, now: datetime) -> str:
    status = manifest.get("status") or {}
    if manifest["metadata"].get("deletionTimestamp"):
        return "Terminating"
    shown = status.get("reason") or status.get("phase") or "Unknown"
    sidecars = {
        one["name"] for one in manifest["spec"].get("initContainers") or () if one.get("restartPolicy") == "Always"
    }
    inits = status.get("initContainerStatuses") or []
    for index, one in enumerate(inits):
        state = one.get("state") or {}
        if ("terminated" in state and state["terminated"].get("exitCode") == 0) or (
            one["name"] in sidecars and one.get("started")
        ):
            continue
        reason = (state.get("terminated") or state.get("waiting") or {}).get("reason")
        if reason and reason != "PodInitializing":
            return f"Init:{reason}"
        return f"Init:{index}/{len(inits)}"
    for one in reversed(status.get("containerStatuses") or []):
        state = one.get("state") or {}
        reason = (state.get("waiting") or state.get("terminated") or {}).get("reason")
        shown = reason or shown
    return str(shown)


def _restarts(manifest: Manifest, now: datetime) -> str:
    status = manifest.get("status") or {}
    every = [*(status.get("containerStatuses") or ()), *(status.get("initContainerStatuses") or ())]
    count = sum(one.get("restartCount", 0) for one in every)
    ends = [
        ended for one in every if (ended := ((one.get("lastState") or {}).get("terminated") or {}).get("finishedAt"))
    ]
    return f"{count} ({since(max(ends), now)} ago)" if count and ends else str(count)


def _ports(manifest: Manifest, now: datetime) -> str:
    ports = manifest["spec"].get("ports") or ()
    return ",".join(f"{one['port']}/{one.get('protocol', 'TCP')}" for one in ports) or "<none>"


def _selector(manifest: Manifest, now: datetime) -> str:
    selector = manifest["spec"].get("selector") or {}
    return ",".join(f"{key}={value}" for key, value in selector.get("matchLabels", selector).items()) or "<none>"


def _containers(key: str) -> Cell:
    def cell(manifest: Manifest, now: datetime) -> str:
        template = manifest["spec"].get("template", {}).get("spec") or {}
        return ",".join(str(one.get(key)) for one in template.get("containers") or ())

    return cell


def _count(key: str) -> Cell:
    return lambda manifest, now: len(manifest.get(key) or ())


def _event_object(manifest: Manifest, now: datetime) -> str:
    about = manifest.get("involvedObject") or {}
    return f"{str(about.get('kind', '')).lower()}/{about.get('name', '')}"


def _event_seen(manifest: Manifest, now: datetime) -> str:
    series = manifest.get("series") or {}
    time = series.get("lastObservedTime") or manifest.get("lastTimestamp") or manifest.get("eventTime")
    return since(time or manifest["metadata"].get("creationTimestamp"), now)


def _modes(manifest: Manifest, now: datetime) -> str:
    short = {"ReadWriteOnce": "RWO", "ReadOnlyMany": "ROX", "ReadWriteMany": "RWX", "ReadWriteOncePod": "RWOP"}
    return ",".join(short.get(mode, mode) for mode in manifest["spec"].get("accessModes") or ())


def _endpoints(manifest: Manifest, now: datetime) -> str:
    shown = [
        f"{address['ip']}:{port['port']}"
        for subset in manifest.get("subsets") or ()
        for address in subset.get("addresses") or ()
        for port in subset.get("ports") or ({"port": 0},)
    ]
    return ",".join(shown[:3]) + (f" + {len(shown) - 3} more..." if len(shown) > 3 else "") or "<none>"


def _slice_endpoints(manifest: Manifest, now: datetime) -> str:
    return ",".join(address for one in manifest.get("endpoints") or () for address in one["addresses"]) or "<unset>"


def _slice_ports(manifest: Manifest, now: datetime) -> str:
    return ",".join(str(one.get("port")) for one in manifest.get("ports") or ()) or "<unset>"


def _node_status(manifest: Manifest, now: datetime) -> str:
    conditions = (manifest.get("status") or {}).get("conditions") or ()
    ready = next((one["status"] for one in conditions if one["type"] == "Ready"), "Unknown")
    return "Ready" if ready == "True" else "NotReady"


_NAME = ("Name", "string", 0, _name)
_AGE = ("Age", "string", 0, age)
_STATUS = ("status",)
_PRINTED: dict[str, Sequence[tuple[str, str, int, Cell]]] = {
    "pods": (
        _NAME, ("Ready", "string", 0, _pod_ready), ("Status", "string", 0, _pod_status),
        ("Restarts", "string", 0, _restarts), _AGE, ("IP", "string", 1, _spec("status", "podIP")),
        ("Node", "string", 1, _spec("spec", "nodeName")),
        ("Nominated Node", "string", 1, _spec("status", "nominatedNodeName")),
        ("Readiness Gates", "string", 1, lambda manifest, now: "<none>"),
    ),
    "deployments": (
        _NAME, ("Ready", "string", 0, _ready),
        ("Up-to-date", "integer", 0, _spec("status", "updatedReplicas", default=0)),
        ("Available", "integer", 0, _spec("status", "availableReplicas", default=0)), _AGE,
        ("Containers", "string", 1, _containers("name")), ("Images", "string", 1, _containers("image")),
        ("Selector", "string", 1, _selector),
    ),
    "replicasets": (
        _NAME, ("Desired", "integer", 0, _spec("spec", "replicas", default=0)),
        ("Current", "integer", 0, _spec("status", "replicas", default=0)),
        ("Ready", "integer", 0, _spec("status", "readyReplicas", default=0)), _AGE,
        ("Containers", "string", 1, _containers("name")), ("Images", "string", 1, _containers("image")),
        ("Selector", "string", 1, _selector),
    ),
    "statefulsets": (
        _NAME, ("Ready", "string", 0, _ready), _AGE,
        ("Containers", "string", 1, _containers("name")), ("Images", "string", 1, _containers("image")),
    ),
    "services": (
        _NAME, ("Type", "string", 0, _spec("spec", "type")), ("Cluster-IP", "string", 0, _spec("spec", "clusterIP")),
        ("External-IP", "string", 0, lambda manifest, now: "<none>"), ("Port(s)", "string", 0, _ports), _AGE,
        ("Selector", "string", 1, _selector),
    ),
    "endpoints": (_NAME, ("Endpoints", "string", 0, _endpoints), _AGE),
    "endpointslices": (
        _NAME, ("AddressType", "string", 0, _spec("addressType")), ("Ports", "string", 0, _slice_ports),
        ("Endpoints", "string", 0, _slice_endpoints), _AGE,
    ),
    "persistentvolumeclaims": (
        _NAME, ("Status", "string", 0, _spec("status", "phase")),
        ("Volume", "string", 0, _spec("spec", "volumeName", default="")),
        ("Capacity", "string", 0, _spec("status", "capacity", "storage", default="")),
        ("Access Modes", "string", 0, _modes),
        ("StorageClass", "string", 0, _spec("spec", "storageClassName", default="")),
        ("VolumeAttributesClass", "string", 0, lambda manifest, now: "<unset>"), _AGE,
    ),
    "persistentvolumes": (
        _NAME, ("Capacity", "string", 0, _spec("spec", "capacity", "storage", default="")),
        ("Access Modes", "string", 0, _modes),
        ("Reclaim Policy", "string", 0, _spec("spec", "persistentVolumeReclaimPolicy", default="")),
        ("Status", "string", 0, _spec("status", "phase", default="")),
        ("Claim", "string", 0, lambda manifest, now: "/".join(
            filter(None, ((manifest["spec"].get("claimRef") or {}).get(key) for key in ("namespace", "name"))))), _AGE,
    ),
    "events": (
        ("Last Seen", "string", 0, _event_seen), ("Type", "string", 0, _spec("type")),
        ("Reason", "string", 0, _spec("reason")), ("Object", "string", 0, _event_object),
        ("Message", "string", 0, lambda manifest, now: str(manifest.get("message", "")).strip()),
        ("Name", "string", 1, _name),
    ),
    "configmaps": (_NAME, ("Data", "integer", 0, _count("data")), _AGE),
    "secrets": (_NAME, ("Type", "string", 0, _spec("type")), ("Data", "integer", 0, _count("data")), _AGE),
    "namespaces": (_NAME, ("Status", "string", 0, _spec("status", "phase")), _AGE),
    "nodes": (
        _NAME, ("Status", "string", 0, _node_status), ("Roles", "string", 0, lambda manifest, now: "<none>"), _AGE,
        ("Version", "string", 0, _spec("status", "nodeInfo", "kubeletVersion", default="")),
    ),
    "leases": (_NAME, ("Holder", "string", 0, _spec("spec", "holderIdentity", default="")), _AGE),
    "poddisruptionbudgets": (
        _NAME, ("Min Available", "string", 0, _spec("spec", "minAvailable", default="N/A")),
        ("Max Unavailable", "string", 0, _spec("spec", "maxUnavailable", default="N/A")),
        ("Allowed Disruptions", "integer", 0, _spec("status", "disruptionsAllowed", default=0)), _AGE,
    ),
    "networkpolicies": (
        _NAME, ("Pod-Selector", "string", 0, lambda manifest, now: ",".join(
            f"{key}={value}" for key, value in
            ((manifest["spec"].get("podSelector") or {}).get("matchLabels") or {}).items()) or "<none>"), _AGE,
    ),
    "serviceaccounts": (_NAME, _AGE),
    "customresourcedefinitions": (
        _NAME, ("Created At", "date", 0, lambda manifest, now: manifest["metadata"].get("creationTimestamp")),
    ),
    "storageclasses": (
        _NAME, ("Provisioner", "string", 0, _spec("provisioner")),
        ("ReclaimPolicy", "string", 0, _spec("reclaimPolicy")),
        ("VolumeBindingMode", "string", 0, _spec("volumeBindingMode")), _AGE,
    ),
}  # fmt: skip

_STEP = re.compile(r"\.([\w\0-]+)|\['([^']+)'\]|\[\?\(@\.([\w-]+)==[\"']([^\"']*)[\"']\)\]|\[(\d+)\]")


def json_path(manifest: Any, path: str) -> Any:
    """The value at a printer column's simple JSON path; None when there is none."""
    for field, quoted, key, wanted, index in _STEP.findall(path.replace("\\.", "\0")):
        name = (field or quoted).replace("\0", ".")
        if name:
            manifest = manifest.get(name) if isinstance(manifest, dict) else None
        elif key:
            options = manifest if isinstance(manifest, list) else []
            manifest = next((one for one in options if isinstance(one, dict) and str(one.get(key)) == wanted), None)
        elif index:
            manifest = manifest[int(index)] if isinstance(manifest, list) and int(index) < len(manifest) else None
    return manifest


def _custom(resource: Resource) -> Sequence[tuple[str, str, int, Cell]]:
    def cell(path: str, kind: str) -> Cell:
        def read(manifest: Manifest, now: datetime) -> Any:
            value = json_path(manifest, path)
            if kind == "date":
                return since(value, now) if value else None
            return value

        return read

    own = [(one.name, one.type, one.priority, cell(one.path, one.type)) for one in resource.columns]
    return (_NAME, *own) if own else (_NAME, _AGE)


def table(resource: Resource, manifests: Sequence[Manifest], now: datetime, include: str = "Metadata") -> Manifest:
    """The `Table` of some manifests. `include` says how much of each comes along: `Metadata`, `Object` or `None`."""
    columns = _custom(resource) if resource.custom else _PRINTED.get(resource.plural, (_NAME, _AGE))
    if not resource.custom and resource.plural not in _PRINTED:
        columns = (
            _NAME,
            ("Created At", "date", 0, lambda manifest, now: manifest["metadata"].get("creationTimestamp")),
        )
    rows = []
    for manifest in manifests:
        row: Manifest = {"cells": [cell(manifest, now) for _, _, _, cell in columns]}
        if include == "Object":
            row["object"] = manifest
        elif include != "None":
            row["object"] = partial(manifest)
        rows.append(row)
    return {
        "kind": "Table",
        "apiVersion": "meta.k8s.io/v1",
        "metadata": {},
        "columnDefinitions": [
            {
                "name": name,
                "type": kind,
                "format": "name" if name == "Name" else "",
                "description": "",
                "priority": priority,
            }
            for name, kind, priority, _ in columns
        ],
        "rows": rows,
    }


def partial(manifest: Manifest) -> Manifest:
    """Only the metadata of an object."""
    return {"kind": "PartialObjectMetadata", "apiVersion": "meta.k8s.io/v1", "metadata": manifest["metadata"]}
