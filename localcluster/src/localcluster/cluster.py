"""The local cluster: API server, controllers, node and operator, started in order, each proved by a real request.

async with Cluster(folder) as cluster:
    cluster.kubeconfig
"""

import asyncio
import logging
import os
import secrets
import subprocess
import sys
import tempfile
import time
from collections.abc import Coroutine, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from types import TracebackType
from typing import Any, Self

import httpx

from crew_injection import payload
from crew_operator.api import crd
from localcluster import components, private
from localcluster.apiserver import ApiServer
from localcluster.client import Client
from localcluster.controllers.manager import Manager
from localcluster.errors import ClusterError
from localcluster.node import addresses, images
from localcluster.node.agent import Agent
from localcluster.node.images import Image, Images
from localcluster.node.pods import Folders
from localcluster.node.processes import CLUSTER, Command, Process, stat
from localcluster.state import Handle

_log = logging.getLogger(__name__)
_READY_SECONDS = 60.0
_RESTART_SECONDS = 1.0
"""Between an end of the operator and its next start."""


def default_images(folder: Path) -> list[Image]:
    """The images that every cluster knows: the runtime, whose payload is made in `folder`, and redis."""
    from crew_programs.redis_binary import find_redis

    made = folder / "payload"
    payload.build(made, Path("/bin/sh"))
    server = find_redis(with_search=True)
    return [
        images.runtime(images.crew_python(), made),
        images.redis(Path(server.path), [Path(one) for one in server.modules]),
    ]


@dataclass(frozen=True, slots=True)
class Options:
    """How a cluster is meant."""

    folder: Path
    images: Sequence[Image] = ()
    """Before the default ones."""
    fallback: Image | None = None
    """What unknown images run as."""
    with_operator: bool = True
    with_defaults: bool = True
    """Know the runtime's and redis' images."""
    port: int = 0
    """Of the API server; 0: any free one."""


@dataclass
class Cluster:
    """A cluster in this event loop; its pods are processes of their own."""

    options: Options
    identity: str = field(default_factory=lambda: secrets.token_hex(8))

    async def __aenter__(self) -> Self:
        """Start everything. Raises ClusterError when a part does not come up."""
        folder = self.options.folder.resolve()
        for name in ("logs", "volumes"):
            private.folder(folder / name)
        self.folder = folder
        self.run = Path(tempfile.mkdtemp(prefix="crewctl-"))
        self._reaper = self._start_reaper()
        self._tasks: list[asyncio.Task[Any]] = []
        self._operator: Process | None = None
        self.network = addresses.claim()
        self.server = ApiServer(port=self.options.port, service_cidr=self.network.service_cidr)
        try:
            await self._start()
        except BaseException:
            await self._stop()
            raise
        return self

    async def _start(self) -> None:
        await self.server.__aenter__()
        self.kubeconfig = self.server.kubeconfig(self.folder / "kubeconfig")
        defaults = await asyncio.to_thread(default_images, self.run) if self.options.with_defaults else []
        known = [*self.options.images, *defaults]
        self.images = Images(known, self.options.fallback)
        place = Folders(self.identity, self.run, self.folder / "logs", self.folder / "volumes", self.network.node)
        registry = self.server.registry
        self.agent = Agent(Client(registry, "kubelet"), self.network, place, self.images)
        self.server.serve_logs(self.agent)
        manager = Manager(Client(registry, "kube-controller-manager"), self.folder / "volumes")
        self._spawn("controllers", manager.run())
        self._node = self._spawn("node", self.agent.run())
        if self.options.with_operator:
            Client(registry, "crewctl").create("customresourcedefinitions", "", crd.manifest())
            self._spawn("operator", self._keep_operator())
        await self._wait_ready()

    def _spawn(self, name: str, work: Coroutine[Any, Any, None]) -> asyncio.Task[None]:
        task = asyncio.create_task(work, name=name)
        self._tasks.append(task)
        return task

    async def _keep_operator(self) -> None:
        """Run the operator, and run it again when it ends."""
        component = components.operator(self.kubeconfig, self.network.node)
        env = {**os.environ, **component.env, CLUSTER: self.identity}
        log = self.folder / "logs" / "operator.log"
        while True:
            self._operator = Process(Command(component.argv, env, str(self.folder), log, f"{self.identity}/operator"))
            code = await self._operator.wait()
            _log.warning("the operator ended with %s and is started again; see %s", code, log)
            await asyncio.sleep(_RESTART_SECONDS)

    async def _wait_ready(self) -> None:
        """Ask the API server, and the operator, as their users would."""
        ends = time.monotonic() + _READY_SECONDS
        urls = [f"{self.server.url}/readyz"]
        if self.options.with_operator:
            urls.append(f"http://{self.network.node}:{components.HEALTH_PORT}/readyz")
        async with httpx.AsyncClient(timeout=2, trust_env=False) as http:
            for url in urls:
                while not await _answers(http, url):
                    self._check_tasks()
                    if time.monotonic() > ends:
                        raise ClusterError(f"{url} did not answer within {_READY_SECONDS:g} s; see {self.folder}/logs")
                    await asyncio.sleep(0.1)

    def _check_tasks(self) -> None:
        for task in self._tasks:
            if task.done():
                task.result()
                raise ClusterError(f"the {task.get_name()} ended; see {self.folder}/logs")

    async def wait(self) -> None:
        """Until a part of the cluster ends by itself, which is an error. Raises what ended it."""
        await asyncio.wait(self._tasks, return_when=asyncio.FIRST_COMPLETED)
        self._check_tasks()

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        """End everything."""
        await self._stop()

    async def _stop(self) -> None:
        for task in self._tasks:
            task.cancel()
        await asyncio.gather(*self._tasks, return_exceptions=True)
        if self._operator is not None and self._operator.code is None:
            self._operator.kill()
            await self._operator.wait()
        await self.server.__aexit__(None, None, None)
        self.network.close()
        assert self._reaper.stdin is not None  # noqa: S101 - it was started with a pipe
        self._reaper.stdin.close()
        await asyncio.to_thread(self._reaper.wait)

    def _start_reaper(self) -> subprocess.Popen[bytes]:
        argv = [sys.executable, "-m", "localcluster.node.reaper", self.identity, str(self.run)]
        return subprocess.Popen(argv, stdin=subprocess.PIPE, start_new_session=True)

    # -- for users

    def handle(self) -> Handle:
        """What others need to find this cluster."""
        own = stat(os.getpid())
        started = own.started if own else ""
        return Handle(
            str(self.folder), self.identity, os.getpid(), started, str(self.run), self.server.url, self.network.node
        )

    def pod_processes(self, namespace: str, pod: str, container: str = "") -> Sequence[int]:
        """Main processes of a pod's containers that run now, or of one container."""
        found = self.agent.find(namespace, pod)
        return found.pids(container) if found is not None else []


async def _answers(http: httpx.AsyncClient, url: str) -> bool:
    try:
        return (await http.get(url)).is_success
    except httpx.HTTPError:
        return False
