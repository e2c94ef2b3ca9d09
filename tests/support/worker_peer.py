"""A server half for tests of the worker half: a real Unix socket, real frames, and nothing behind them.

async with WorkerPeer(tmp_path) as peer:
    peer.start_worker(entrypoint="support.crews.plain:crew")
    await peer.phase("ready")
    slot = await peer.fork()
    answer = await slot.run({"message": "hi"})
"""

import asyncio
import contextlib
import os
import secrets
import signal
import subprocess
import sys
import time
from collections.abc import AsyncIterator, Callable
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from crew_runtime.contract import PROTOCOL, env, frames
from support import forkserver

REPOSITORY = Path(__file__).parents[2]
START = 60.0
"""Seconds for a worker to import CrewAI and the crew, on a busy machine."""
SOON = 15.0


class GoneError(Exception):
    """The connection ended, or never came."""


@dataclass
class Line:
    """One connection of a worker process."""

    reader: asyncio.StreamReader
    writer: asyncio.StreamWriter
    hello: frames.Frame
    seen: list[frames.Frame] = field(default_factory=list)
    news: asyncio.Condition = field(default_factory=asyncio.Condition)
    ended: bool = False

    async def read(self, incoming: AsyncIterator[frames.Frame]) -> None:
        """Collect all frames until the end."""
        with contextlib.suppress(OSError):
            async for frame in incoming:
                async with self.news:
                    self.seen.append({**frame, "_at": time.monotonic()})
                    self.news.notify_all()
        async with self.news:
            self.ended = True
            self.news.notify_all()

    def send(self, type_: str, /, **fields: Any) -> None:
        """One frame to the worker."""
        self.writer.write(frames.encode(type_, **fields))

    async def expect(
        self, *types: str, where: Callable[[frames.Frame], bool] = lambda _: True, since: int = 0, timeout: float = SOON
    ) -> frames.Frame:
        """The first frame of one of these types, from the `since`-th on. Raises GoneError when the end comes first."""

        def found() -> frames.Frame | None:
            return next((one for one in self.seen[since:] if one["t"] in types and where(one)), None)

        async with self.news:
            async with asyncio.timeout(timeout):
                await self.news.wait_for(lambda: found() is not None or self.ended)
        if (one := found()) is None:
            raise GoneError(f"no {types} before the end of {self.hello}; seen {[one['t'] for one in self.seen]}")
        return one

    async def wait_ended(self, timeout: float = SOON) -> None:
        """Until the worker's process has closed its end."""
        async with self.news, asyncio.timeout(timeout):
            await self.news.wait_for(lambda: self.ended)

    def of(self, type_: str) -> list[frames.Frame]:
        """All frames of a type so far."""
        return [one for one in self.seen if one["t"] == type_]


@dataclass
class Slot:
    """A forked child, as the server sees it."""

    peer: "WorkerPeer"
    line: Line
    pid: int
    token: str
    mark: int = 0
    kickoff_id: str = ""

    def kick_off(
        self, inputs: dict[str, Any] | None = None, *, name: str = "", session: str = "s1", deadline: float = 60
    ) -> None:
        """Send a `run` and do not wait."""
        self.mark = len(self.line.seen)
        self.kickoff_id = name or secrets.token_hex(4)
        self.line.send(
            frames.RUN,
            id=self.kickoff_id,
            inputs=inputs or {},
            session=session,
            attempt=1,
            deadline=deadline,
        )

    async def answer(self, timeout: float = SOON) -> frames.Frame:
        """The result or error of the last `run`; the slot hears that it is stored."""
        found = await self.line.expect(frames.RESULT, frames.ERROR, since=self.mark, timeout=timeout)
        self.stored()
        return found

    def stored(self, *, quick: bool = False) -> None:
        """Say that its answer is where it has to be."""
        self.line.send(frames.STORED, id=self.kickoff_id, quick=quick)

    async def idle(self, timeout: float = SOON) -> frames.Frame:
        """What it says after that."""
        return await self.line.expect(frames.IDLE, since=self.mark, timeout=timeout)

    async def run(self, inputs: dict[str, Any] | None = None, **options: Any) -> frames.Frame:
        """Kick off and wait for the answer."""
        self.kick_off(inputs, **options)
        return await self.answer()

    def kill(self) -> None:
        """Have the zygote kill it."""
        self.peer.zygote.send(frames.KILL, pid=self.pid)

    async def exited(self, timeout: float = SOON) -> frames.Frame:
        """What the zygote says of its end."""
        return await self.peer.zygote.expect(frames.EXITED, where=lambda one: one["pid"] == self.pid, timeout=timeout)


