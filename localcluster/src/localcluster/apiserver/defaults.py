"""The fields that a real API server fills in for built-in kinds: manifest -> the same manifest, completed.

Source: Kubernetes 1.36, `pkg/apis/*/v1/defaults.go`.
"""

import base64
from collections.abc import Callable
from typing import Any

Manifest = dict[str, Any]
_PROBE = {"timeoutSeconds": 1, "periodSeconds": 10, "successThreshold": 1, "failureThreshold": 3}
_ROLLING = {"maxUnavailable": "25%", "maxSurge": "25%"}


def _set(target: Manifest, **values: Any) -> None:
    for key, value in values.items():
        if target.get(key) is None:
            target[key] = value


def fill(plural: str, manifest: Manifest) -> None:
    """Complete a manifest, in place."""
    completer = _COMPLETERS.get(plural)
    if completer is not None:
        completer(manifest)


def pod_spec(spec: Manifest) -> None:
    """Complete a pod's spec, in place."""
    _set(
        spec,
        restartPolicy="Always",
        dnsPolicy="ClusterFirst",
        schedulerName="default-scheduler",
        terminationGracePeriodSeconds=30,
        securityContext={},
    )
    spec.setdefault("enableServiceLinks", True)
    if spec.get("serviceAccountName"):
        _set(spec, serviceAccount=spec["serviceAccountName"])
    for group in ("initContainers", "containers"):
        for container in spec.get(group) or ():
            _container(container)
    for volume in spec.get("volumes") or ():
        for source in ("configMap", "secret", "projected", "downwardAPI"):
            if isinstance(volume.get(source), dict):
                _set(volume[source], defaultMode=420)
        if set(volume) == {"name"}:
            volume["emptyDir"] = {}


def _container(container: Manifest) -> None:
    image = str(container.get("image", ""))
    tag = image.rpartition("/")[2].partition(":")[2]
    latest = (not tag and "@" not in image) or tag == "latest"
    _set(
        container,
        imagePullPolicy="Always" if latest else "IfNotPresent",
        terminationMessagePath="/dev/termination-log",
        terminationMessagePolicy="File",
        resources={},
    )
    for port in container.get("ports") or ():
        _set(port, protocol="TCP")
    for probe in ("livenessProbe", "readinessProbe", "startupProbe"):
        if container.get(probe):
            _set(container[probe], **_PROBE)
            if container[probe].get("httpGet"):
                _set(container[probe]["httpGet"], path="/", scheme="HTTP")
    for variable in container.get("env") or ():
        source = (variable.get("valueFrom") or {}).get("fieldRef")
        if source:
            _set(source, apiVersion="v1")
    resources = container["resources"]
    for name, amount in (resources.get("limits") or {}).items():
        resources.setdefault("requests", {}).setdefault(name, amount)


def _template(manifest: Manifest) -> Manifest:
    spec: Manifest = manifest.setdefault("spec", {})
    template = spec.get("template")
    if isinstance(template, dict):
        template.setdefault("metadata", {})
        pod_spec(template.setdefault("spec", {}))
    return spec


def _pod(manifest: Manifest) -> None:
    spec = manifest.setdefault("spec", {})
    pod_spec(spec)
    _set(
        spec,
        serviceAccountName="default",
        serviceAccount="default",
        preemptionPolicy="PreemptLowerPriority",
        priority=0,
    )
    manifest.setdefault("status", {}).setdefault("phase", "Pending")
    manifest["status"].setdefault("qosClass", _qos(spec))


def _qos(spec: Manifest) -> str:
    resources = [container.get("resources") or {} for container in spec.get("containers") or ()]
    if not any(one.get("requests") or one.get("limits") for one in resources):
        return "BestEffort"
    full = all(
        {"cpu", "memory"} <= set(one.get("limits") or {}) and one.get("requests") == one.get("limits")
        for one in resources
    )
    return "Guaranteed" if full else "Burstable"


def _deployment(manifest: Manifest) -> None:
    spec = _template(manifest)
    _set(spec, replicas=1, revisionHistoryLimit=10, progressDeadlineSeconds=600)
    strategy = spec.setdefault("strategy", {})
    _set(strategy, type="RollingUpdate")
    if strategy["type"] == "RollingUpdate":
        _set(strategy, rollingUpdate={})
        _set(strategy["rollingUpdate"], **_ROLLING)


def _replica_set(manifest: Manifest) -> None:
    _set(_template(manifest), replicas=1)


def _stateful_set(manifest: Manifest) -> None:
    spec = _template(manifest)
    _set(spec, replicas=1, revisionHistoryLimit=10, podManagementPolicy="OrderedReady", updateStrategy={})
    _set(spec["updateStrategy"], type="RollingUpdate")
    if spec["updateStrategy"]["type"] == "RollingUpdate":
        _set(spec["updateStrategy"], rollingUpdate={})
        _set(spec["updateStrategy"]["rollingUpdate"], partition=0)
    _set(spec, persistentVolumeClaimRetentionPolicy={})
    _set(spec["persistentVolumeClaimRetentionPolicy"], whenDeleted="Retain", whenScaled="Retain")
    for claim in spec.get("volumeClaimTemplates") or ():
        _set(claim, apiVersion="v1", kind="PersistentVolumeClaim")
        _claim(claim)


def _service(manifest: Manifest) -> None:
    spec = manifest.setdefault("spec", {})
    _set(spec, type="ClusterIP", sessionAffinity="None", internalTrafficPolicy="Cluster")
    for port in spec.get("ports") or ():
        _set(port, protocol="TCP", targetPort=port.get("port"))
    manifest.setdefault("status", {}).setdefault("loadBalancer", {})


def _claim(manifest: Manifest) -> None:
    _set(manifest.setdefault("spec", {}), volumeMode="Filesystem")
    manifest.setdefault("status", {}).setdefault("phase", "Pending")


def _secret(manifest: Manifest) -> None:
    _set(manifest, type="Opaque")
    plain = manifest.pop("stringData", None)
    if plain:
        encoded = {key: base64.b64encode(str(value).encode()).decode() for key, value in plain.items()}
        manifest["data"] = {**(manifest.get("data") or {}), **encoded}


def _namespace(manifest: Manifest) -> None:
    manifest["metadata"].setdefault("labels", {})["kubernetes.io/metadata.name"] = manifest["metadata"].get("name")
    _set(manifest.setdefault("spec", {}), finalizers=["kubernetes"])
    manifest.setdefault("status", {}).setdefault("phase", "Active")


def _crd(manifest: Manifest) -> None:
    names = manifest["spec"].setdefault("names", {})
    kind = str(names.get("kind", ""))
    _set(names, singular=kind.lower(), listKind=f"{kind}List")
    _set(manifest["spec"], conversion={"strategy": "None"})


def _storage_class(manifest: Manifest) -> None:
    _set(manifest, reclaimPolicy="Delete", volumeBindingMode="Immediate")


_COMPLETERS: dict[str, Callable[[Manifest], None]] = {
    "pods": _pod,
    "deployments": _deployment,
    "replicasets": _replica_set,
    "statefulsets": _stateful_set,
    "services": _service,
    "persistentvolumeclaims": _claim,
    "secrets": _secret,
    "namespaces": _namespace,
    "customresourcedefinitions": _crd,
    "storageclasses": _storage_class,
}
