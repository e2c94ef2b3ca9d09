"""A replica's pod: the server half as a native sidecar, the user's container beside it.

The sidecar starts first and must say that it lives before the crew's container is started; it becomes ready only when
the worker in that container is. Hence its startup probe asks /livez, its readiness probe /readyz: in the form that
goes on saying yes while Redis is away, for then every replica would be out of the Service, and clients would get no
answer at all instead of one that says why. (A server that does not know that form says what it says to all.)
"""

from copy import deepcopy
from typing import Any

from crew_operator.api import names
from crew_operator.api.spec import CrewDeployment, Durability, FileSource, ImageEntrypoint
from crew_operator.desired import definition, environment, files, metadata
from crew_operator.desired.metadata import Inputs, Manifest
from crew_runtime import contract
from crew_runtime.contract import redis_credentials

_GROUP = 65532
"""Owns the shared volumes, so that sidecar and crew may run as different users."""

_RUN_MOUNT = {"name": "run", "mountPath": names.RUN_PATH}
_TMP_MOUNT = {"name": "tmp", "mountPath": "/tmp"}  # noqa: S108 - a volume of its own
_SERVER_TMP_MOUNT = {"name": "server-tmp", "mountPath": "/tmp"}  # noqa: S108 - and not the one of the user's code
_SIZES = {"run": "16Mi", "server-tmp": "64Mi", "state": "10Gi", "tmp": "10Gi"}
"""Of the pod's own volumes: beyond it the kubelet evicts the pod instead of letting it fill the node. The first has a
socket in it; the user's two hold what libraries download, so they only stop what runs away."""
_DEFINITION_MOUNT = {"name": "definition", "mountPath": names.DEFINITION_PATH, "readOnly": True}
_PAYLOAD_MOUNT = {"name": "payload", "mountPath": names.PAYLOAD_PATH}
_RESTRICTED = {"allowPrivilegeEscalation": False, "capabilities": {"drop": ["ALL"]}}


def of(crew: CrewDeployment, inputs: Inputs) -> Manifest:
    """The pod template of the crew's Deployment."""
    template = crew.spec.template
    annotations = dict(template.annotations)
    waits = crew.spec.durability is Durability.REPLICATED and crew.spec.redis.managed is not None
    labels = {names.FAILS_OVER_LABEL: "true"} if waits else {}
    if inputs.files_checksum:
        annotations[names.CONFIG_ANNOTATION] = inputs.files_checksum
    if inputs.crew_credentials:
        annotations[names.AUTH_ANNOTATION] = inputs.crew_credentials
    return {
        "metadata": {
            "labels": {**template.labels, **metadata.labels(crew, names.CREW), **labels},
            **({"annotations": annotations} if annotations else {}),
        },
        "spec": {
            "initContainers": [*_payload(crew, inputs), _server(crew, inputs)],
            "containers": [_crew(crew, inputs)],
            "volumes": [*_volumes(crew, inputs), *deepcopy([dict(one) for one in template.volumes])],
            "terminationGracePeriodSeconds": environment.FAREWELL + environment.grace_period(crew),
            "enableServiceLinks": False,
            "automountServiceAccountToken": template.service_account_name is not None,
            "securityContext": _pod_security(crew),
            **_placement(crew),
        },
    }


def _payload(crew: CrewDeployment, inputs: Inputs) -> list[dict[str, Any]]:
    """Copies the worker half and its launcher to where the crew's own image finds them."""
    if not environment.injected(crew):
        return []
    copy = {
        "name": names.PAYLOAD_CONTAINER,
        "image": inputs.runtime_image,
        # Neither owner nor times: both may be kept by a file system that does not let this user set them.
        "command": ["cp", "-r", f"{names.IMAGE_PAYLOAD}/.", names.PAYLOAD_PATH],
        "resources": {"requests": {"cpu": "10m", "memory": "16Mi"}, "limits": {"memory": "128Mi"}},
        "securityContext": {**_RESTRICTED, "readOnlyRootFilesystem": True},
        "volumeMounts": [_PAYLOAD_MOUNT],
    }
    return [copy]


