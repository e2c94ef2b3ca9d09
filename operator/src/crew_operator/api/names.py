"""Every name that the operator gives or reads: labels, annotations, condition types, children.

Those that others read too, crewctl for one, are the contract's.
"""

from functools import lru_cache
from typing import Final

from crew_runtime.contract.resource import API_VERSION as API_VERSION
from crew_runtime.contract.resource import COMPONENT_LABEL as COMPONENT_LABEL
from crew_runtime.contract.resource import CREW as CREW
from crew_runtime.contract.resource import CREW_CONTAINER as CREW_CONTAINER
from crew_runtime.contract.resource import GROUP as GROUP
from crew_runtime.contract.resource import KIND as KIND
from crew_runtime.contract.resource import OWNER_LABEL as OWNER_LABEL
from crew_runtime.contract.resource import PASSWORD_KEY as PASSWORD_KEY
from crew_runtime.contract.resource import PLURAL as PLURAL
from crew_runtime.contract.resource import REDIS as REDIS
from crew_runtime.contract.resource import REDIS_CONTAINER as REDIS_CONTAINER
from crew_runtime.contract.resource import SERVER_CONTAINER as SERVER_CONTAINER
from crew_runtime.contract.resource import USERS_KEY as USERS_KEY
from crew_runtime.contract.resource import VERSION as VERSION
from crew_runtime.contract.resource import ConditionType as ConditionType
from crew_runtime.contract.resource import key_prefix as key_prefix
from crew_runtime.contract.resource import redis as redis
from crew_runtime.contract.resource import redis_auth as redis_auth
from crew_runtime.contract.resource import redis_pod as redis_pod
from crew_runtime.contract.resource import selector as selector

SINGULAR: Final = "crewdeployment"
SHORT_NAMES: Final = ("crew",)
CATEGORY: Final = "crewops"

FIELD_MANAGER: Final = "crew-operator"
"""Of every server-side apply."""

# Labels
NAME_LABEL: Final = "app.kubernetes.io/name"
INSTANCE_LABEL: Final = "app.kubernetes.io/instance"
PART_OF_LABEL: Final = "app.kubernetes.io/part-of"
MANAGED_BY_LABEL: Final = "app.kubernetes.io/managed-by"

ROLE_LABEL: Final = f"{GROUP}/redis-role"
"""On the pods of a replicated Redis: the Service for clients selects the primary by it."""
PRIMARY: Final = "primary"
REPLICA: Final = "replica"
"""Its values."""
REVISION_LABEL: Final = "controller-revision-hash"
"""Of the StatefulSet's controller: which template a pod was made from."""

FAILS_OVER_LABEL: Final = f"{GROUP}/waits-for-failover"
"""On the crew's pods whose replicas wait for the next primary of Redis when one goes; its value is `true`."""

# Annotations
APPLIED_ANNOTATION: Final = f"{GROUP}/applied"
"""Hash of what was applied: tells a field that we no longer want from one that we never had."""
CONFIG_ANNOTATION: Final = f"{GROUP}/config-checksum"
"""On pod templates: a change of configuration files rolls the pods."""

WANTED_BY: Final = f"{GROUP}/wanted-by"
"""On a Lease: the operator that would like to have it, since it has fewer than the holder."""

AUTH_ANNOTATION: Final = f"{GROUP}/auth"
"""On pod templates: stands for the credentials; at first the uid of the password's Secret, a digest of the Secrets'
versions once new ones have rolled the pods."""

PASSWORD_TIME_ANNOTATION: Final = f"{GROUP}/password-changed"
"""On the Secret of a managed Redis: when the crew's password was last found to be another one."""

MOUNTED_ANNOTATION: Final = f"{GROUP}/mounted-credentials"
"""On a crew's pods: the version of the password that the kubelet was last asked to bring into their volume."""

PRIMARY_ANNOTATION: Final = f"{GROUP}/redis-primary"
"""On the StatefulSet of a replicated Redis: which member is the primary, and its term."""

# Containers, volumes and paths of a replica
PAYLOAD_CONTAINER: Final = "payload"
RUN_PATH: Final = "/crewops/run"
STATE_PATH: Final = "/crewops/state"
PAYLOAD_PATH: Final = "/crewops/payload"
"""Where the crew's container finds the runtime that is put beside its own image."""
IMAGE_PAYLOAD: Final = "/opt/payload"
"""Where that lies in the runtime's image."""
DEFINITION_PATH: Final = "/crewops/definition"
CA_PATH: Final = "/crewops/ca"
CA_FILE: Final = "ca.crt"
CREDENTIALS_PATH: Final = "/crewops/redis"
HISTORY_CA_PATH: Final = "/crewops/history-ca"
CONFIG_PATH: Final = "/crewops/config"
CONFIG_FILE: Final = "redis.conf"
AUTH_PATH: Final = "/crewops/auth"
AUTH_FILE: Final = USERS_KEY
OPERATOR_PASSWORD_KEY: Final = "operator-password"  # noqa: S105 - the key's name in the Secret
REPLICA_PASSWORD_KEY: Final = "replica-password"  # noqa: S105 - likewise
"""The crew's as its replicas read it: the one at PASSWORD_KEY, once Redis takes that."""
REPLICA_PASSWORD_VERSION_KEY: Final = "replica-password-version"  # noqa: S105 - likewise
"""A random word that stands for it, which replicas report."""
API_TOKEN_KEY: Final = "token"  # noqa: S105 - likewise
"""Of a generated token."""
DATA_PATH: Final = "/data"
DATA_VOLUME: Final = "data"
FILES_VOLUME: Final = "files"
"""Of the crew's container: what `spec.crew.storage` asks for."""

RESERVED_ENV_PREFIX: Final = "CREWOPS_"

MAX_NAME: Final = 46
"""Characters of a CrewDeployment's name: `<name>-redis` plus a revision hash must fit into a label's 63."""
NAME_PATTERN: Final = "^[a-z]([-a-z0-9]*[a-z0-9])?$"
"""A Service is called like it: DNS-1035."""


def redis_headless(name: str) -> str:
    """The Service that gives the Redis pod its DNS name."""
    return f"{name}-redis-headless"


def api_token(name: str) -> str:
    """The Secret with the generated token of the crew's API."""
    return f"{name}-api-token"


def redis_config(name: str) -> str:
    """The ConfigMap with redis.conf."""
    return f"{name}-redis-config"


def definition(name: str) -> str:
    """The ConfigMap of a crew that is declared in the CrewDeployment itself."""
    return f"{name}-definition"


def redis_claim(name: str, number: int = 0) -> str:
    """The PersistentVolumeClaim of a pod of the managed Redis."""
    return f"{DATA_VOLUME}-{name}-redis-{number}"


def files(name: str) -> str:
    """The PersistentVolumeClaim with the crew's files."""
    return f"{name}-files"


@lru_cache(maxsize=4096)
def children(name: str) -> frozenset[str]:
    """The names that children of a CrewDeployment have, of whichever kind."""
    made = (redis, redis_headless, redis_auth, api_token, redis_config, definition, files)
    return frozenset((name, *(one(name) for one in made)))
