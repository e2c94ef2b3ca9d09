"""The embedded API server as one thing to start and stop.

async with ApiServer() as server:
    server.kubeconfig(path)
"""

import asyncio
import contextlib
import secrets
import socket
from collections import Counter
from collections.abc import Callable, Generator
from datetime import datetime
from pathlib import Path
from types import TracebackType
from typing import Any, Self

import uvicorn
import yaml

from localcluster import private
from localcluster.apiserver.gc import Collector
from localcluster.apiserver.registry import Options, Registry, utc_now
from localcluster.apiserver.routes import LogSource, Routes
from localcluster.apiserver.store import Store

_OURS = Options(manager="crewctl")
_WRITES = ("create", "update", "patch", "apply", "delete", "deletecollection")


class _Uvicorn(uvicorn.Server):
    """Uvicorn within a program that has its own signals."""

    @contextlib.contextmanager
    def capture_signals(self) -> Generator[None, None, None]:
        yield


class ApiServer:
    """A Kubernetes API on 127.0.0.1, in this event loop. What it stores lives as long as it does."""

    def __init__(
        self, *, port: int = 0, service_cidr: str = "10.96.0.0/16", clock: Callable[[], datetime] = utc_now
    ) -> None:
        self.store = Store()
        self.registry = Registry(self.store, service_cidr=service_cidr, clock=clock)
        self._token = secrets.token_hex(16)
        self._routes = Routes(self.registry, self._token)
        self._port = port
        self._server: _Uvicorn | None = None
        self._tasks: list[asyncio.Task[Any]] = []

    @property
    def url(self) -> str:
        """Where it answers. The path holds the secret that admits a client: kubectl sends no token over plain HTTP."""
        return f"http://127.0.0.1:{self._port}/{self._token}"

    @property
    def requests(self) -> Counter[tuple[str, str]]:
        """Requests so far by (verb, plural); `apply` is a verb of its own, subresources are `plural/name`."""
        return self._routes.requests

    @property
    def requests_by_verb(self) -> Counter[str]:
        """Requests so far by verb."""
        counted: Counter[str] = Counter()
        for (verb, _), number in self.requests.items():
            counted[verb] += number
        return counted

    @property
    def writes(self) -> int:
        """Requests so far that asked for a change."""
        return sum(number for (verb, _), number in self.requests.items() if verb in _WRITES)

    def serve_logs(self, source: LogSource) -> None:
        """Answer `kubectl logs` from this source."""
        self._routes.logs = source

    def kubeconfig(self, path: Path, namespace: str = "default") -> Path:
        """Write a kubeconfig for this server, readable by its owner only."""
        config = {
            "apiVersion": "v1",
            "kind": "Config",
            "clusters": [{"name": "crewctl", "cluster": {"server": self.url}}],
            "users": [{"name": "crewctl", "user": {"token": self._token}}],
            "contexts": [
                {"name": "crewctl", "context": {"cluster": "crewctl", "user": "crewctl", "namespace": namespace}}
            ],
            "current-context": "crewctl",
        }
        path.parent.mkdir(parents=True, exist_ok=True)
        private.write(path, yaml.safe_dump(config, sort_keys=False))
        return path

    async def __aenter__(self) -> Self:
        """Start to listen."""
        listener = socket.create_server(("127.0.0.1", self._port))
        # asyncio sets it only on sockets that name their protocol; without it an answer waits 40 ms for an ACK
        listener.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        self._port = listener.getsockname()[1]
        config = uvicorn.Config(
            self._routes,
            loop="none",
            ws="none",
            lifespan="off",
            log_config=None,
            access_log=False,
            server_header=False,
            timeout_graceful_shutdown=1,
            timeout_keep_alive=75,
        )
        self._server = _Uvicorn(config)
        self._seed()
        self._tasks = [
            asyncio.create_task(self._server.serve(sockets=[listener]), name="apiserver"),
            asyncio.create_task(Collector(self.registry).run(), name="garbage-collector"),
        ]
        while not self._server.started:
            await asyncio.sleep(0.005)
            if self._tasks[0].done():
                self._tasks[0].result()
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        """End the watches and stop."""
        self.store.close()
        if self._server is not None:
            self._server.should_exit = True
        await asyncio.gather(*self._tasks)

    def _seed(self) -> None:
        """What a fresh cluster has."""
        namespaces = self.registry.resource("", "namespaces")
        accounts = self.registry.resource("", "serviceaccounts")
        for name in ("default", "kube-system"):
            self.registry.create(namespaces, "", {"metadata": {"name": name}}, _OURS)
            self.registry.create(accounts, name, {"metadata": {"name": "default"}}, _OURS)
        storage = self.registry.resource("storage.k8s.io", "storageclasses")
        self.registry.create(
            storage,
            "",
            {
                "metadata": {
                    "name": "local",
                    "annotations": {"storageclass.kubernetes.io/is-default-class": "true"},
                },
                "provisioner": "crewops.dev/local",
                "allowVolumeExpansion": True,
            },
            _OURS,
        )
