"""The operator, the API server or a node goes away; and a Redis that somebody else runs."""

import dataclasses
import json
import signal
from collections.abc import Iterator, Sequence
from pathlib import Path

from faults.matrix import crew_entries, edit_entries, redis_entries
from faults.matrix.edit_entries import Deletion, Edit
from faults.matrix.fault import Act, Fault, RedisKind, Where
from faults.matrix.figures import Tells
from faults.matrix.scene import Scene, closed_port, send, stopped
from support.waiting import wait_until

OPERATOR, CLUSTER, EXTERNAL = "Operator", "Cluster", "External Redis"
CLOCK = "clock"
"""The file with the time by which the clock of an external Redis is wrong, in the scene's folder."""


def operator_killed(scene: Scene) -> Iterator[None]:
    scene.cluster.kill_operator()
    yield


def operator_stopped(scene: Scene) -> Iterator[None]:
    return stopped(scene.operator())


def with_operator_killed(act: Act) -> Act:
    """It is killed as the fault begins, and once more as it is lifted."""

    def both(scene: Scene) -> Iterator[None]:
        scene.cluster.kill_operator()
        running = act(scene)
        next(running)
        yield
        scene.cluster.kill_operator()
        next(running, None)

    return both


def with_operator_stopped(act: Act) -> Act:
    """It stands still as the fault begins, and goes on when it is lifted."""

    def both(scene: Scene) -> Iterator[None]:
        pid = scene.operator()
        send(signal.SIGSTOP, pid)
        try:
            running = act(scene)
            next(running)
            yield
        finally:
            send(signal.SIGCONT, pid)
        next(running, None)

    return both


STOPPED_FOR = 12.0


def variant(fault: Fault, operator: str) -> Fault:
    """The same fault with the operator killed or stopped during it. What it tells, it tells when it is back."""
    act = {"killed": with_operator_killed, "stopped": with_operator_stopped}[operator](fault.act)
    more = f"{fault.what}; the operator is {operator} meanwhile"
    lasts = max(fault.lasts, STOPPED_FOR) if operator == "stopped" else fault.lasts
    if fault.tells is not None and operator == "stopped" and not fault.destroys:
        fault = dataclasses.replace(fault, tells=None)  # a fault that is over by then is nobody's business
    return dataclasses.replace(
        fault, name=f"{fault.name}+operator-{operator}", section=OPERATOR, what=more, act=act, lasts=lasts,
        within=fault.within + STOPPED_FOR + 30, where=Where.LOCAL,
    )  # fmt: skip


DELETED = (("deployment", ""), ("statefulset", "-redis"))


class Everything:
    """Every child is edited or deleted while the operator stands still."""

    def __init__(self) -> None:
        names = ("deployment-probe", "redis-args", "service-selector", "redis-service-port", "redis-config")
        edits = [one.act.__self__ for one in edit_entries.ENTRIES if one.name in {f"edit-{name}" for name in names}]  # type: ignore[attr-defined]
        # edited before they are deleted: that the next ones are as they were is the edits' to say
        deletions = [Deletion(kind, edit_entries.child(suffix), same=False) for kind, suffix in DELETED]
        self._chosen: list[Edit | Deletion] = [*edits, *deletions]

    def act(self, scene: Scene) -> Iterator[None]:
        pid = scene.operator()
        send(signal.SIGSTOP, pid)
        try:
            for one in self._chosen:
                next(one.act(scene))
            yield
        finally:
            send(signal.SIGCONT, pid)

    def restored(self, scene: Scene) -> bool:
        return all(one.restored(scene) for one in self._chosen)


def api_away(scene: Scene) -> Iterator[None]:
    return stopped(scene.cluster.apiserver_pid())


def drained(scene: Scene) -> Iterator[None]:
    """The node of Redis, and of whatever else is on it."""
    pod = scene.hotel.pod(f"{scene.hotel.name}-redis-0")
    assert pod is not None
    node = str(pod["spec"]["nodeName"])
    scene.hotel.kubectl("drain", node, "--ignore-daemonsets", "--delete-emptydir-data", "--timeout=120s",
                        "--pod-selector", f"crewops.dev/crewdeployment={scene.hotel.name}")  # fmt: skip
    yield
    scene.hotel.kubectl("uncordon", node)


# An external Redis


def external_killed(scene: Scene) -> Iterator[None]:
    assert scene.external is not None
    scene.external.kill()
    yield
    scene.external.start()


def external_stopped(scene: Scene) -> Iterator[None]:
    assert scene.external is not None
    return stopped(scene.external.process.pid)


def external_password(scene: Scene) -> Iterator[None]:
    assert scene.external is not None
    password = scene.external.password
    with scene.admin() as client:
        client.execute_command("ACL", "SETUSER", "default", "resetpass", ">another")
        client.execute_command("CLIENT", "KILL", "USER", "default")
    yield
    with scene.admin() as client:
        client.execute_command("ACL", "SETUSER", "default", "resetpass", f">{password}")


