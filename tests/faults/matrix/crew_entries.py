"""Replicas die and stall, rollouts and scaling go on under load."""

import signal
from collections.abc import Iterator

from faults.matrix.fault import Fault, Where
from faults.matrix.figures import Tells
from faults.matrix.scene import READY, Scene, send, stopped
from support.hotel import names
from support.waiting import wait_until

SECTION = "Replicas"
FEWER = Tells("CrewAvailable")
SILENT = Tells("CrewAvailable")
ROLLOUT = "Changes by the user"


def killed(scene: Scene) -> Iterator[None]:
    send(signal.SIGKILL, *scene.processes(scene.replica(), "server", "crew"))
    yield


def all_killed(scene: Scene) -> Iterator[None]:
    pods = names(scene.hotel.replicas())
    send(signal.SIGKILL, *(pid for pod in pods for pid in scene.processes(pod, "server", "crew")))
    yield


def server_killed(scene: Scene) -> Iterator[None]:
    send(signal.SIGKILL, *scene.processes(scene.replica(), "server"))
    yield


def worker_killed(scene: Scene) -> Iterator[None]:
    send(signal.SIGKILL, *scene.processes(scene.replica(), "crew"))
    yield


def slot_killed(scene: Scene) -> Iterator[None]:
    send(signal.SIGKILL, scene.slot())
    yield


def slot_stopped(scene: Scene) -> Iterator[None]:
    return stopped(scene.slot())


def replica_stopped(scene: Scene) -> Iterator[None]:
    return stopped(*scene.processes(scene.replica(), "server", "crew"))


def server_stopped(scene: Scene) -> Iterator[None]:
    return stopped(*scene.processes(scene.replica(), "server"))


def worker_stopped(scene: Scene) -> Iterator[None]:
    return stopped(*scene.processes(scene.replica(), "crew"))


def pod_deleted(scene: Scene) -> Iterator[None]:
    scene.delete("pod", scene.replica())
    yield


def scaled(up: int, down: int) -> "Scaling":
    return Scaling(up, down)


class Scaling:
    """From two replicas to `up` and then to `down`, and back."""

    def __init__(self, up: int, down: int) -> None:
        self._way = [count for count in (up, down, 2) if count]

    def __call__(self, scene: Scene) -> Iterator[None]:
        first, *others = self._way
        scene.hotel.patch({"replicas": first})
        yield
        for count in (first, *others):
            scene.hotel.patch({"replicas": count})
            wait_until(lambda wanted=count: len(scene.hotel.replicas()) == wanted, f"{count} replicas", READY)  # type: ignore[misc]


def to_zero(scene: Scene) -> Iterator[None]:
    scene.hotel.patch({"replicas": 0})
    yield
    scene.hotel.patch({"replicas": 2})


def rolled(scene: Scene) -> Iterator[None]:
    old = names(scene.hotel.replicas())
    _say(scene, "rolled")
    yield
    scene.hotel.wait_replicas(2, but=old)
    scene.hotel.wait_ready()


def restarted(scene: Scene) -> Iterator[None]:
    old = names(scene.hotel.replicas())
    scene.hotel.kubectl("rollout", "restart", f"deployment/{scene.hotel.name}")
    yield
    scene.hotel.wait_replicas(2, but=old)


def rolled_while_redis_dies(scene: Scene) -> Iterator[None]:
    old = names(scene.hotel.replicas())
    _say(scene, "dies")
    scene.signal_redis(signal.SIGKILL)
    yield
    scene.hotel.wait_replicas(2, but=old)
    scene.hotel.wait_ready()


def broken(scene: Scene) -> Iterator[None]:
    before = scene.hotel.crew()["spec"]["crew"]["entrypoint"]
    scene.hotel.patch({"crew": {"entrypoint": "ledger:nobody"}})
    yield
    scene.hotel.patch({"crew": {"entrypoint": before}})


def invalid(scene: Scene) -> Iterator[None]:
    before = scene.hotel.crew()["spec"]["crew"]["env"]
    reference = {"secretKeyRef": {"name": "nobody", "key": "none"}}
    scene.hotel.patch({"crew": {"env": [*before, {"name": "KEY", "valueFrom": reference}]}})
    yield
    scene.hotel.patch({"crew": {"env": before}})


def rotated(scene: Scene) -> Iterator[None]:
    old = names(scene.hotel.replicas())
    done = scene.hotel.crewctl("rotate", scene.hotel.name, timeout=600)
    assert done.returncode == 0, done.stderr
    yield
    assert names(scene.hotel.replicas()) == old


def _say(scene: Scene, word: str) -> None:
    """A change of a variable, which rolls the crew."""
    given = [one for one in scene.hotel.crew()["spec"]["crew"]["env"] if one["name"] != "WORD"]
    scene.hotel.patch({"crew": {"env": [*given, {"name": "WORD", "value": word}]}})


ENTRIES = (
    Fault("replica-killed", SECTION, "kill -9 of both halves of a replica", killed, FEWER),
    Fault("replicas-killed", SECTION, "kill -9 of both halves of all replicas", all_killed, FEWER),
    Fault("server-killed", SECTION, "kill -9 of a replica's server half", server_killed, FEWER),
    Fault("worker-killed", SECTION, "kill -9 of a replica's worker half", worker_killed, FEWER),
    Fault("slot-killed", SECTION, "kill -9 of the process of one kickoff", slot_killed),
    Fault("slot-stopped", SECTION, "SIGSTOP of the process of one kickoff for 40 s", slot_stopped, lasts=40),
    Fault("replica-stopped", SECTION, "SIGSTOP of both halves of a replica for 25 s", replica_stopped, SILENT, lasts=25),
    Fault("server-stopped", SECTION, "SIGSTOP of a replica's server half for 15 s", server_stopped, SILENT, lasts=15),
    Fault("worker-stopped", SECTION, "SIGSTOP of a replica's worker half for 15 s", worker_stopped, lasts=15),
    Fault("replica-deleted", SECTION, "the pod of a replica is deleted", pod_deleted, where=Where.ANY),
    Fault("scaled-up-and-down", ROLLOUT, "2 replicas, then 3, then 1, then 2", scaled(3, 1), where=Where.ANY),
    Fault("scaled-to-zero", ROLLOUT, "2 replicas, then 0 for 6 s, then 2", to_zero, Tells("CrewAvailable", ("ScaledToZero",)), lasts=6, where=Where.ANY),
    Fault("rollout", ROLLOUT, "a variable of the crew is changed", rolled, where=Where.ANY),
    Fault("rollout-restart", ROLLOUT, "kubectl rollout restart", restarted, where=Where.ANY),
    Fault("rollout-and-redis-killed", ROLLOUT, "kill -9 of Redis at the beginning of a rollout", rolled_while_redis_dies, Tells("MemoryReady")),
    Fault("rollout-broken", ROLLOUT, "an entrypoint that is not there, put right when it is told", broken, Tells("Ready", ("EntrypointBroken",)), within=40, where=Where.ANY),
    Fault("reference-missing", ROLLOUT, "a Secret that is not there, put right when it is told", invalid, Tells("Ready"), where=Where.ANY),
    Fault("password-rotated", ROLLOUT, "crewctl rotate", rotated, where=Where.ANY),
)  # fmt: skip
