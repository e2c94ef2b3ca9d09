"""Every name that the operator gives or reads: labels, annotations, condition types, children."""

from enum import StrEnum
from typing import Final

GROUP: Final = "crewops.dev"
VERSION: Final = "v1alpha1"
API_VERSION: Final = f"{GROUP}/{VERSION}"
KIND: Final = "CrewDeployment"
PLURAL: Final = "crewdeployments"
SINGULAR: Final = "crewdeployment"
SHORT_NAMES: Final = ("crew",)
CATEGORY: Final = "crewops"

FIELD_MANAGER: Final = "crew-operator"
"""Of every server-side apply."""

# Labels
NAME_LABEL: Final = "app.kubernetes.io/name"
INSTANCE_LABEL: Final = "app.kubernetes.io/instance"
COMPONENT_LABEL: Final = "app.kubernetes.io/component"
PART_OF_LABEL: Final = "app.kubernetes.io/part-of"
MANAGED_BY_LABEL: Final = "app.kubernetes.io/managed-by"
OWNER_LABEL: Final = f"{GROUP}/crewdeployment"
"""Name of the CrewDeployment that an object belongs to: by it children are found and their events are routed."""

# Annotations
APPLIED_ANNOTATION: Final = f"{GROUP}/applied"
"""Hash of what was applied: tells a field that we no longer want from one that we never had."""
CONFIG_ANNOTATION: Final = f"{GROUP}/config-checksum"
"""On pod templates: a change of configuration files rolls the pods."""

CREW: Final = "crew"
REDIS: Final = "redis"
"""Values of the component label."""
AUTH_ANNOTATION: Final = f"{GROUP}/auth"
"""On pod templates: uid of the Secret with the password; a new Secret rolls the pods."""

# Containers, volumes and paths of a replica
CREW_CONTAINER: Final = "crew"
SERVER_CONTAINER: Final = "server"
PAYLOAD_CONTAINER: Final = "payload"
REDIS_CONTAINER: Final = "redis"
RUN_PATH: Final = "/crewops/run"
STATE_PATH: Final = "/crewops/state"
PAYLOAD_PATH: Final = "/crewops/payload"
"""Where the crew's container finds the runtime that is put beside its own image."""
IMAGE_PAYLOAD: Final = "/opt/payload"
"""Where that lies in the runtime's image."""
DEFINITION_PATH: Final = "/crewops/definition"
CA_PATH: Final = "/crewops/ca"
CA_FILE: Final = "ca.crt"
CONFIG_PATH: Final = "/crewops/config"
CONFIG_FILE: Final = "redis.conf"
AUTH_PATH: Final = "/crewops/auth"
AUTH_FILE: Final = "auth.conf"
PASSWORD_KEY: Final = "password"  # noqa: S105 - the key's name in the Secret
DATA_PATH: Final = "/data"
DATA_VOLUME: Final = "data"

RESERVED_ENV_PREFIX: Final = "CREWOPS_"

MAX_NAME: Final = 46
"""Characters of a CrewDeployment's name: `<name>-redis` plus a revision hash must fit into a label's 63."""
NAME_PATTERN: Final = "^[a-z]([-a-z0-9]*[a-z0-9])?$"
"""A Service is called like it: DNS-1035."""


class ConditionType(StrEnum):
    """The conditions that the operator owns; others in the list are left alone."""

    READY = "Ready"
    """True when all below hold, and the spec is what runs."""
    CREW_AVAILABLE = "CrewAvailable"
    """True when the wanted number of replicas is ready and serves."""
    MEMORY_READY = "MemoryReady"
    """True when an authenticated PING and a write answered within the deadline, from the operator and from every ready
    replica."""
    MEMORY_SHARED = "MemoryShared"
    """True when a nonce written through one replica's CrewAI memory was read through every other one's (one replica:
    read back from the store), for exactly the replicas that are ready now and the Redis process that runs now."""
    RUNTIME_COMPATIBLE = "RuntimeCompatible"
    """True when every replica's worker half runs in the crew's interpreter, with a CrewAI whose state it can move."""
    PROGRESSING = "Progressing"
    """True while the spec is rolled out and when that is complete; False when it cannot."""


def redis(name: str) -> str:
    """StatefulSet and Service of the managed Redis."""
    return f"{name}-redis"


def redis_headless(name: str) -> str:
    """The Service that gives the Redis pod its DNS name."""
    return f"{name}-redis-headless"


def redis_auth(name: str) -> str:
    """The Secret with the generated password."""
    return f"{name}-redis-auth"


def redis_config(name: str) -> str:
    """The ConfigMap with redis.conf."""
    return f"{name}-redis-config"


def definition(name: str) -> str:
    """The ConfigMap of a crew that is declared in the CrewDeployment itself."""
    return f"{name}-definition"


def redis_pod(name: str) -> str:
    """The one pod of the managed Redis."""
    return f"{name}-redis-0"


def redis_claim(name: str) -> str:
    """The PersistentVolumeClaim of the one pod of the managed Redis."""
    return f"{DATA_VOLUME}-{name}-redis-0"


def key_prefix(namespace: str, name: str) -> str:
    """The default of `spec.memory.keyPrefix`."""
    return f"{namespace}/{name}"


def selector(name: str, component: str) -> dict[str, str]:
    """The labels by which a workload or Service finds its pods; immutable, hence few."""
    return {OWNER_LABEL: name, COMPONENT_LABEL: component}
