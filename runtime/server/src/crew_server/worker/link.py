"""The Unix socket to the worker half.

In: connections of the zygote and of its children, told apart by their hello. Out: what the zygote says of itself
(`phase`, `report`), whether it answers, how often it died; the children go to `slots`.
"""

import asyncio
import collections
import contextlib
import socket
import stat
from collections.abc import AsyncIterator, Callable
from dataclasses import dataclass, field
from pathlib import Path

from crew_runtime.contract import PROTOCOL, frames
from crew_runtime.contract import report as reports
from crew_runtime.contract.replica_reasons import ReplicaReason
from crew_server import health
from crew_server.errors import SettingsError, WorkerProtocolError
from crew_server.logs import Log
from crew_server.worker.exits import Exit
from crew_server.worker.slots import Child, Slots

log = Log(__name__)

HELLO_DEADLINE = 5.0
PING_EVERY = 0.5
PING_DEADLINE = 2.0
NEVER_CONNECTED_AFTER = 60.0
_NEVER = (
    f"no worker has connected for {NEVER_CONNECTED_AFTER:.0f} s: the crew's container was not started, or its image's "
    'entrypoint does not run what it is given. End it in exec "$@", or set spec.crew.runtime.imageEntrypoint to Replace'
)
SPARE_STRANGERS = 64
"""Connections that may owe their hello at once, beyond one for each slot; a worker's come one by one."""
_MAX_TEXT = 8000
"""Characters of what the zygote says in words."""
CRASHES = 5
CRASH_WINDOW = 600.0
"""So many deaths of the zygote in so many seconds are a crash loop."""


@dataclass
class WorkerState:
    """What is known of the zygote now."""

    phase: str = "waiting"
    reason: str = ReplicaReason.WORKER_NOT_CONNECTED
    message: str = "the worker has not connected yet"
    report: reports.WorkerReport = field(default_factory=reports.WorkerReport)
    crashes: int = 0
    """In the last CRASH_WINDOW seconds."""
    ping_age: float = 0.0
    """Seconds that the oldest unanswered ping waits."""


@dataclass(frozen=True)
class Events:
    """Whom to tell."""

    on_draining: Callable[[], None]
    on_connected: Callable[[], None]


