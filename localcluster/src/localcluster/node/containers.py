"""The life of one container: start, probe, end, start again."""

import asyncio
import signal
import time
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Protocol

from localcluster.node import phases, probes
from localcluster.node.environment import ConfigError
from localcluster.node.probes import Place
from localcluster.node.processes import Command, Process, StartError

Manifest = dict[str, Any]
BACKOFF_FIRST, BACKOFF_MOST, BACKOFF_FORGET = 1.0, 60.0, 600.0
"""Seconds until the second restart, at most, and of good running after which failures are forgotten. A kubelet has
10, 300 and 600; here somebody sits and waits. The first restart is at once, as there."""
_RETRY = 1.0
"""Seconds until a missing Secret, ConfigMap or image is looked for again."""
_LOG_TAIL = 2048
"""Bytes of the log that stand in for a termination message, with FallbackToLogsOnError."""


class ImageError(Exception):
    """No image of that name is known here; kubelet's ErrImageNeverPull."""


@dataclass(frozen=True, slots=True)
class Start:
    """What a container is started as."""

    command: Command
    place: Place
    message_file: Path
    """Where its termination message is found."""


class Surroundings(Protocol):
    """What a container needs from its pod."""

    def start_of(self, spec: Manifest, restarts: int) -> Start:
        """What to start. Raises ImageError or ConfigError."""
        ...

    def argv_of(self, spec: Manifest, argv: list[str]) -> list[str]:
        """The words of an exec probe or hook, made true on this machine."""
        ...

    def changed(self) -> None:
        """A container's state is another one."""
        ...

    def tell(self, kind: str, reason: str, message: str) -> None:
        """An Event about the pod."""
        ...

    def started(self, container: str, pid: int) -> None:
        """A process was started."""
        ...

    def now(self) -> str:
        """The time, as manifests write it."""
        ...