def external_replica(scene: Scene) -> Iterator[None]:
    """It becomes the replica of a server that is not there, and keeps its data."""
    with scene.admin() as client:
        client.execute_command("REPLICAOF", "127.0.0.1", str(closed_port()))
    yield
    with scene.admin() as client:
        client.execute_command("REPLICAOF", "NO", "ONE")


def external_moved(scene: Scene) -> Iterator[None]:
    """The Secret has a URL where nobody answers, put right when it is told."""
    before = scene.get("secret", "store")
    assert before is not None
    url = {"stringData": {"url": f"redis://:x@127.0.0.1:{closed_port()}/0"}}
    scene.hotel.kubectl("patch", "secret", "store", "--type=merge", "-p", json.dumps(url))
    yield
    scene.hotel.kubectl("patch", "secret", "store", "--type=merge", "-p", json.dumps({"data": before["data"]}))


class ClockJump:
    """The clock of Redis is wrong by some seconds for a while, as on another node."""

    def __init__(self, seconds: int) -> None:
        self._seconds = seconds

    def __call__(self, scene: Scene) -> Iterator[None]:
        self._jump(scene, self._seconds)
        yield
        self._jump(scene, 0)

    @staticmethod
    def _jump(scene: Scene, seconds: int) -> None:
        """Until the server's own TIME says so."""
        import time

        (scene.folder / CLOCK).write_text(f"{seconds:+d}\n")

        def arrived() -> bool:
            with scene.admin() as client:
                return bool(abs(client.time()[0] - time.time() - seconds) < 30)

        wait_until(arrived, "the clock of Redis has jumped", 20)


def faketime() -> Path | None:
    """The library that makes a process see another time."""
    return next(iter(sorted(Path("/usr/lib").glob("*/faketime/libfaketime.so.1"))), None)


def needs_faketime() -> str:
    return "" if faketime() else "needs libfaketime: apt-get install libfaketime"


def _of_operators(entries: Sequence[Fault], *names: str) -> list[Fault]:
    return [one for one in entries if one.name in names]


_everything = Everything()
_OTHERS = [
    *_of_operators(redis_entries.ENTRIES, "redis-killed", "redis-stopped", "flushall"),
    *_of_operators(crew_entries.ENTRIES, "scaled-up-and-down", "rollout"),
]

ENTRIES = (
    Fault("operator-killed", OPERATOR, "kill -9 of the operator", operator_killed),
    Fault("operator-stopped", OPERATOR, "SIGSTOP of the operator for 30 s", operator_stopped, lasts=30),
    *(variant(one, "killed") for one in _OTHERS),
    variant(next(one for one in redis_entries.ENTRIES if one.name == "redis-killed"), "stopped"),
    Fault("everything-edited", OPERATOR, "every child edited or deleted while the operator stands still for 10 s", _everything.act, lasts=10, restored=_everything.restored),
    Fault("apiserver-away", CLUSTER, "SIGSTOP of the API server, the controllers and the kubelet for 60 s", api_away, lasts=60, redis=RedisKind.EXTERNAL, directly=True),
    Fault("node-drained", CLUSTER, "kubectl drain of the node of Redis", drained, redis_entries.GONE, within=60, where=Where.REAL),
    Fault("external-killed", EXTERNAL, "kill -9, and another start 5 s later", external_killed, redis_entries.GONE, lasts=5, redis=RedisKind.EXTERNAL),
    Fault("external-stalled", EXTERNAL, "SIGSTOP for 15 s", external_stopped, Tells("MemoryReady"), lasts=15, redis=RedisKind.EXTERNAL),
    Fault("external-password", EXTERNAL, "it takes another password, and ends its connections", external_password, Tells("MemoryReady", ("RedisAuthFailed", "ReplicaLostRedis")), lasts=5, redis=RedisKind.EXTERNAL),
    Fault("external-read-only", EXTERNAL, "it becomes a replica", external_replica, Tells("MemoryReady", ("RedisReadOnly", "ReplicaLostRedis")), lasts=5, redis=RedisKind.EXTERNAL),
    Fault("external-moved", EXTERNAL, "the Secret's URL leads nowhere", external_moved, Tells("MemoryReady"), within=60, redis=RedisKind.EXTERNAL),
    Fault("external-flushall", EXTERNAL, "FLUSHALL", redis_entries.flushed, redis_entries.LOST, within=redis_entries.MINUTE, destroys=True, redis=RedisKind.EXTERNAL),
    Fault("clock-ahead", EXTERNAL, "its clock jumps an hour ahead, and back", ClockJump(3600), lasts=10, redis=RedisKind.EXTERNAL, needs=needs_faketime),
    Fault("clock-behind", EXTERNAL, "its clock jumps an hour back, and ahead", ClockJump(-3600), lasts=10, redis=RedisKind.EXTERNAL, needs=needs_faketime),
)  # fmt: skip
