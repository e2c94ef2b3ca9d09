"""The CrewDeployment as others than the operator see it: its kind, its pods by label and name, its conditions."""

import re
from enum import StrEnum
from typing import Final

GROUP: Final = "crewops.dev"
VERSION: Final = "v1alpha1"
API_VERSION: Final = f"{GROUP}/{VERSION}"
KIND: Final = "CrewDeployment"
PLURAL: Final = "crewdeployments"

OWNER_LABEL: Final = f"{GROUP}/crewdeployment"
"""Name of the CrewDeployment that an object belongs to: by it children are found and their events are routed."""
COMPONENT_LABEL: Final = "app.kubernetes.io/component"
CREW: Final = "crew"
REDIS: Final = "redis"
"""Values of the component label."""

ACCEPT_LOSS_ANNOTATION: Final = f"{GROUP}/accept-memory-loss"
"""On a CrewDeployment: the id of the loss of memories that somebody has taken note of, and goes on without."""

CREW_CONTAINER: Final = "crew"
SERVER_CONTAINER: Final = "server"
REDIS_CONTAINER: Final = "redis"


class ConditionType(StrEnum):
    """The conditions that the operator owns; others in the list are left alone."""

    READY = "Ready"
    """True when all below hold, and the spec is what runs."""
    CREW_AVAILABLE = "CrewAvailable"
    """True when the wanted number of replicas is ready and serves."""
    MEMORY_READY = "MemoryReady"
    """True when an authenticated PING and a write answered within the deadline, from the operator and from every ready
    replica."""
    MEMORY_DURABLE = "MemoryDurable"
    """True when Redis has all that was last seen in it, evicts nothing, and writes to its disk what it is given. Of an
    external Redis only a loss makes Ready False: how it persists is for those who run it to say."""
    MEMORY_SHARED = "MemoryShared"
    """True when a nonce written through one replica's CrewAI memory was read through every other one's (one replica:
    read back from the store), for exactly the replicas that are ready now and the Redis process that runs now."""
    HISTORY_CURRENT = "HistoryCurrent"
    """Only with spec.history.postgres. True when what has ended is in Postgres, but for the last minute. It never makes
    Ready False, which names it instead."""
    RUNTIME_COMPATIBLE = "RuntimeCompatible"
    """True when every replica's worker half runs in the crew's interpreter, with a CrewAI whose state it can move."""
    PROGRESSING = "Progressing"
    """True while the spec is rolled out and when that is complete; False when it cannot."""


def key_prefix(namespace: str, name: str) -> str:
    """The default of `spec.memory.keyPrefix`."""
    return f"{namespace}/{name}"


def redis(name: str) -> str:
    """StatefulSet and Service of the managed Redis."""
    return f"{name}-redis"


def redis_pod(name: str) -> str:
    """The one pod of the managed Redis."""
    return f"{redis(name)}-0"


def redis_auth(name: str) -> str:
    """The Secret with the passwords of the managed Redis."""
    return f"{redis(name)}-auth"


PASSWORD_KEY: Final = "password"  # noqa: S105 - the key's name in that Secret
"""The crew's, which anybody may change who may write the Secret."""
USERS_KEY: Final = "auth.conf"
"""The users, as Redis reads them when it starts: no password can be read out of it."""


REDIS_USER: Final = "default"
"""Redis' own name for whom a client is that names no user, as replicas do: the crew's."""
_USER: Final = re.compile(r"^user (\S{1,64}) on((?: #[0-9a-f]{64}){1,16})(?: |$)", re.MULTILINE | re.ASCII)


def accepted(users: str) -> dict[str, tuple[str, ...]]:
    """User -> SHA-256 of each password that lets it in, the newest first, by the text at USERS_KEY."""
    return {user: tuple(one[1:] for one in hashes.split()) for user, hashes in _USER.findall(users)}


def takes_only(users: str, digest: str) -> bool:
    """Whether the crew is let in with one password, of this SHA-256, by the text at USERS_KEY."""
    return accepted(users).get(REDIS_USER) == (digest,)


def selector(name: str, component: str) -> dict[str, str]:
    """The labels by which a workload or Service finds its pods; immutable, hence few."""
    return {OWNER_LABEL: name, COMPONENT_LABEL: component}
