"""Redis dies, stalls, fills up, forgets, or refuses."""

import shutil
import signal
from collections.abc import Iterator

from crew_operator.api import names
from faults.matrix.fault import Fault
from faults.matrix.figures import Tells
from faults.matrix.scene import Scene, pause, send, stopped

SECTION = "Redis"
MEMORY = "MemoryReady"
DURABLE = "MemoryDurable"
GONE = Tells(MEMORY, ("RedisUnreachable", "RedisRestarted", "RedisPodMissing", "ReplicaLostRedis", "RedisLoading"))
LOST = Tells(DURABLE, ("MemoryLost",))
MINUTE = 75.0
"""Within which the operator looks by itself at what no replica can notice, and what a look takes on a busy machine."""


def killed(scene: Scene) -> Iterator[None]:
    scene.signal_redis(signal.SIGKILL)
    yield


def killed_twice(scene: Scene) -> Iterator[None]:
    first = scene.signal_redis(signal.SIGKILL)
    yield
    if scene.hotel.redis_pid() != first:
        scene.signal_redis(signal.SIGKILL)


def wedged(scene: Scene) -> Iterator[None]:
    send(signal.SIGSTOP, scene.hotel.redis_pid())
    yield  # its pod is replaced, and the kubelet kills what stands still


def stalled(scene: Scene) -> Iterator[None]:
    return stopped(scene.hotel.redis_pid())


def pod_deleted(scene: Scene) -> Iterator[None]:
    scene.delete("pod", names.redis_pod(scene.hotel.name))
    yield


def flushed(scene: Scene) -> Iterator[None]:
    with scene.admin() as client:
        client.flushall()
    yield


def emptied(scene: Scene) -> Iterator[None]:
    folder = scene.data
    scene.signal_redis(signal.SIGKILL)
    for one in folder.iterdir():
        one.unlink()
    yield


def restored_older(scene: Scene) -> Iterator[None]:
    """The copy is made before the load's memories, so that they and the last canary are missing in it."""
    folder = scene.data
    saved = scene.folder / "older"
    scene.signal_redis(signal.SIGKILL)
    shutil.rmtree(folder)
    shutil.copytree(saved, folder)
    yield


def disk_full(scene: Scene) -> Iterator[None]:
    """The next append-only file is /dev/full, which has no room for a byte, until the one after it."""
    with scene.admin() as client:
        _next_file(scene, full=True)
        client.bgrewriteaof()
    yield
    with scene.admin() as client:
        client.bgrewriteaof()


def _next_file(scene: Scene, *, full: bool) -> None:
    newest = max(int(one.name.split(".")[-3]) for one in scene.data.glob("*.incr.aof"))
    if full:
        (scene.data / f"appendonly.aof.{newest + 1}.incr.aof").symlink_to("/dev/full")


def memory_full(scene: Scene) -> Iterator[None]:
    before = scene.configure(maxmemory="1mb")
    yield
    scene.configure(**before)


def evicts(scene: Scene) -> Iterator[None]:
    before = scene.configure(maxmemory_policy="allkeys-lru")
    yield
    scene.configure(**before)


def without_file(scene: Scene) -> Iterator[None]:
    before = scene.configure(appendonly="no")
    yield
    scene.configure(**before)


def read_only(scene: Scene) -> Iterator[None]:
    before = scene.configure(min_replicas_to_write="1")
    yield
    scene.configure(**before)


def other_password(scene: Scene) -> Iterator[None]:
    """In the server alone: what is connected stays in."""
    with scene.admin() as client:
        client.execute_command("ACL", "SETUSER", "default", "resetpass", ">another")
    yield
    password = scene.hotel.secret(names.redis_auth(scene.hotel.name), names.PASSWORD_KEY)
    with scene.admin() as client:
        client.execute_command("ACL", "SETUSER", "default", "resetpass", f">{password}")


def everybody_cut_off(scene: Scene) -> Iterator[None]:
    for _ in range(3):
        with scene.admin() as client:
            client.execute_command("CLIENT", "KILL", "TYPE", "normal", "SKIPME", "yes")
        pause(0.5)
    yield


ENTRIES = (
    Fault("redis-killed", SECTION, "kill -9 of Redis", killed, GONE),
    Fault("redis-killed-again", SECTION, "kill -9 of Redis, and of the one that comes after it", killed_twice, GONE, lasts=3),
    Fault("redis-stopped", SECTION, "SIGSTOP of Redis, for good", wedged, Tells(MEMORY, ("RedisWedged",))),
    Fault("redis-stalled", SECTION, "SIGSTOP of Redis for 12 s", stalled, Tells(MEMORY, ("RedisWedged", "ReplicaLostRedis")), lasts=12),
    Fault("redis-pod-deleted", SECTION, "the pod of Redis is deleted", pod_deleted, GONE),
    Fault("redis-clients-cut-off", SECTION, "every connection to Redis ends, three times", everybody_cut_off),
    Fault("flushall", SECTION, "FLUSHALL", flushed, LOST, within=MINUTE, destroys=True),
    Fault("claim-emptied", SECTION, "the volume of Redis is emptied, and Redis ends", emptied, LOST, within=MINUTE, destroys=True),
    Fault("disk-full", SECTION, "the disk of Redis is full", disk_full, Tells(MEMORY, ("RedisDiskFull",))),
    Fault("memory-full", SECTION, "Redis is at its maxmemory", memory_full, Tells(MEMORY, ("RedisOutOfMemory",))),
    Fault("redis-read-only", SECTION, "Redis takes no writes (min-replicas-to-write)", read_only, Tells(MEMORY, ("RedisReadOnly", "ReplicaLostRedis"))),
    Fault("redis-other-password", SECTION, "the crew's password is another one in the server", other_password, Tells(MEMORY, ("ReplicaLostRedis", "RedisAuthFailed"))),
    Fault("redis-evicts", SECTION, "CONFIG SET maxmemory-policy allkeys-lru", evicts, Tells(DURABLE, ("RedisEvicts",)), within=MINUTE),
    Fault("redis-without-file", SECTION, "CONFIG SET appendonly no", without_file, Tells(DURABLE, ("RedisNotPersistent",)), within=MINUTE),
)  # fmt: skip
