"""What `kubectl create KIND` sends: kubectl writes these kinds in protobuf and falls back to nothing else.

bytes -> manifest, for the kinds and fields that kubectl's generators fill. Everything that comes from a file is JSON.
Source: the field numbers of Kubernetes' `generated.proto`, which never change.
"""

import base64
from collections.abc import Iterator, Mapping
from typing import Any

from localcluster.apiserver.status import ApiError

MEDIA_TYPE = "application/vnd.kubernetes.protobuf"
_MAGIC = b"k8s\0"
_VARINT, _FIXED64, _BYTES, _FIXED32 = 0, 1, 2, 5

# A field is (name, type): "str", "int", "bool", "bytes", "labels" (map of strings), "blobs" (map of bytes),
# "intstr", "quantities", a message's name, or one of these with "*" in front when it is a list.
Message = Mapping[int, tuple[str, str]]
MESSAGES: Mapping[str, Message] = {
    "ObjectMeta": {
        1: ("name", "str"), 2: ("generateName", "str"), 3: ("namespace", "str"), 4: ("selfLink", "str"),
        5: ("uid", "str"),
        6: ("resourceVersion", "str"), 7: ("generation", "int"), 8: ("creationTimestamp", "Time"),
        11: ("labels", "labels"),
        12: ("annotations", "labels"), 14: ("finalizers", "*str"),
    },
    "Time": {},
    "Empty": {},
    "ConfigMap": {
        1: ("metadata", "ObjectMeta"), 2: ("data", "labels"), 3: ("binaryData", "blobs"), 4: ("immutable", "bool"),
    },
    "Secret": {
        1: ("metadata", "ObjectMeta"), 2: ("data", "blobs"), 3: ("type", "str"), 4: ("stringData", "labels"),
        5: ("immutable", "bool"),
    },
    "Namespace": {1: ("metadata", "ObjectMeta"), 2: ("spec", "Empty"), 3: ("status", "Empty")},
    "ServiceAccount": {1: ("metadata", "ObjectMeta")},
    "Service": {1: ("metadata", "ObjectMeta"), 2: ("spec", "ServiceSpec"), 3: ("status", "Empty")},
    "ServiceSpec": {
        1: ("ports", "*ServicePort"), 2: ("selector", "labels"), 3: ("clusterIP", "str"), 4: ("type", "str"),
        5: ("externalIPs", "*str"), 7: ("sessionAffinity", "str"), 8: ("loadBalancerIP", "str"),
        10: ("externalName", "str"), 11: ("externalTrafficPolicy", "str"), 12: ("healthCheckNodePort", "int"),
        13: ("publishNotReadyAddresses", "bool"), 18: ("clusterIPs", "*str"),
    },
    "ServicePort": {
        1: ("name", "str"), 2: ("protocol", "str"), 3: ("port", "int"), 4: ("targetPort", "intstr"),
        5: ("nodePort", "int"),
    },
    "Deployment": {1: ("metadata", "ObjectMeta"), 2: ("spec", "DeploymentSpec"), 3: ("status", "Empty")},
    "DeploymentSpec": {
        1: ("replicas", "int"), 2: ("selector", "LabelSelector"), 3: ("template", "PodTemplateSpec"),
        4: ("strategy", "DeploymentStrategy"), 5: ("minReadySeconds", "int"), 6: ("revisionHistoryLimit", "int"),
        7: ("paused", "bool"), 9: ("progressDeadlineSeconds", "int"),
    },
    "DeploymentStrategy": {1: ("type", "str")},
    "LabelSelector": {1: ("matchLabels", "labels"), 2: ("matchExpressions", "*LabelSelectorRequirement")},
    "LabelSelectorRequirement": {1: ("key", "str"), 2: ("operator", "str"), 3: ("values", "*str")},
    "PodTemplateSpec": {1: ("metadata", "ObjectMeta"), 2: ("spec", "PodSpec")},
    "PodSpec": {
        2: ("containers", "*Container"), 3: ("restartPolicy", "str"), 4: ("terminationGracePeriodSeconds", "int"),
        6: ("dnsPolicy", "str"), 7: ("nodeSelector", "labels"), 8: ("serviceAccountName", "str"),
        9: ("serviceAccount", "str"), 10: ("nodeName", "str"), 11: ("hostNetwork", "bool"), 12: ("hostPID", "bool"),
        13: ("hostIPC", "bool"), 14: ("securityContext", "Empty"), 16: ("hostname", "str"), 17: ("subdomain", "str"),
        19: ("schedulerName", "str"), 20: ("initContainers", "*Container"), 24: ("priorityClassName", "str"),
        25: ("priority", "int"), 29: ("runtimeClassName", "str"), 30: ("enableServiceLinks", "bool"),
    },
    "Container": {
        1: ("name", "str"), 2: ("image", "str"), 3: ("command", "*str"), 4: ("args", "*str"), 5: ("workingDir", "str"),
        6: ("ports", "*ContainerPort"), 7: ("env", "*EnvVar"), 8: ("resources", "ResourceRequirements"),
        13: ("terminationMessagePath", "str"), 14: ("imagePullPolicy", "str"), 16: ("stdin", "bool"),
        17: ("stdinOnce", "bool"), 18: ("tty", "bool"), 20: ("terminationMessagePolicy", "str"),
    },
    "ContainerPort": {
        1: ("name", "str"), 2: ("hostPort", "int"), 3: ("containerPort", "int"), 4: ("protocol", "str"),
        5: ("hostIP", "str"),
    },
    "EnvVar": {1: ("name", "str"), 2: ("value", "str")},
    "ResourceRequirements": {1: ("limits", "quantities"), 2: ("requests", "quantities")},
    "PodDisruptionBudget": {
        1: ("metadata", "ObjectMeta"), 2: ("spec", "PodDisruptionBudgetSpec"), 3: ("status", "Empty"),
    },
    "PodDisruptionBudgetSpec": {
        1: ("minAvailable", "intstr"), 2: ("selector", "LabelSelector"), 3: ("maxUnavailable", "intstr"),
    },
    "Role": {1: ("metadata", "ObjectMeta"), 2: ("rules", "*PolicyRule")},
    "ClusterRole": {1: ("metadata", "ObjectMeta"), 2: ("rules", "*PolicyRule")},
    "PolicyRule": {
        1: ("verbs", "*str"), 2: ("apiGroups", "*str"), 3: ("resources", "*str"), 4: ("resourceNames", "*str"),
        5: ("nonResourceURLs", "*str"),
    },
    "RoleBinding": {1: ("metadata", "ObjectMeta"), 2: ("subjects", "*Subject"), 3: ("roleRef", "RoleRef")},
    "ClusterRoleBinding": {1: ("metadata", "ObjectMeta"), 2: ("subjects", "*Subject"), 3: ("roleRef", "RoleRef")},
    "Subject": {1: ("kind", "str"), 2: ("apiGroup", "str"), 3: ("name", "str"), 4: ("namespace", "str")},
    "RoleRef": {1: ("apiGroup", "str"), 2: ("kind", "str"), 3: ("name", "str")},
    "DeleteOptions": {
        1: ("gracePeriodSeconds", "int"), 2: ("preconditions", "Preconditions"), 3: ("orphanDependents", "bool"),
        4: ("propagationPolicy", "str"), 5: ("dryRun", "*str"),
    },
    "Preconditions": {1: ("uid", "str"), 2: ("resourceVersion", "str")},
    "TypeMeta": {1: ("apiVersion", "str"), 2: ("kind", "str")},
    "Unknown": {
        1: ("typeMeta", "TypeMeta"), 2: ("raw", "raw"), 3: ("contentEncoding", "str"), 4: ("contentType", "str"),
    },
    "MapEntry": {1: ("key", "str"), 2: ("value", "raw")},
    "Quantity": {1: ("string", "str")},
    "IntOrString": {1: ("type", "int"), 2: ("intVal", "int"), 3: ("strVal", "str")},
}  # fmt: skip


