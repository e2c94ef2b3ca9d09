"""The managed Redis: a StatefulSet of one or three with their claims, a headless Service for their names, a Service for
clients, and with three what a drain of nodes has to leave.
"""

from copy import deepcopy
from typing import Any

from crew_operator.api import names
from crew_operator.api.spec import CrewDeployment, ManagedRedis, Storage
from crew_operator.desired import metadata, redis_config
from crew_operator.desired.metadata import Inputs, Manifest
from crew_runtime import contract

FAREWELL = 3
"""Seconds that a member goes on when its pod is told to end."""
_AT_ONCE = "Parallel"
_USER = 999
"""Of the redis image; its group has the same number."""


def headless_service(crew: CrewDeployment) -> Manifest:
    """Gives the pod its DNS name, also while it is not ready."""
    return _service(crew, names.redis_headless(crew.name), {"clusterIP": "None", "publishNotReadyAddresses": True})


def service(crew: CrewDeployment, inputs: Inputs) -> Manifest:
    """What the replicas connect to: of three members the primary alone."""
    made = _service(crew, names.redis(crew.name), {})
    if inputs.redis_by_role:
        made["spec"]["selector"] = {**made["spec"]["selector"], names.ROLE_LABEL: names.PRIMARY}
    return made


def disruption_budget(crew: CrewDeployment) -> Manifest:
    """Drains of nodes take one member after the other, so that two always hold what is acknowledged."""
    return {
        "apiVersion": "policy/v1",
        "kind": "PodDisruptionBudget",
        "metadata": metadata.of(crew, names.redis(crew.name), names.REDIS),
        "spec": {"maxUnavailable": 1, "selector": {"matchLabels": names.selector(crew.name, names.REDIS)}},
    }


def stateful_set(crew: CrewDeployment, redis: ManagedRedis, inputs: Inputs) -> Manifest:
    """Redis itself.

    Probes ask for an open port only: a server that is loading or stalled is judged by the operator, which knows the
    difference, and must not be restarted by the kubelet at the same time.
    """
    return {
        "apiVersion": "apps/v1",
        "kind": "StatefulSet",
        "metadata": metadata.of(crew, names.redis(crew.name), names.REDIS),
        "spec": {
            "replicas": redis.replicas if inputs.redis_members is None else inputs.redis_members,
            **_of_several(redis, inputs),
            "serviceName": names.redis_headless(crew.name),
            "selector": {"matchLabels": names.selector(crew.name, names.REDIS)},
            "persistentVolumeClaimRetentionPolicy": {
                "whenDeleted": redis.storage.when_deleted.value,
                "whenScaled": "Retain",
            },
            "template": {
                "metadata": {
                    "labels": metadata.labels(crew, names.REDIS),
                    "annotations": {
                        names.CONFIG_ANNOTATION: metadata.checksum(redis_config.text(crew, redis, redis.replicas)),
                        **({names.AUTH_ANNOTATION: inputs.redis_credentials} if inputs.redis_credentials else {}),
                    },
                },
                "spec": _pod(crew, redis, inputs),
            },
            "volumeClaimTemplates": [_claim(redis.storage, inputs.claim_size or redis.storage.size)],
        },
    }


def are_several(redis: ManagedRedis, inputs: Inputs) -> bool:
    """There are other members, or there will be, or there were a moment ago."""
    return redis.replicas > 1 or (inputs.redis_members or 1) > 1


def _of_several(redis: ManagedRedis, inputs: Inputs) -> dict[str, Any]:
    """The operator replaces the pods by itself, replicas first: a StatefulSet knows no primary."""
    if not are_several(redis, inputs):
        # one that once had others goes on with what cannot be changed
        kept = {"podManagementPolicy": _AT_ONCE} if inputs.redis_pod_management == _AT_ONCE else {}
        return {**kept, "updateStrategy": {"type": "RollingUpdate"}}
    policy = inputs.redis_pod_management or _AT_ONCE
    return {"podManagementPolicy": policy, "updateStrategy": {"type": "OnDelete"}}