def _start(crew: CrewDeployment) -> dict[str, Any]:
    """What the crew's container runs."""
    runtime = crew.spec.crew.runtime
    if not environment.injected(crew):
        return {"command": [runtime.python or "python", "-m", "crew_runtime.worker"]}
    words = [f"{names.PAYLOAD_PATH}/bin/sh", f"{names.PAYLOAD_PATH}/start"]
    # the image's own ENTRYPOINT is what runs when a container has arguments only
    return {"args": words} if runtime.image_entrypoint is ImageEntrypoint.KEEP else {"command": words}


def _server(crew: CrewDeployment, inputs: Inputs) -> dict[str, Any]:
    return {
        "name": names.SERVER_CONTAINER,
        "image": inputs.runtime_image,
        "command": ["crew-server"],
        "restartPolicy": "Always",
        "ports": [
            {"name": "http", "containerPort": contract.HTTP_PORT},
            {"name": "health", "containerPort": contract.HEALTH_PORT},
        ],
        "env": environment.server(crew, inputs.access, password_file=inputs.redis_password_file),
        "startupProbe": _probe("/livez", period=1, failures=60),
        "readinessProbe": _probe(contract.SERVING_PATH, period=2, failures=2, timeout=2),
        "livenessProbe": _probe("/livez", period=10, failures=6),
        "resources": {"requests": {"cpu": "50m", "memory": "96Mi"}, "limits": {"memory": "256Mi"}},
        "securityContext": {**_RESTRICTED, "readOnlyRootFilesystem": True},
        "volumeMounts": [_RUN_MOUNT, _SERVER_TMP_MOUNT, *_redis_mounts(crew, inputs), *_history_ca_mounts(crew)],
    }


def _crew(crew: CrewDeployment, inputs: Inputs) -> dict[str, Any]:
    spec, template = crew.spec.crew, crew.spec.template
    return {
        "name": names.CREW_CONTAINER,
        "image": spec.image or inputs.runtime_image,
        **_start(crew),
        "env": environment.worker(crew, password_file=inputs.redis_password_file),
        **({"envFrom": deepcopy([dict(one) for one in spec.env_from])} if spec.env_from else {}),
        **({"resources": deepcopy(dict(template.resources))} if template.resources else {}),
        # of the sidecar, which sees a dead worker; generous, because a restart costs every running kickoff
        "livenessProbe": _probe("/livez", period=10, failures=12),
        "lifecycle": {"preStop": {"sleep": {"seconds": environment.FAREWELL}}},
        # A launcher that finds no interpreter says so in its last line.
        "terminationMessagePolicy": "FallbackToLogsOnError",
        "securityContext": dict(_RESTRICTED),
        "volumeMounts": [
            *([{**_PAYLOAD_MOUNT, "readOnly": True}] if environment.injected(crew) else []),
            _RUN_MOUNT,
            _TMP_MOUNT,
            {"name": "state", "mountPath": names.STATE_PATH},
            *([_DEFINITION_MOUNT] if spec.definition else []),
            *_redis_mounts(crew, inputs),
            *files.mounts(crew),
            *deepcopy([dict(one) for one in template.volume_mounts]),
        ],
    }


def _probe(path: str, *, period: int, failures: int, timeout: int = 3) -> dict[str, Any]:
    """All in seconds. Of a server that was stopped only the readiness probe tells, for its connections stay open: that
    takes 6 s at most, as a probe is begun each period and two have to fail.
    """
    return {
        "httpGet": {"path": path, "port": contract.HEALTH_PORT},
        "periodSeconds": period,
        "failureThreshold": failures,
        "timeoutSeconds": timeout,
    }


