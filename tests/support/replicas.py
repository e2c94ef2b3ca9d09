"""Replicas as a pod has them, as real processes: crew-server and a worker half, over one Unix socket."""

import asyncio
import contextlib
import os
import shutil
import signal
import subprocess
import sys
import tempfile
import time
from collections.abc import AsyncIterator, Awaitable, Callable, Mapping, Sequence
from pathlib import Path
from typing import Any, TypeVar

import httpx

from crew_runtime.contract import env
from support import forkserver
from support.forkserver import Forkable, Process
from support.interpreters import crew_python
from support.ports import free_port
from support.processes import alive

SCRIPTED: Sequence[str] = (sys.executable, str(Path(__file__).with_name("scripted_worker.py")))
SERVER: Sequence[str] = (sys.executable, "-m", "crew_server")
FORKED_SERVER = Forkable(sys.executable, forkserver.SERVER)
START_TIMEOUT = 90.0
T = TypeVar("T")
Command = Sequence[str] | Forkable


def real_worker(*, fresh: bool = False) -> Command:
    """The worker half with CrewAI. `fresh`: in an interpreter of its own, for tests of what comes before the import."""
    return (crew_python(), "-m", forkserver.WORKER) if fresh else Forkable(crew_python(), forkserver.WORKER)


async def wait_until(look: Callable[[], Awaitable[T]], what: str, seconds: float = 60.0) -> T:
    """The first truthy value of `look`; fails naming `what` and the last value."""
    deadline = time.monotonic() + seconds
    while True:
        value = await look()
        if value:
            return value
        if time.monotonic() > deadline:
            raise AssertionError(f"not within {seconds:g} s: {what}; last seen: {value!r}")
        await asyncio.sleep(0.03)


def wait_for(look: Callable[[], object], what: str, seconds: float) -> None:
    """As `wait_until`, for what is no coroutine."""
    deadline = time.monotonic() + seconds
    while not look():
        if time.monotonic() > deadline:
            raise AssertionError(f"not within {seconds:g} s: {what}")
        time.sleep(0.02)


