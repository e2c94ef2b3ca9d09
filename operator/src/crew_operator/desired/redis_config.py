"""redis.conf of the managed Redis: nothing is evicted, nothing that was acknowledged is lost by a restart."""

from crew_operator.api import names, quantities
from crew_operator.api.spec import AppendFsync, CrewDeployment, Durability, ManagedRedis
from crew_operator.desired import metadata
from crew_operator.desired.metadata import Manifest


def config_map(crew: CrewDeployment, redis: ManagedRedis, members: int | None = None) -> Manifest:
    """The ConfigMap with redis.conf; the password is in the Secret.

    While the number of members changes it is the file of those that there are, and the template stands for the file of
    those that there will be: what a container is started with follows the ConfigMap, and only what is to be made anew
    follows the template.

    Args:
        members: how many there are for now; None: as many as the spec says.
    """
    return {
        "apiVersion": "v1",
        "kind": "ConfigMap",
        "metadata": metadata.of(crew, names.redis_config(crew.name), names.REDIS),
        "data": {names.CONFIG_FILE: text(crew, redis, redis.replicas if members is None else members)},
    }


def text(crew: CrewDeployment, redis: ManagedRedis, members: int) -> str:
    """The file of one of so many members."""
    lines = {
        "port": "6379",
        "protected-mode": "no",  # there is a password; the mode would only shut out other pods
        "appendonly": "yes",
        "appendfsync": _append_fsync(crew, redis).value,
        "aof-use-rdb-preamble": "yes",
        "save": '""',  # the append-only file is the one truth; dumps beside it only cost forks
        "stop-writes-on-bgsave-error": "yes",
        "maxmemory": str(max_memory(redis)),
        "maxmemory-policy": "noeviction",
        # A memory is a hash of a dozen fields, one of them a vector; packed it takes 0.8 kB less, and is saved faster.
        "hash-max-listpack-value": "16384",
        "tcp-keepalive": "60",
        "timeout": "0",
    }
    if members > 1:
        lines |= _REPLICATED
    return "".join(f"{name} {value}\n" for name, value in lines.items())


def _append_fsync(crew: CrewDeployment, redis: ManagedRedis) -> AppendFsync:
    """Who waits for a disk that is synced every second waits for up to a second."""
    return AppendFsync.ALWAYS if crew.spec.durability is Durability.FSYNC else redis.append_fsync


_REPLICATED = {
    # A member never begins as a primary: it serves nobody until the operator has told it whom to follow.
    "replicaof": "127.0.0.1 1",
    # A primary whose replicas are gone takes no writes: whoever does not ask for WAIT loses little by a partition.
    "min-replicas-to-write": "1",
    "min-replicas-max-lag": "3",
    # A primary that is stalled shows to its replicas within seconds.
    "repl-ping-replica-period": "1",
    "repl-timeout": "10",
    "repl-diskless-sync-delay": "0",
    # What a member that was away for a moment may catch up with, without copying everything.
    "repl-backlog-size": "32mb",
}


def max_memory(redis: ManagedRedis) -> int:
    """Bytes; 0 (no limit) when the container has none either."""
    limit = (redis.resources.get("limits") or {}).get("memory")
    if limit is None:
        return 0
    return int(quantities.quantity(limit) * quantities.percent(redis.max_memory) / 100)