class Container:
    """One container of a pod."""

    def __init__(self, spec: Manifest, role: str, policy: str, pod: Surroundings) -> None:
        self.spec = spec
        self.policy = "Always" if role == phases.SIDECAR else policy
        self.snapshot = phases.Snapshot(
            spec["name"], role, spec.get("image", ""), {"waiting": {"reason": "PodInitializing"}}
        )
        self.process: Process | None = None
        self.has_started = asyncio.Event()
        self._pod = pod
        self._stopping = False
        self._failures = 0
        self._began = 0.0
        self._start: Start | None = None

    # -- life

    async def run(self) -> int:
        """Run until it ends for good; the exit code."""
        while True:
            code = await self._once()
            self._write_end(code)
            if self._stopping or not self._again(code):
                return code
            await self._back_off()
            self.snapshot.restarts += 1

    def _again(self, code: int) -> bool:
        if self.snapshot.role == phases.INIT:
            return code != 0 and self.policy != "Never"
        return self.policy == "Always" or (self.policy == "OnFailure" and code != 0)

    async def _once(self) -> int:
        start = await self._prepared()
        self._start = start
        self.snapshot.identity = start.command.container
        self._began = time.monotonic()
        try:
            self.process = Process(start.command)
        except StartError as error:
            self._pod.tell("Warning", "Failed", f"Error: {error}")
            start.message_file.write_text(str(error))
            return 128
        self._pod.started(self.spec["name"], self.process.pid)
        self.snapshot.state = {"running": {"startedAt": self._pod.now()}}
        self._pod.tell("Normal", "Started", f"Container started: {self.spec['name']}")
        watching = asyncio.create_task(self._probe(start.place))
        try:
            return await self.process.wait()
        except asyncio.CancelledError:
            self.process.kill()
            raise
        finally:
            watching.cancel()
            self.snapshot.ready = self.snapshot.started = False

    async def _prepared(self) -> Start:
        """What to start, as soon as all that it needs is there."""
        told = ""
        while True:
            try:
                return self._pod.start_of(self.spec, self.snapshot.restarts)
            except ImageError as error:
                reason, message = "ErrImageNeverPull", str(error)
            except ConfigError as error:
                reason, message = "CreateContainerConfigError", str(error)
            if message != told:
                told = message
                self.snapshot.state = {"waiting": {"reason": reason, "message": message}}
                self._pod.tell("Warning", "Failed", f"Error: {message}")
                self._pod.changed()
            await asyncio.sleep(_RETRY)

    def _write_end(self, code: int) -> None:
        running = self.snapshot.state.get("running") or {}
        ended: Manifest = {
            "exitCode": code if code >= 0 else 128 - code,
            "reason": "Completed" if code == 0 else "StartError" if code == 128 else "Error",
            "startedAt": running.get("startedAt", self._pod.now()),
            "finishedAt": self._pod.now(),
            "containerID": f"local://{self.snapshot.identity}",
        }
        if code < 0:
            ended["signal"] = -code
        message = self._message(code)
        if message:
            ended["message"] = message
        if self.snapshot.state.get("terminated"):
            self.snapshot.last_state = self.snapshot.state
        self.snapshot.state = {"terminated": ended}
        self._pod.changed()

    def _message(self, code: int) -> str:
        if self._start is None:
            return ""
        path = self._start.message_file
        text = path.read_text(errors="replace")[:4096] if path.exists() else ""
        path.unlink(missing_ok=True)
        if not text and code and self.spec.get("terminationMessagePolicy") == "FallbackToLogsOnError":
            log = self._start.command.log
            text = log.read_bytes()[-_LOG_TAIL:].decode(errors="replace") if log.exists() else ""
        return text

    async def _back_off(self) -> None:
        """Wait before the next start: not at all the first time, then ever longer."""
        if time.monotonic() - self._began > BACKOFF_FORGET:
            self._failures = 0
        self.snapshot.last_state = self.snapshot.state
        delay = min(BACKOFF_MOST, BACKOFF_FIRST * 2 ** (self._failures - 1)) if self._failures else 0.0
        self._failures += 1
        if delay:
            name = self.spec["name"]
            message = f"back-off {delay:g}s restarting failed container={name}"
            self.snapshot.state = {"waiting": {"reason": "CrashLoopBackOff", "message": message}}
            self._pod.tell("Warning", "BackOff", f"Back-off restarting failed container {name}")
            self._pod.changed()
            await asyncio.sleep(delay)

    # -- end

    async def stop(self, grace: float) -> None:
        """SIGTERM, and SIGKILL after `grace` seconds. It is not started again."""
        self._stopping = True
        if self.process is None or self.process.code is not None or self._start is None:
            return
        ends = time.monotonic() + grace
        hook = (self.spec.get("lifecycle") or {}).get("preStop")
        if hook and grace:
            await self._hook(hook, self._start.place, grace)
        self.process.signal(signal.SIGTERM)
        try:
            async with asyncio.timeout(max(0.0, ends - time.monotonic())):
                await self.process.wait()
        except TimeoutError:
            self.process.kill()
            await self.process.wait()

    async def _hook(self, hook: Manifest, place: Place, grace: float) -> None:
        if "sleep" in hook:
            await asyncio.sleep(min(grace, hook["sleep"].get("seconds", 0)))
            return
        argv = self._pod.argv_of(self.spec, (hook.get("exec") or {}).get("command") or [])
        answer = await probes.ask({**hook, "timeoutSeconds": grace}, place, argv)
        if not answer.ok:
            self._pod.tell("Warning", "FailedPreStopHook", f"PreStopHook failed: {answer.message}")

    def kill(self) -> None:
        """End it at once."""
        self._stopping = True
        if self.process is not None:
            self.process.kill()

    # -- probes

    async def _probe(self, place: Place) -> None:
        startup = self.spec.get("startupProbe")
        if startup and not await self._passes_startup(startup, place):
            return
        self.snapshot.started = True
        self.snapshot.ready = "readinessProbe" not in self.spec
        self.has_started.set()
        self._pod.changed()
        async with asyncio.TaskGroup() as group:
            if "readinessProbe" in self.spec:
                group.create_task(self._readiness(self.spec["readinessProbe"], place))
            if "livenessProbe" in self.spec:
                group.create_task(self._liveness(self.spec["livenessProbe"], place))

    async def _passes_startup(self, probe: Manifest, place: Place) -> bool:
        counted = probes.count(probe, holds=False)
        await asyncio.sleep(probe.get("initialDelaySeconds", 0))
        while True:
            answer = await self._ask(probe, place)
            if counted.add(answer.ok):
                if answer.ok:
                    return True
                await self._unhealthy("Startup", answer.message)
                return False
            await asyncio.sleep(probe.get("periodSeconds", 10))

    async def _readiness(self, probe: Manifest, place: Place) -> None:
        counted = probes.count(probe, holds=False)
        await asyncio.sleep(probe.get("initialDelaySeconds", 0))
        loop = asyncio.get_running_loop()
        while True:
            due = loop.time() + probe.get("periodSeconds", 10)  # from question to question, as the kubelet does
            answer = await self._ask(probe, place)
            if counted.add(answer.ok):
                if not answer.ok:
                    self._pod.tell("Warning", "Unhealthy", f"Readiness probe failed: {answer.message}")
                if self.snapshot.ready != counted.value:
                    self.snapshot.ready = counted.value
                    self._pod.changed()
            await asyncio.sleep(max(0.0, due - loop.time()))

    async def _liveness(self, probe: Manifest, place: Place) -> None:
        counted = probes.count(probe, holds=True)
        await asyncio.sleep(probe.get("initialDelaySeconds", 0))
        while True:
            answer = await self._ask(probe, place)
            if counted.add(answer.ok) and not answer.ok:
                await self._unhealthy("Liveness", answer.message)
                return
            await asyncio.sleep(probe.get("periodSeconds", 10))

    async def _ask(self, probe: Manifest, place: Place) -> probes.Answer:
        command = (probe.get("exec") or {}).get("command") or []
        return await probes.ask(probe, place, self._pod.argv_of(self.spec, command))

    async def _unhealthy(self, kind: str, message: str) -> None:
        """End the process because a probe says so; `run` starts it again."""
        self._pod.tell("Warning", "Unhealthy", f"{kind} probe failed: {message}")
        self._pod.tell(
            "Normal", "Killing", f"Container {self.spec['name']} failed {kind.lower()} probe, will be restarted"
        )
        if self.process is not None:
            self.process.signal(signal.SIGTERM)
            await asyncio.sleep(self.spec.get("terminationGracePeriodSeconds", 30))
            self.process.kill()