class Replica:
    """One server and its worker; each can be killed, stopped and started anew."""

    def __init__(self, redis_url: str, name: str = "r1", worker: Command = SCRIPTED, **environ: str) -> None:
        self.folder = Path(tempfile.mkdtemp(prefix="replica-"))
        self.name = name
        self.http_port, self.health_port = free_port(), free_port()
        self.environ: Mapping[str, str] = {
            **{key: value for key, value in os.environ.items() if not key.startswith(env.PREFIX)},
            env.NAMESPACE: "test",
            env.NAME: "crew",
            env.REPLICA: name,
            env.REDIS_URL: redis_url,
            env.SOCKET: str(self.folder / "worker.sock"),
            env.BIND_ADDRESS: "127.0.0.1",
            env.HTTP_PORT: str(self.http_port),
            env.HEALTH_PORT: str(self.health_port),
            env.CONCURRENCY: "2",
            "HOME": str(self.folder),
            "PYTHONUNBUFFERED": "1",
            **environ,
        }
        self.server_command: Command = SERVER
        self._worker_command = worker
        self.server: Process | None = None
        self.worker: Process | None = None
        self.api = httpx.AsyncClient(base_url=f"http://127.0.0.1:{self.http_port}", timeout=30)
        self.health = httpx.AsyncClient(base_url=f"http://127.0.0.1:{self.health_port}", timeout=10)

    def start_server(self) -> None:
        self.server = self._popen(self.server_command, "server.log")

    def start_worker(self, **environ: str) -> None:
        self.worker = self._popen(self._worker_command, "worker.log", **environ)

    async def start(self, *, worker: bool = True) -> None:
        """Ready; without a worker it runs nothing, but answers for what others run."""
        self.start_server()
        await self.listening()
        if worker:
            self.start_worker()
            await self.ready()

    async def listening(self) -> None:
        async def look() -> bool:
            assert self.server is not None
            assert self.server.poll() is None, self.log("server")
            with contextlib.suppress(httpx.TransportError):
                return (await self.health.get("/livez")).status_code == 200
            return False

        await wait_until(look, "the server listens", START_TIMEOUT)

    async def ready(self, *, wanted: bool = True, reason: str | None = None, seconds: float = START_TIMEOUT) -> Any:
        seen: dict[str, Any] = {}

        async def look() -> bool:
            seen.update((await self.health.get("/readyz")).json())
            return seen["ready"] is wanted and (reason is None or seen["reason"] == reason)

        try:
            await wait_until(look, f"ready is {wanted} {reason or ''}", seconds)
        except AssertionError as error:
            raise AssertionError(
                f"{error}: {seen}\n{self.log('server')[-3000:]}\n{self.log('worker')[-3000:]}"
            ) from None
        return seen

    async def kickoff(self, session: str | None = None, **inputs: Any) -> str:
        body = {"inputs": inputs} | ({"session_id": session} if session else {})
        answer = await self.api.post("/kickoff", json=body)
        assert answer.status_code == 200, answer.text
        return str(answer.json()["kickoff_id"])

    async def status(self, kickoff_id: str) -> dict[str, Any]:
        answer = await self.api.get(f"/status/{kickoff_id}")
        assert answer.status_code == 200, answer.text
        return dict(answer.json())

    async def ended(self, kickoff_id: str, seconds: float = 60.0) -> dict[str, Any]:
        """Its status when it has ended."""
        return await self.reaches(kickoff_id, "completed", "error", "timeout", "cancelled", seconds=seconds)

    async def reaches(self, kickoff_id: str, *statuses: str, seconds: float = 60.0) -> dict[str, Any]:
        async def look() -> dict[str, Any] | None:
            seen = await self.status(kickoff_id)
            return seen if seen["status"] in statuses else None

        try:
            seen = await wait_until(look, f"{kickoff_id} is {' or '.join(statuses)}", seconds)
        except AssertionError as error:
            raise AssertionError(f"{error}: {await self.status(kickoff_id)}") from None
        assert seen is not None
        return seen

    async def started(self, kickoff_id: str) -> int:
        """The pid of its slot."""

        async def look() -> int | None:
            for line in self.log("server").splitlines():
                if "kickoff started" in line and kickoff_id in line:
                    return int(line.split('"pid": ')[1].split(",")[0].rstrip("}"))
            return None

        pid = await wait_until(look, "the kickoff starts")
        assert pid is not None
        return pid

    async def metric(self, name: str) -> float:
        """A metric's value, summed over its labels; 0 while there is none."""
        lines = (await self.health.get("/metrics")).text.splitlines()
        return sum(float(one.rsplit(" ", 1)[1]) for one in lines if one.startswith((f"{name} ", f"{name}{{")))

    async def report(self) -> dict[str, Any]:
        return dict((await self.health.get("/report")).json())

    def log(self, which: str) -> str:
        path = self.folder / f"{which}.log"
        return path.read_text(errors="replace") if path.exists() else ""

    async def close(self) -> None:
        await self.api.aclose()
        await self.health.aclose()
        for process in (self.worker, self.server):
            if process is not None and process.poll() is None:
                process.send_signal(signal.SIGCONT)
                process.kill()
            if process is not None:
                process.wait(10)
        shutil.rmtree(self.folder, ignore_errors=True)

    def _popen(self, command: Command, log: str, **environ: str) -> Process:
        told = {**self.environ, **environ}
        with (self.folder / log).open("ab") as file:
            if isinstance(command, Forkable):
                return command.start(told, self.folder, file.fileno(), own_session=True)
            return subprocess.Popen(
                command,
                env=told,
                cwd=self.folder,
                stdin=subprocess.DEVNULL,
                stdout=file,
                stderr=subprocess.STDOUT,
                start_new_session=True,
            )


async def dead(pid: int) -> None:
    """Until a process is, which was killed: a kickoff's end may be known a moment earlier."""

    async def look() -> bool:
        return not alive(pid)

    await wait_until(look, f"process {pid} is dead")


@contextlib.asynccontextmanager
async def replica(redis_url: str, name: str = "r1", **options: Any) -> AsyncIterator[Replica]:
    """A ready replica, gone at the end."""
    one = Replica(redis_url, name, **options)
    try:
        await one.start()
        yield one
    finally:
        await one.close()