class WorkerLink:
    """Listens for the worker, keeps its connection and its state."""

    def __init__(self, path: str, slots: Slots, events: Events, concurrency: int) -> None:
        self._path = Path(path)
        self._max_strangers = concurrency + SPARE_STRANGERS
        self._slots = slots
        self._events = events
        self._state = WorkerState()
        self._deaths: collections.deque[float] = collections.deque(maxlen=100)
        self._zygote: asyncio.StreamWriter | None = None
        self._leaving = False
        self._pings: collections.deque[tuple[int, float]] = collections.deque()
        self._ping = 0
        self._connections: set[asyncio.StreamWriter] = set()
        self._strangers: collections.OrderedDict[asyncio.StreamWriter, None] = collections.OrderedDict()
        """Those that have not said hello, the oldest first."""
        self._server: asyncio.Server | None = None
        self._gone = asyncio.Event()
        self._began = 0.0

    async def listen(self) -> None:
        """Take the socket's path, replacing the socket file of a server that died."""
        loop = asyncio.get_running_loop()
        with contextlib.suppress(FileNotFoundError):
            if not stat.S_ISSOCK(self._path.stat().st_mode):
                raise SettingsError([f"{self._path} is in the way of the worker's socket and is no socket"])
            self._path.unlink()
        self._path.parent.mkdir(parents=True, exist_ok=True)
        listener = socket.socket(socket.AF_UNIX)
        listener.setblocking(False)
        listener.bind(str(self._path))
        # The worker's container may run as another user; who can reach the pod's own volume is in the pod.
        self._path.chmod(0o666)
        self._server = await asyncio.start_unix_server(self._serve, sock=listener)
        self._began = loop.time()

    def state(self) -> WorkerState:
        """A fresh look; `ping_age` and `crashes` are as of now."""
        now = asyncio.get_running_loop().time()
        self._state.ping_age = now - self._pings[0][1] if self._pings else 0.0
        self._state.crashes = sum(1 for one in self._deaths if now - one <= CRASH_WINDOW)
        return self._state

    def dismiss(self) -> None:
        """Tell the zygote to kill its children and end."""
        self._leaving = True
        self._slots.disable()
        if self._zygote is not None:
            self._zygote.write(frames.encode(frames.EXIT))

    async def wait_gone(self, seconds: float) -> bool:
        """Whether the zygote has gone within `seconds`."""
        if self._zygote is None:
            return True
        try:
            async with asyncio.timeout(seconds):
                await self._gone.wait()
        except TimeoutError:
            return False
        return True

    async def close(self) -> None:
        """Stop listening and drop every connection."""
        if self._server is None:
            return
        self._server.close()
        for writer in list(self._connections):
            writer.transport.abort()
        with contextlib.suppress(FileNotFoundError):
            self._path.unlink()

    # -- connections ----------------------------------------------------------------------------------------------

    async def _serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        self._connections.add(writer)
        self._meet(writer)
        # What comes is the user's code's to choose: it takes no more memory than its role needs.
        decoder = frames.Decoder(frames.MAX_HELLO, guarded=True)
        is_slot = False
        try:
            incoming = _frames(reader, decoder)
            async with asyncio.timeout(HELLO_DEADLINE):
                hello = await anext(incoming)
            self._strangers.pop(writer, None)
            _check(hello)
            is_slot = hello.get("role") != "zygote"
            if not is_slot:
                decoder.limit = frames.MAX_NEWS
                await self._serve_zygote(incoming, writer)
            else:
                child = self._slots.hello(str(hello.get("token")), writer.write, writer.transport.abort)
                decoder.limit = frames.MAX_FRAME
                await self._serve_child(child, incoming)
        except (WorkerProtocolError, ValueError, KeyError, TypeError, RecursionError) as error:
            # The peer runs the user's code and may send anything; FrameError is a ValueError.
            log.warning("dropped a connection of the worker", error=repr(error))
            # A slot of a worker that died a moment ago may come late; that says nothing of the worker that will come.
            if not is_slot and self._zygote is None and self._state.phase == "waiting":
                self._state.reason, self._state.message = ReplicaReason.WORKER_PROTOCOL, str(error)
        except (TimeoutError, StopAsyncIteration, OSError) as error:
            log.debug("a connection to the worker's socket ended early", error=repr(error))
        finally:
            self._connections.discard(writer)
            self._strangers.pop(writer, None)
            writer.transport.abort()

    def _meet(self, writer: asyncio.StreamWriter) -> None:
        """Another that has not said hello: where there are too many, the one that has waited longest goes."""
        self._strangers[writer] = None
        if len(self._strangers) > self._max_strangers:
            oldest, _ = self._strangers.popitem(last=False)
            oldest.transport.abort()
            log.warning("dropped a connection of the worker that does not say what it is", waiting=self._max_strangers)

    async def _serve_child(self, child: Child, incoming: AsyncIterator[frames.Frame]) -> None:
        why = "protocol"
        try:
            async for frame in incoming:
                self._slots.frame(child, frame)
            why = ""
        except OSError:
            why = ""
        finally:
            self._slots.closed(child, why)

    async def _serve_zygote(self, incoming: AsyncIterator[frames.Frame], writer: asyncio.StreamWriter) -> None:
        if self._zygote is not None:
            if self._state.phase != "ready" or self.state().ping_age <= PING_DEADLINE:
                raise WorkerProtocolError("a second worker came while the first one answers")
            log.warning("a new worker takes the place of one that does not answer")
            self._zygote.transport.abort()
            self._lost(self._zygote)
        log.info("worker connected")
        self._zygote, self._leaving = writer, False
        self._gone.clear()
        self._pings.clear()
        if self._state.phase != "failed":
            self._state.reason, self._state.message = ReplicaReason.WORKER_STARTING, "the worker is importing the crew"
        self._state.phase = "importing"
        self._events.on_connected()
        try:
            async for frame in incoming:
                self._from_zygote(frame, writer)
        finally:
            self._lost(writer)

    def _from_zygote(self, frame: frames.Frame, writer: asyncio.StreamWriter) -> None:
        match frame["t"]:
            case frames.PHASE:
                self._phase(frame, writer)
            case frames.FORKED:
                self._slots.forked(str(frame.get("token")), int(frame["pid"]))
            case frames.EXITED:
                how = Exit(frame.get("code"), frame.get("signal"), frame.get("reason"), frame.get("maxrss"))
                self._slots.exited(str(frame.get("token")), how)
            case frames.PONG:
                while self._pings and self._pings[0][0] <= int(frame["n"]):
                    self._pings.popleft()
            case frames.DRAINING:
                log.info("the worker's container is being stopped")
                self._events.on_draining()

    def _phase(self, frame: frames.Frame, writer: asyncio.StreamWriter) -> None:
        phase = str(frame.get("phase"))
        if isinstance(told := frame.get("report"), dict):
            self._state.report = reports.worker_from_dict(told)
        log.info("worker phase", phase=phase, reason=frame.get("reason"), detail=frame.get("message"))
        self._state.phase = phase
        if phase == "failed":
            self._state.reason = str(frame.get("reason") or "WorkerFailed")[:_MAX_TEXT]
            self._state.message = str(frame.get("message") or "the worker failed to start")[:_MAX_TEXT]
        elif phase == "ready":
            self._state.reason = self._state.message = ""
            self._slots.enable(writer.write)

    def _lost(self, writer: asyncio.StreamWriter) -> None:
        if self._zygote is not writer:
            return
        self._zygote = None
        self._gone.set()
        self._pings.clear()
        failed = self._state.phase == "failed"
        if not self._leaving:
            self._deaths.append(asyncio.get_running_loop().time())
            log.error("worker lost", phase=self._state.phase)
        if not failed:
            # What failed stays to be read until a worker is ready: the next one will most likely fail alike.
            keep = self._state.reason not in ("", *health.COMING)
            if not keep:
                self._state.reason, self._state.message = (
                    ReplicaReason.WORKER_LOST,
                    "the worker process ended; waiting for the next",
                )
            self._state.phase = "waiting"
        self._slots.abandon()

    # -- pings ----------------------------------------------------------------------------------------------------

    async def run(self) -> None:
        """Ask the zygote again and again whether it is there, and look after the slots; for ever, once it listens."""
        while True:
            await asyncio.sleep(PING_EVERY)
            self._ask(asyncio.get_running_loop().time())
            self._slots.check()

    def _ask(self, now: float) -> None:
        if self._state.reason == ReplicaReason.WORKER_NOT_CONNECTED and now - self._began > NEVER_CONNECTED_AFTER:
            self._state.reason, self._state.message = ReplicaReason.WORKER_NEVER_CONNECTED, _NEVER
        if self._zygote is None or self._zygote.transport.is_closing():
            return
        # A stopped zygote reads nothing: do not fill its socket with pings.
        if len(self._pings) < 8:
            self._ping += 1
            self._pings.append((self._ping, now))
            self._zygote.write(frames.encode(frames.PING, n=self._ping))


def _check(hello: frames.Frame) -> None:
    if hello["t"] != frames.HELLO:
        raise WorkerProtocolError(f"the worker began with {hello['t']!r} and not with its hello")
    if hello.get("protocol") != PROTOCOL:
        text = f"the worker half speaks protocol {hello.get('protocol')!r}, the server half {PROTOCOL}; use one version"
        raise WorkerProtocolError(text)


async def _frames(reader: asyncio.StreamReader, decoder: frames.Decoder) -> AsyncIterator[frames.Frame]:
    while data := await reader.read(1 << 16):
        for frame in decoder.feed(data):
            yield frame
