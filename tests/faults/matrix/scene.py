"""What a fault acts on: one crew, its processes, its objects and its Redis."""

import base64
import contextlib
import json
import os
import signal
import socket
import time
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

import redis

from crew_operator.api import names
from crew_operator.desired.redis_users import OPERATOR
from support.cluster import Cluster
from support.hotel import Hotel
from support.redis_server import RedisServer
from support.waiting import wait_until

READY = 120.0
"""Seconds."""


class Scene:
    """The crew of one or more faults, one after the other."""

    def __init__(self, hotel: Hotel, folder: Path, external: RedisServer | None = None) -> None:
        self.hotel = hotel
        self.cluster: Any = hotel.cluster
        self.folder = folder
        """For what a fault puts aside."""
        self.external = external
        """The crew's Redis where it is not the operator's."""

    # Processes

    def signal_redis(self, number: int) -> int:
        """Send a signal to the process of Redis; its pid."""
        pid = self.hotel.redis_pid()
        os.kill(pid, number)
        return pid

    def replica(self) -> str:
        """The name of one."""
        return str(self.hotel.replicas()[0]["metadata"]["name"])

    def processes(self, pod: str, *containers: str) -> list[int]:
        """The main processes of these containers of a pod."""
        return [pid for one in containers for pid in self.hotel.pids(pod, one)[:1]]

    def slot(self) -> int:
        """The process of a kickoff that runs now, of whatever replica."""

        def look() -> int | None:
            for pod in self.hotel.replicas():
                text = str(self.hotel.kubectl("logs", pod["metadata"]["name"], "-c", "server", "--tail=40"))
                found = [json.loads(line) for line in text.splitlines() if "kickoff started" in line]
                for one in reversed(found):
                    if Path(f"/proc/{one['pid']}").exists():
                        return int(one["pid"])
            return None

        return int(wait_until(look, "a kickoff runs", 30) or 0)

    def operator(self) -> int:
        """Its process."""
        return int(wait_until(self.cluster.operator_pid, "the operator runs", 30))

    # Objects

    def get(self, kind: str, name: str) -> dict[str, Any] | None:
        return self.hotel.get(kind, name)

    def patch(self, kind: str, name: str, patch: Mapping[str, Any] | list[Any], how: str = "merge") -> None:
        self.hotel.kubectl("patch", kind, name, f"--type={how}", "-p", json.dumps(patch))

    def delete(self, kind: str, name: str) -> None:
        self.hotel.kubectl("delete", kind, name, "--wait=false")

    @property
    def data(self) -> Path:
        """The folder of Redis' claim."""
        claim = self.get("pvc", f"data-{names.redis_pod(self.hotel.name)}")
        assert claim is not None
        (found,) = Path(self.cluster._handle.folder).rglob(f"{claim['spec']['volumeName']}/appendonlydir")
        return found

    def settle(self) -> None:
        """Until nothing of an earlier fault is left."""
        self.hotel.wait_ready(READY)
        wanted = int(self.hotel.crew()["spec"]["replicas"])
        wait_until(lambda: len(self.hotel.replicas()) == wanted, f"{wanted} replicas are ready", READY)

    # Redis

    def admin(self) -> redis.Redis:
        """A client that may do everything."""
        if self.external is not None:
            return self.external.client()
        secret = self.get("secret", names.redis_auth(self.hotel.name))
        service = self.get("service", names.redis(self.hotel.name))
        assert secret is not None
        assert service is not None
        password = base64.b64decode(secret["data"][names.OPERATOR_PASSWORD_KEY]).decode()
        address = service["spec"]["clusterIP"]
        return redis.Redis(address, username=OPERATOR, password=password, protocol=2, socket_timeout=5)

    def configure(self, **settings: str) -> dict[str, str]:
        """CONFIG SET; what was set before."""
        with self.admin() as client:
            keys = {key: key.replace("_", "-") for key in settings}
            before = {key: str(_text(dict(client.config_get(name)), name)) for key, name in keys.items()}
            for key, value in settings.items():
                client.config_set(keys[key], value)
        return before

    def completions(self) -> dict[str, int]:
        """Kickoff id -> how often Redis took its end as completed. Empty where Redis cannot be asked from here."""
        if not isinstance(self.cluster, Cluster):
            return {}
        from crew_runtime.contract import keys

        prefix = f"{self.hotel.namespace}/{self.hotel.name}"
        counts: dict[str, int] = {}
        with self.admin() as client:
            for _, fields in client.xrange(keys.ends(prefix)):
                told = {_str(key): _str(value) for key, value in fields.items()}
                if told["status"] == "completed":
                    counts[told["id"]] = counts.get(told["id"], 0) + 1
        return counts

    def accept_loss(self) -> None:
        """As somebody does who has seen what is lost."""

        def loss() -> str | None:
            found = ((self.hotel.crew().get("status") or {}).get("memory") or {}).get("loss") or {}
            return found.get("id")

        known = wait_until(loss, "the loss has an id", 10)
        word = f"crewops.dev/accept-memory-loss={known}"
        self.hotel.kubectl("annotate", "crewdeployment", self.hotel.name, "--overwrite", word)


def _text(found: Mapping[Any, Any], name: str) -> str:
    return next(_str(value) for key, value in found.items() if _str(key) == name)


def _str(value: Any) -> str:
    return value.decode() if isinstance(value, bytes) else str(value)


def send(number: int, *pids: int) -> None:
    """A signal to each that still is there."""
    for pid in pids:
        with contextlib.suppress(ProcessLookupError):
            os.kill(pid, number)


def stopped(*pids: int) -> Iterator[None]:
    """They stand still until this goes on."""
    send(signal.SIGSTOP, *pids)
    try:
        yield
    finally:
        send(signal.SIGCONT, *pids)


def closed_port() -> int:
    """A port of this machine where nobody listens."""
    with socket.socket() as one:
        one.bind(("127.0.0.1", 0))
        return int(one.getsockname()[1])


def pause(seconds: float) -> None:
    """How long something lasts: the subject of a fault, no waiting for something to be seen."""
    time.sleep(seconds)
