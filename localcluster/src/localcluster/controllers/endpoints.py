"""Service: (service, pods) -> Endpoints and an EndpointSlice: who answers at the Service's ports, and who is ready."""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass

from localcluster.controllers.actions import Action, Create, Manifest, Plan, Replace, is_ready, owner_of

SERVICE_NAME = "kubernetes.io/service-name"


@dataclass(frozen=True, slots=True)
class Found:
    """What there is of a Service."""

    pods: Sequence[Manifest]
    """Those that its selector picks."""
    endpoints: Manifest | None
    slice: Manifest | None


def target_port(pod: Manifest, port: Manifest) -> int | None:
    """The number of a Service's target port in a pod; None when the pod has no port of that name."""
    target = port.get("targetPort", port["port"])
    if isinstance(target, int):
        return target
    spec = pod["spec"]
    sidecars = (one for one in spec.get("initContainers") or () if one.get("restartPolicy") == "Always")
    for container in (*(spec.get("containers") or ()), *sidecars):
        for one in container.get("ports") or ():
            if one.get("name") == target:
                return int(one["containerPort"])
    return None


def plan(service: Manifest, found: Found) -> Plan:
    """Bring Endpoints and EndpointSlice up to date."""
    done = Plan()
    if not service["spec"].get("selector") or service["metadata"].get("deletionTimestamp"):
        return done
    pods = [pod for pod in found.pods if _has_address(pod)]
    done.actions += _write("endpoints", found.endpoints, _endpoints(service, pods))
    done.actions += _write("endpointslices", found.slice, _slice(service, pods))
    return done


def _has_address(pod: Manifest) -> bool:
    status = pod.get("status") or {}
    return bool(status.get("podIP")) and status.get("phase") not in ("Succeeded", "Failed")


def _serves(service: Manifest, pod: Manifest) -> bool:
    leaving = pod["metadata"].get("deletionTimestamp")
    return (is_ready(pod) and not leaving) or bool(service["spec"].get("publishNotReadyAddresses"))


def _write(plural: str, known: Manifest | None, wanted: Manifest) -> Iterator[Action]:
    if known is None:
        yield Create(plural, wanted)
        return
    content = {key: value for key, value in wanted.items() if key != "metadata"}
    labels = wanted["metadata"].get("labels")
    if any(known.get(key) != value for key, value in content.items()) or known["metadata"].get("labels") != labels:
        yield Replace(plural, {**known, **content, "metadata": {**known["metadata"], "labels": labels}})


def _reference(pod: Manifest) -> Manifest:
    metadata = pod["metadata"]
    return {"kind": "Pod", "namespace": metadata["namespace"], "name": metadata["name"], "uid": metadata["uid"]}


def _ports(service: Manifest, pod: Manifest) -> list[Manifest]:
    return [
        {
            **({"name": port["name"]} if port.get("name") else {}),
            "port": number,
            "protocol": port.get("protocol", "TCP"),
        }
        for port in service["spec"].get("ports") or ()
        if (number := target_port(pod, port)) is not None
    ]


def _metadata(service: Manifest, name: str, labels: dict[str, str]) -> Manifest:
    own = service["metadata"].get("labels") or {}
    return {
        "name": name,
        "namespace": service["metadata"]["namespace"],
        "labels": {**own, **labels},
        "ownerReferences": [owner_of(service)],
    }


def _endpoints(service: Manifest, pods: Sequence[Manifest]) -> Manifest:
    addresses: list[Manifest] = []
    waiting: list[Manifest] = []
    ports: list[Manifest] = []
    for pod in pods:
        one = {"ip": pod["status"]["podIP"], "nodeName": pod["spec"].get("nodeName"), "targetRef": _reference(pod)}
        (addresses if _serves(service, pod) else waiting).append(one)
        ports = ports or _ports(service, pod)
    subset = {
        **({"addresses": addresses} if addresses else {}),
        **({"notReadyAddresses": waiting} if waiting else {}),
        **({"ports": ports} if ports else {}),
    }
    name = service["metadata"]["name"]
    return {
        "apiVersion": "v1",
        "kind": "Endpoints",
        "metadata": _metadata(service, name, {}),
        "subsets": [subset] if addresses or waiting else [],
    }


def _slice(service: Manifest, pods: Sequence[Manifest]) -> Manifest:
    name = service["metadata"]["name"]
    labels = {SERVICE_NAME: name, "endpointslice.kubernetes.io/managed-by": "endpointslice-controller.k8s.io"}
    return {
        "apiVersion": "discovery.k8s.io/v1",
        "kind": "EndpointSlice",
        "metadata": _metadata(service, f"{name}-local", labels),
        "addressType": "IPv4",
        "endpoints": [
            {
                "addresses": [pod["status"]["podIP"]],
                "conditions": {
                    "ready": _serves(service, pod),
                    "serving": is_ready(pod),
                    "terminating": bool(pod["metadata"].get("deletionTimestamp")),
                },
                "nodeName": pod["spec"].get("nodeName"),
                "targetRef": _reference(pod),
            }
            for pod in pods
        ],
        "ports": next((ports for pod in pods if (ports := _ports(service, pod))), []),
    }