def _volumes(crew: CrewDeployment, inputs: Inputs) -> list[dict[str, Any]]:
    volumes: list[dict[str, Any]] = [{"name": name, "emptyDir": {"sizeLimit": size}} for name, size in _SIZES.items()]
    if environment.injected(crew):
        volumes.append({"name": "payload", "emptyDir": {"sizeLimit": "64Mi"}})
    if (config_map := definition.config_map_name(crew)) is not None:
        volumes.append({"name": "definition", "configMap": {"name": config_map}})
    if (source := _ca(crew)) is not None:
        volumes.append(_ca_volume("redis-ca", source))
    if inputs.redis_password_file and environment.reads_password(crew):
        volumes.append(_password_volume(crew))
    if (source := _history_ca(crew)) is not None:
        volumes.append(_ca_volume("history-ca", source))
    return [*volumes, *files.volumes(crew)]


def _ca(crew: CrewDeployment) -> FileSource | None:
    external = crew.spec.redis.external
    return external.ca_from if external is not None else None


def _history_ca(crew: CrewDeployment) -> FileSource | None:
    postgres = crew.spec.history.postgres
    return postgres.ca_from if postgres is not None else None


def _ca_volume(name: str, source: FileSource) -> dict[str, Any]:
    if (secret := source.secret_key_ref) is not None:
        items = [{"key": secret.key, "path": names.CA_FILE}]
        return {"name": name, "secret": {"secretName": secret.name, "items": items}}
    if (config := source.config_map_key_ref) is not None:
        items = [{"key": config.key, "path": names.CA_FILE}]
        return {"name": name, "configMap": {"name": config.name, "items": items}}
    raise ValueError("a file's source without a reference: the parser lets none pass")


def _password_volume(crew: CrewDeployment) -> dict[str, Any]:
    """Of the Secret only what is the crew's."""
    items = [
        {"key": names.REPLICA_PASSWORD_KEY, "path": redis_credentials.PASSWORD},
        {"key": names.REPLICA_PASSWORD_VERSION_KEY, "path": redis_credentials.VERSION},
    ]
    return {"name": "redis-password", "secret": {"secretName": names.redis_auth(crew.name), "items": items}}


def _redis_mounts(crew: CrewDeployment, inputs: Inputs) -> list[dict[str, Any]]:
    """Whole folders: the kubelet writes a file anew that is mounted in one, and no file that is mounted by itself."""
    if inputs.redis_password_file and environment.reads_password(crew):
        return [{"name": "redis-password", "mountPath": names.CREDENTIALS_PATH, "readOnly": True}]
    return [{"name": "redis-ca", "mountPath": names.CA_PATH, "readOnly": True}] if _ca(crew) is not None else []


def _history_ca_mounts(crew: CrewDeployment) -> list[dict[str, Any]]:
    """Of the server alone: the user's code has no business with that Postgres."""
    if _history_ca(crew) is None:
        return []
    return [{"name": "history-ca", "mountPath": names.HISTORY_CA_PATH, "readOnly": True}]


def _pod_security(crew: CrewDeployment) -> dict[str, Any]:
    return {
        "runAsNonRoot": True,
        "fsGroup": _GROUP,
        **files.pod_security(crew),
        "seccompProfile": {"type": "RuntimeDefault"},
        **deepcopy(dict(crew.spec.template.security_context)),
    }


def _placement(crew: CrewDeployment) -> dict[str, Any]:
    template = crew.spec.template
    found = {
        "nodeSelector": dict(template.node_selector),
        "tolerations": deepcopy([dict(one) for one in template.tolerations]),
        "affinity": deepcopy(dict(template.affinity)),
        "topologySpreadConstraints": [_spread(crew, one) for one in template.topology_spread_constraints],
        "serviceAccountName": template.service_account_name,
        "imagePullSecrets": [dict(one) for one in template.image_pull_secrets],
    }
    return {name: value for name, value in found.items() if value}


def _spread(crew: CrewDeployment, constraint: Any) -> dict[str, Any]:
    own = {"labelSelector": {"matchLabels": names.selector(crew.name, names.CREW)}}
    return {**own, **deepcopy(dict(constraint))}
