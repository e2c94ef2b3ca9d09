"""The life of one pod: volumes, init containers, sidecars, main containers, and the orderly end."""

import asyncio
import contextlib
import logging
import time
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from localcluster import private
from localcluster.client import Client
from localcluster.node import environment, images, phases, processes, translate, volumes
from localcluster.node.containers import Container, ImageError, Start
from localcluster.node.environment import ConfigError
from localcluster.node.probes import Place
from localcluster.node.processes import CLUSTER, Command
from localcluster.node.proxy import Proxies
from localcluster.node.translate import Mount

_log = logging.getLogger(__name__)
Manifest = dict[str, Any]
_RETRY = 1.0


@dataclass(frozen=True, slots=True)
class Folders:
    """Where a node keeps things."""

    cluster: str
    """Id in every process' environment."""
    run: Path
    """Short paths, gone with the cluster: pods' own volumes, so that a Unix socket's path fits into its 108 bytes."""
    logs: Path
    claims: Path
    """Folders of persistent volumes."""
    host_ip: str


def pid_file(run: Path, namespace: str, pod: str, container: str) -> Path:
    """Where a container's main process is noted."""
    return run / "pids" / namespace / pod / container


class Pod:
    """A pod on this node."""

    def __init__(
        self, manifest: Manifest, address: str, place: Folders, client: Client, known: images.Images, proxies: Proxies
    ) -> None:
        self.manifest = manifest
        self.address = address
        self._place = place
        self._client = client
        self._images = known
        self._proxies = proxies
        self.folder = place.run / manifest["metadata"]["uid"][:8]
        self._folders: dict[str, Path] = {}
        self._began = client.now()
        self._grace: float | None = None
        self._publishing: asyncio.Handle | None = None
        policy = manifest["spec"].get("restartPolicy", "Always")
        self.containers = [
            Container(spec, phases.role(spec, init=group == "initContainers"), policy, self)
            for group in ("initContainers", "containers")
            for spec in manifest["spec"].get(group) or ()
        ]
        self._runs: dict[str, asyncio.Task[int]] = {}
        self._life: asyncio.Task[None] | None = None
        self._end: asyncio.Task[None] | None = None

    # -- what the agent asks for

    def begin(self) -> None:
        """Start to live."""
        self._life = asyncio.create_task(self._live())
        self.changed()

    def update(self, manifest: Manifest) -> None:
        """The manifest is another one; only a wish to end it means something."""
        self.manifest = manifest
        if manifest["metadata"].get("deletionTimestamp"):
            self.end(float(manifest["metadata"].get("deletionGracePeriodSeconds") or 0))

    def end(self, grace: float) -> None:
        """Stop within `grace` seconds, or at once when told again with less."""
        if self._end is None:
            self._grace = grace
            self._end = asyncio.create_task(self._stop(grace))
        elif grace == 0 and self._grace:
            self._grace = 0
            self.kill()

    def kill(self) -> None:
        """End every process at once."""
        for one in self.containers:
            one.kill()

    async def gone(self) -> None:
        """Wait until it has ended."""
        if self._end is not None:
            await self._end

    def refresh(self) -> None:
        """A Secret or ConfigMap has changed: write the volumes anew."""
        if self._folders:
            with contextlib.suppress(ConfigError):  # it was deleted: the files stay, as on any node
                volumes.prepare(self.manifest, self.folder / "v", self._place.claims, self._lookup)

    def log_file(self, container: str, restarts: int) -> Path:
        """Where a container's output is."""
        metadata = self.manifest["metadata"]
        return (
            self._place.logs
            / f"{metadata['namespace']}_{metadata['name']}_{metadata['uid'][:8]}"
            / container
            / f"{restarts}.log"
        )

    # -- life

    async def _live(self) -> None:
        await self._prepare()
        for one in (container for container in self.containers if container.snapshot.role != phases.MAIN):
            task = self._run(one)
            if one.snapshot.role == phases.INIT:
                await asyncio.wait((task,))
                if task.result() != 0:
                    self.changed()
                    return  # the pod has failed
            else:
                started = asyncio.create_task(one.has_started.wait())
                await asyncio.wait((started, task), return_when=asyncio.FIRST_COMPLETED)
                started.cancel()
        main = [self._run(one) for one in self.containers if one.snapshot.role == phases.MAIN]
        self.changed()
        # waited for, not gathered: this task is cancelled when the pod is deleted, its containers are asked to end
        await asyncio.wait(main)
        await self._stop_sidecars(time.monotonic() + self._default_grace())
        self.changed()

    def _run(self, one: Container) -> asyncio.Task[int]:
        task = asyncio.create_task(one.run())
        self._runs[one.spec["name"]] = task
        return task

    async def _prepare(self) -> None:
        told = ""
        while True:
            try:
                self._folders = volumes.prepare(self.manifest, self.folder / "v", self._place.claims, self._lookup)
            except (ConfigError, OSError) as error:
                if str(error) != told:
                    told = str(error)
                    self.tell("Warning", "FailedMount", f"MountVolume.SetUp failed: {error}")
                    for one in self.containers:
                        one.snapshot.state = {"waiting": {"reason": "ContainerCreating", "message": told}}
                    self.changed()
                await asyncio.sleep(_RETRY)
            else:
                return

    def _default_grace(self) -> float:
        return float(self.manifest["spec"].get("terminationGracePeriodSeconds", 30))

    async def _stop(self, grace: float) -> None:
        """Main containers first, then the sidecars in reverse, all within the grace period."""
        ends = time.monotonic() + grace
        if self._life is not None:
            self._life.cancel()
        main = [one for one in self.containers if one.snapshot.role != phases.SIDECAR]
        for one in main:
            if one.process is not None and one.process.code is None:
                self.tell("Normal", "Killing", f"Stopping container {one.spec['name']}")
        await asyncio.gather(*(one.stop(grace) for one in main))
        await self._stop_sidecars(ends)
        for task in self._runs.values():
            task.cancel()
        await asyncio.gather(*self._runs.values(), return_exceptions=True)
        self._publish()
        metadata = self.manifest["metadata"]
        volumes.remove([self.folder, self._place.run / "pids" / metadata["namespace"] / metadata["name"]])

    async def _stop_sidecars(self, ends: float) -> None:
        for one in reversed(self.containers):
            if one.snapshot.role == phases.SIDECAR:
                await one.stop(max(0.0, ends - time.monotonic()))

    # -- what containers need

    def _lookup(self, plural: str, name: str) -> Manifest | None:
        return self._client.get(plural, self.manifest["metadata"]["namespace"], name)

    def start_of(self, spec: Manifest, restarts: int) -> Start:
        """What to start for a container."""
        image = self._image(spec)
        folder = self.folder / "c" / spec["name"]
        folder.mkdir(parents=True, exist_ok=True)
        message = folder / "termination-log"
        mounts = [*self._mounts(spec, message), *(Mount(path, place) for path, place in image.folders.items())]
        env = self._environment(spec, image, mounts)
        argv = image.argv(spec.get("command") or (), spec.get("args") or (), self.address)
        argv = [self._true(translate.expand(word, env), mounts) for word in argv]
        cwd = spec.get("workingDir") or image.workdir or str(folder)
        if spec.get("workingDir"):
            cwd = self._true(cwd, mounts)
        uid = self.manifest["metadata"]["uid"]
        command = Command(argv, env, cwd, self.log_file(spec["name"], restarts), f"{uid}/{spec['name']}/{restarts}")
        every = (*(self.manifest["spec"].get("initContainers") or ()), *self.manifest["spec"]["containers"])
        ports = {
            port["name"]: port["containerPort"] for one in every for port in one.get("ports") or () if "name" in port
        }
        return Start(command, Place(self.address, ports, env, cwd), message)

    def _image(self, spec: Manifest) -> images.Image:
        found = self._images.find(spec["image"])
        if found is None:
            raise ImageError(
                f'Container image "{spec["image"]}" is not present: the local cluster pulls none; '
                f"run 'crewctl up --image {spec['image']}=DIR' with the folder of its code"
            )
        return found

    def _mounts(self, spec: Manifest, message: Path) -> list[Mount]:
        return [
            *volumes.mounts(spec, self._folders),
            Mount(spec.get("terminationMessagePath") or "/dev/termination-log", message),
        ]

    def _environment(self, spec: Manifest, image: images.Image, mounts: list[Mount]) -> dict[str, str]:
        metadata = self.manifest["metadata"]
        base = image.variables(self.address, metadata["name"])
        if self.manifest["spec"].get("enableServiceLinks", True):
            base |= environment.of_services(self._client.select("services", metadata["namespace"]))
        with_address = {**self.manifest, "status": {"podIP": self.address, "hostIP": self._place.host_ip}}
        env = environment.of(spec, with_address, self._lookup, base)
        # only what the manifest says is in the container's words; the image's is this machine's already
        env = {key: value if base.get(key) == value else self._true(value, mounts) for key, value in env.items()}
        temporary = next((mount for mount in mounts if mount.path.rstrip("/") == "/tmp"), None)  # noqa: S108
        if temporary is not None:
            env.setdefault("TMPDIR", str(temporary.target))
        env[CLUSTER] = self._place.cluster
        return env

    def _true(self, text: str, mounts: list[Mount]) -> str:
        named = translate.names(text, self._proxies.address_of)
        return translate.paths(named, mounts, lambda path: Path(path).exists())

    def argv_of(self, spec: Manifest, argv: list[str]) -> list[str]:
        """The words of an exec probe or hook."""
        if not argv:
            return []
        mounts = volumes.mounts(spec, self._folders)
        return [self._true(word, mounts) for word in argv]

    def tell(self, kind: str, reason: str, message: str) -> None:
        """An Event about this pod."""
        self._client.event(self.manifest, kind, reason, message)

    def started(self, container: str, pid: int) -> None:
        """Note a process: its session for the reaper (some programs overwrite their environment), its pid for users."""
        found = processes.stat(pid)
        if found is not None:
            with (self._place.run / "sessions").open("a") as file:
                file.write(f"{pid} {found.started}\n")
        metadata = self.manifest["metadata"]
        noted = pid_file(self._place.run, metadata["namespace"], metadata["name"], container)
        noted.parent.mkdir(parents=True, exist_ok=True)
        private.write(noted, str(pid))

    def now(self) -> str:
        """The time."""
        return self._client.now()

    def changed(self) -> None:
        """Publish the status once this turn of the loop is over."""
        if self._publishing is None:
            self._publishing = asyncio.get_running_loop().call_soon(self._publish)

    def _publish(self) -> None:
        self._publishing = None
        metadata = self.manifest["metadata"]
        live = self._client.get("pods", metadata["namespace"], metadata["name"])
        if live is None or live["metadata"]["uid"] != metadata["uid"]:
            return
        facts = phases.Facts(self.address, self._place.host_ip, self._began)
        status = phases.status(live, [one.snapshot for one in self.containers], facts, self._client.now())
        self._client.replace_status("pods", live, status)

    def pids(self, container: str = "") -> list[int]:
        """The main processes of its containers, or of one, that run now."""
        return [
            one.process.pid
            for one in self.containers
            if one.process is not None and one.process.code is None and container in ("", one.spec["name"])
        ]
