"""redis.conf of the managed Redis: nothing is evicted, nothing that was acknowledged is lost by a restart."""

from crew_operator.api import names, quantities
from crew_operator.api.spec import CrewDeployment, ManagedRedis
from crew_operator.desired import metadata
from crew_operator.desired.metadata import Manifest


def config_map(crew: CrewDeployment, redis: ManagedRedis) -> Manifest:
    """The ConfigMap with redis.conf; the password is in the Secret."""
    return {
        "apiVersion": "v1",
        "kind": "ConfigMap",
        "metadata": metadata.of(crew, names.redis_config(crew.name), names.REDIS),
        "data": {names.CONFIG_FILE: text(redis)},
    }


def text(redis: ManagedRedis) -> str:
    """The file."""
    lines = {
        "port": "6379",
        "protected-mode": "no",  # there is a password; the mode would only shut out other pods
        "appendonly": "yes",
        "appendfsync": redis.append_fsync.value,
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
    return "".join(f"{name} {value}\n" for name, value in lines.items())


def max_memory(redis: ManagedRedis) -> int:
    """Bytes; 0 (no limit) when the container has none either."""
    limit = (redis.resources.get("limits") or {}).get("memory")
    if limit is None:
        return 0
    return int(quantities.quantity(limit) * quantities.percent(redis.max_memory) / 100)
