"""The cluster and the crews that faults are made to: one crew for each kind, made when it is first asked for."""

import json
import secrets
import shutil
import tempfile
from contextlib import ExitStack
from pathlib import Path
from types import TracebackType
from typing import Any

from faults.matrix.cluster_entries import CLOCK, faketime
from faults.matrix.fault import Fault, RedisKind
from faults.matrix.scene import READY, Scene
from support import cluster as clusters
from support.cluster import Cluster
from support.hotel import Hotel
from support.redis_server import RedisServer, start_redis

NAME = "matrix"
PASSWORD = "s3cret"
CREWS = Path(__file__).parents[1] / "crews"
MOUNT = "/crew-code"


class Stage:
    """As a context manager; what was made ends with it. The cluster is the run's, and goes on."""

    def __init__(self) -> None:
        self.cluster: Any = clusters.shared()
        self.folder = Path(tempfile.mkdtemp(prefix="fault-matrix-"))
        self.ledger = self.folder / "ledger"
        self.ledger.touch()  # a path that is there is meant as it stands, though the pods have a /tmp of their own
        self._kept = ExitStack()
        self._scene: tuple[str, Scene] | None = None

    def __enter__(self) -> "Stage":
        return self

    def __exit__(
        self, _type: type[BaseException] | None, _error: BaseException | None, _trace: TracebackType | None
    ) -> None:
        self.leave()
        shutil.rmtree(self.folder, ignore_errors=True)

    def scene(self, fault: Fault) -> Scene:
        """The crew for a fault; that of another kind goes, so that it takes no CPU time."""
        wanted = json.dumps([fault.redis.value, fault.spec], sort_keys=True)
        if self._scene is not None and self._scene[0] == wanted:
            return self._scene[1]
        self.leave()
        made = self._make(fault)
        self._scene = wanted, made
        return made

    def leave(self) -> None:
        """The crew that runs goes: the next fault has a new one."""
        if self._scene is not None:
            hotel = self._scene[1].hotel
            hotel.kubectl("delete", "crewdeployments", "--all", "--timeout=60s")
            self.cluster.kubectl("default")("delete", "namespace", hotel.namespace, "--wait=false")
            self._scene = None
        self._kept.close()

    def _make(self, fault: Fault) -> Scene:
        namespace = f"faults-{secrets.token_hex(3)}"
        made = {"apiVersion": "v1", "kind": "Namespace", "metadata": {"name": namespace}}
        self.cluster.kubectl("default")("apply", "-f", "-", stdin=json.dumps(made))
        hotel = Hotel(self.cluster, namespace, NAME)
        code = {path.name: path.read_text() for path in (CREWS / "ledger.py",)}
        _apply(hotel, {"kind": "ConfigMap", "metadata": {"name": "code"}, "data": code})
        external = self._external(hotel) if fault.redis is RedisKind.EXTERNAL else None
        hotel.apply(**{**self._spec(fault), **fault.spec})
        hotel.wait_ready(READY)
        return Scene(hotel, self.folder, external)

    def _spec(self, fault: Fault) -> dict[str, Any]:
        env = [{"name": "PYTHONPATH", "value": MOUNT}]
        if isinstance(self.cluster, Cluster):
            env.append({"name": "LEDGER_FILE", "value": str(self.ledger)})
        spec: dict[str, Any] = {
            "replicas": 2,
            "crew": {"image": self.cluster.image("concierge"), "entrypoint": "ledger:crew", "env": env,
                     "kickoffTimeout": "60s", "gracePeriod": "20s"},
            "memory": {"embedder": {"provider": "custom", "model": "words", "dimension": 64}},
            "template": {"volumes": [{"name": "code", "configMap": {"name": "code"}}],
                         "volumeMounts": [{"name": "code", "mountPath": MOUNT}]},
        }  # fmt: skip
        if fault.redis is RedisKind.EXTERNAL:
            spec["redis"] = {
                "managed": None,
                "external": {"urlFrom": {"secretKeyRef": {"name": "store", "key": "url"}}},
            }
        return spec

    def _external(self, hotel: Hotel) -> RedisServer:
        """A server of this machine, whose clock can be set where that is possible."""
        library, clock = faketime(), self.folder / CLOCK
        clock.write_text("+0\n")
        folder = self.folder / f"external-{secrets.token_hex(3)}"
        server = self._kept.enter_context(start_redis(folder, password=PASSWORD, aof=True))
        if library is not None:
            variables = {"LD_PRELOAD": library, "FAKETIME_TIMESTAMP_FILE": clock, "FAKETIME_NO_CACHE": 1,
                         "FAKETIME_DONT_FAKE_MONOTONIC": 1}  # fmt: skip
            server.command[:0] = ["env", *(f"{name}={value}" for name, value in variables.items())]
            server.kill()
            server.start()
        _apply(hotel, {"kind": "Secret", "metadata": {"name": "store"}, "stringData": {"url": server.url}})
        return server


def _apply(hotel: Hotel, manifest: dict[str, Any]) -> None:
    hotel.kubectl("apply", "-f", "-", stdin=json.dumps({"apiVersion": "v1", **manifest}))