class WorkerPeer:
    """Listens where a worker connects; starts and ends one."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        # A socket's path is limited to 108 bytes, and pytest's folders are long.
        self.socket = Path(f"/tmp/crewops-{os.getpid()}-{secrets.token_hex(4)}.sock")
        self.process: forkserver.Process | None = None
        self.log = folder / "worker.log"
        self._lines: dict[str, asyncio.Future[Line]] = {}
        self._writers: set[asyncio.StreamWriter] = set()
        self._server: asyncio.Server | None = None
        self._zygotes: list[Line] = []

    async def __aenter__(self) -> "WorkerPeer":
        await self.listen()
        return self

    async def __aexit__(self, *_: object) -> None:
        if self.process is not None and self.process.poll() is None:
            with contextlib.suppress(ProcessLookupError):
                os.kill(self.process.pid, signal.SIGCONT)
                self.process.kill()
            await asyncio.to_thread(self.process.wait)
        await self.close()

    async def listen(self) -> None:
        """Take the socket."""
        self._server = await asyncio.start_unix_server(self._serve, path=str(self.socket))

    async def close(self) -> None:
        """Drop the socket and every connection, as a server that dies would."""
        if self._server is not None:
            self._server.close()
            self._server = None
        self.socket.unlink(missing_ok=True)
        for writer in list(self._writers):
            writer.transport.abort()
        while self._writers:
            await asyncio.sleep(0.005)

    def start_worker(self, entrypoint: str = "", *, fresh: bool = False, **environ: str) -> forkserver.Process:
        """Run `crew_runtime.worker` with a clean environment, forked from a process that has imported CrewAI.

        `fresh`: in an interpreter of its own, as in a pod, for tests of what comes before that import or with it.
        """
        home = self.folder / "home"
        home.mkdir(exist_ok=True)
        told = {
            "PATH": os.environ["PATH"],
            "PYTHONDONTWRITEBYTECODE": "1",
            "PYTHONPATH": os.pathsep.join([str(REPOSITORY / "tests"), os.environ.get("PYTHONPATH", "")]).rstrip(
                os.pathsep
            ),
            "HOME": str(home),
            "CREWAI_STORAGE_DIR": str(home / "crewai"),
            env.SOCKET: str(self.socket),
            env.ENTRYPOINT: entrypoint,
            env.NAMESPACE: "default",
            env.NAME: "test",
            env.REPLICA: "test-0",
            **environ,
        }
        told = {key: value for key, value in told.items() if value}
        with self.log.open("ab") as log:
            if fresh:
                command = [sys.executable, "-m", forkserver.WORKER]
                self.process = subprocess.Popen(
                    command, env=told, cwd=self.folder, stdin=subprocess.DEVNULL, stdout=log, stderr=log
                )
            else:
                worker = forkserver.Forkable(sys.executable, forkserver.WORKER)
                self.process = worker.start(told, self.folder, log.fileno())
        return self.process

    @property
    def zygote(self) -> Line:
        """The last zygote that connected."""
        return self._zygotes[-1]

    async def connected(self, count: int = 1, timeout: float = START) -> Line:
        """Wait for the `count`-th connection of a zygote."""
        async with asyncio.timeout(timeout):
            while len(self._zygotes) < count:
                if self.process is not None and self.process.poll() is not None:
                    raise GoneError(f"the worker ended with {self.process.returncode}: {self.log.read_text()[-2000:]}")
                await asyncio.sleep(0.01)
        return self._zygotes[count - 1]

    async def phase(self, *names: str, timeout: float = START) -> frames.Frame:
        """Wait for a phase of the zygote; a worker that failed instead fails the test with its message."""
        await self.connected(timeout=timeout)
        told = await self.zygote.expect(
            frames.PHASE, where=lambda one: one["phase"] in (*names, "failed"), timeout=timeout
        )
        if told["phase"] not in names:
            raise AssertionError(f"the worker failed: {told.get('reason')}: {told.get('message')}")
        return told

    async def fork(self, role: str = "slot", timeout: float = START) -> Slot:
        """Ask for a child and wait until it is warm."""
        token = secrets.token_hex(8)
        self._lines[token] = asyncio.get_running_loop().create_future()
        self.zygote.send(frames.FORK, token=token, role=role)
        forked = await self.zygote.expect(frames.FORKED, where=lambda one: one["token"] == token, timeout=timeout)
        async with asyncio.timeout(timeout):
            line = await self._lines[token]
        await line.expect(frames.READY, timeout=timeout)
        return Slot(self, line, forked["pid"], token)

    async def logged(self, text: str, timeout: float = SOON) -> str:
        """Wait for a line of the worker's log that holds `text`."""
        async with asyncio.timeout(timeout):
            while True:
                found = next((line for line in self.log.read_text().splitlines() if text in line), None)
                if found is not None:
                    return found
                await asyncio.sleep(0.01)

    async def ended(self, timeout: float = SOON) -> int:
        """The zygote's exit code."""
        assert self.process is not None
        async with asyncio.timeout(timeout):
            while (code := self.process.poll()) is None:
                await asyncio.sleep(0.01)
        return code

    async def _serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        self._writers.add(writer)
        try:
            incoming = _frames(reader)
            hello = await anext(incoming)
            assert hello["t"] == frames.HELLO, hello
            assert hello["protocol"] == PROTOCOL, hello
            line = Line(reader, writer, hello)
            if hello["role"] == "zygote":
                self._zygotes.append(line)
            else:
                self._lines[hello["token"]].set_result(line)
            await line.read(incoming)
        finally:
            self._writers.discard(writer)
            writer.transport.abort()


async def _frames(reader: asyncio.StreamReader) -> AsyncIterator[frames.Frame]:
    decoder = frames.Decoder()
    while data := await reader.read(1 << 16):
        for frame in decoder.feed(data):
            yield frame