def decode(body: bytes) -> dict[str, Any]:
    """The manifest in a request's body. Raises ApiError 415 for kinds and fields that are not known here."""
    if not body.startswith(_MAGIC):
        raise _refused("the body does not begin as Kubernetes' protobuf does")
    try:
        envelope = _message(body[len(_MAGIC) :], "Unknown")
        kind = envelope["typeMeta"]["kind"]
        if kind not in MESSAGES:
            raise _refused(f"no protobuf of {kind}")
        return {**envelope["typeMeta"], **_message(envelope.get("raw", b""), kind)}
    except (IndexError, KeyError, UnicodeDecodeError) as error:
        raise _refused(f"the protobuf is broken: {error!r}") from error


def _refused(why: str) -> ApiError:
    return ApiError(
        415, "UnsupportedMediaType", f"{why}: write it to a file (--dry-run=client -o yaml) and use 'kubectl apply -f'"
    )


def _message(data: bytes, name: str) -> dict[str, Any]:
    fields = MESSAGES[name]
    result: dict[str, Any] = {}
    for number, value in _fields(data):
        if number not in fields:
            if name in ("Empty", "Time"):
                continue
            raise _refused(f"no field {number} of {name}")
        key, kind = fields[number]
        if kind == "Time":
            continue  # the server sets it
        if kind.startswith("*"):
            result.setdefault(key, []).append(_value(value, kind[1:]))
        elif kind in ("labels", "blobs", "quantities"):
            entry = _message(value, "MapEntry")
            result.setdefault(key, {})[entry.get("key", "")] = _entry(entry.get("value", b""), kind)
        else:
            result[key] = _value(value, kind)
    # proto2 as Kubernetes writes it tells every scalar, also those that were never set
    return {key: value for key, value in result.items() if value not in ("", {}, None) and not _unset(key, value)}


def _unset(key: str, value: Any) -> bool:
    return value is False or (
        key in ("hostPort", "nodePort", "minReadySeconds", "generation", "healthCheckNodePort") and value == 0
    )


def _entry(value: bytes, kind: str) -> str:
    if kind == "blobs":
        return base64.b64encode(value).decode()
    return str(_message(value, "Quantity").get("string", "0")) if kind == "quantities" else value.decode()


def _value(value: Any, kind: str) -> Any:
    match kind:
        case "str":
            return value.decode()
        case "int":
            return value - (1 << 64) if value >> 63 else value
        case "bool":
            return bool(value)
        case "raw":
            return value
        case "intstr":
            told = _message(value, "IntOrString")
            return told.get("strVal", "") if told.get("type") == 1 else told.get("intVal", 0)
        case _:
            return _message(value, kind)


def _fields(data: bytes) -> Iterator[tuple[int, Any]]:
    at = 0
    while at < len(data):
        tag, at = _varint(data, at)
        number, wire = tag >> 3, tag & 7
        if wire == _VARINT:
            value, at = _varint(data, at)
            yield number, value
        elif wire == _BYTES:
            size, at = _varint(data, at)
            if at + size > len(data):
                raise IndexError("a field is longer than its message")
            yield number, data[at : at + size]
            at += size
        elif wire in (_FIXED64, _FIXED32):
            at += 8 if wire == _FIXED64 else 4
        else:
            raise IndexError(f"wire type {wire}")


def _varint(data: bytes, at: int) -> tuple[int, int]:
    value = shift = 0
    while True:
        byte = data[at]
        at += 1
        value |= (byte & 0x7F) << shift
        if byte < 0x80:
            return value, at
        shift += 7