def _apart(crew: CrewDeployment, redis: ManagedRedis) -> dict[str, Any]:
    """Members on nodes of their own where there are as many: a small cluster runs them all the same."""
    if redis.replicas == 1:
        return {}
    term = {
        "topologyKey": "kubernetes.io/hostname",
        "labelSelector": {"matchLabels": names.selector(crew.name, names.REDIS)},
    }
    preferred = [{"weight": 100, "podAffinityTerm": term}]
    return {"affinity": {"podAntiAffinity": {"preferredDuringSchedulingIgnoredDuringExecution": preferred}}}


def _pod(crew: CrewDeployment, redis: ManagedRedis, inputs: Inputs) -> dict[str, Any]:
    return {
        "automountServiceAccountToken": False,
        "enableServiceLinks": False,
        "terminationGracePeriodSeconds": 30,
        **_apart(crew, redis),
        "securityContext": {
            "runAsNonRoot": True,
            "runAsUser": _USER,
            "runAsGroup": _USER,
            "fsGroup": _USER,
            "seccompProfile": {"type": "RuntimeDefault"},
        },
        "containers": [_container(redis, inputs)],
        "volumes": [
            {"name": "config", "configMap": {"name": names.redis_config(crew.name)}},
            {
                "name": "auth",
                "secret": {
                    "secretName": names.redis_auth(crew.name),
                    "items": [{"key": names.AUTH_FILE, "path": names.AUTH_FILE}],
                },
            },
        ],
    }


def _container(redis: ManagedRedis, inputs: Inputs) -> dict[str, Any]:
    probe = {"tcpSocket": {"port": contract.REDIS_PORT}, "timeoutSeconds": 5}
    return {
        "name": names.REDIS_CONTAINER,
        "image": redis.image or inputs.redis_image,
        # args and no command: the image's entrypoint loads the search module
        "args": [
            f"{names.CONFIG_PATH}/{names.CONFIG_FILE}",
            "--include",
            f"{names.AUTH_PATH}/{names.AUTH_FILE}",
            "--dir",
            names.DATA_PATH,
        ],
        "ports": [{"name": "redis", "containerPort": contract.REDIS_PORT}],
        "resources": deepcopy(dict(redis.resources)),
        # time for the operator to hand a primary's part over
        **({"lifecycle": {"preStop": {"sleep": {"seconds": FAREWELL}}}} if redis.replicas > 1 else {}),
        "readinessProbe": {**probe, "periodSeconds": 2, "failureThreshold": 2},
        "livenessProbe": {**probe, "periodSeconds": 15, "failureThreshold": 6, "initialDelaySeconds": 30},
        "securityContext": {
            "allowPrivilegeEscalation": False,
            "readOnlyRootFilesystem": True,
            "capabilities": {"drop": ["ALL"]},
        },
        "volumeMounts": [
            {"name": names.DATA_VOLUME, "mountPath": names.DATA_PATH},
            {"name": "config", "mountPath": names.CONFIG_PATH, "readOnly": True},
            {"name": "auth", "mountPath": names.AUTH_PATH, "readOnly": True},
        ],
    }


def _claim(storage: Storage, size: str) -> dict[str, Any]:
    spec: dict[str, Any] = {
        "accessModes": ["ReadWriteOnce"],
        "resources": {"requests": {"storage": size}},
    }
    if storage.storage_class_name is not None:
        spec["storageClassName"] = storage.storage_class_name
    return {"metadata": {"name": names.DATA_VOLUME}, "spec": spec}


def _service(crew: CrewDeployment, name: str, extra: dict[str, Any]) -> Manifest:
    port = {"name": "redis", "port": contract.REDIS_PORT, "targetPort": "redis", "protocol": "TCP"}
    return {
        "apiVersion": "v1",
        "kind": "Service",
        "metadata": metadata.of(crew, name, names.REDIS),
        "spec": {"selector": names.selector(crew.name, names.REDIS), "ports": [port], **extra},
    }
