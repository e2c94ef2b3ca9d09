"""Holds each replica's `GET /changes` open, so that a healthy crew need not be asked whether it still is one.

In: which replicas a crew has. Out: "look at this crew", as a call. Whatever comes over such a stream, and its end,
means that and nothing more: no byte is kept or understood, so there is nothing in it that a hostile replica could say.
What it can do is to ring: a crew is woken once a second at most and no oftener in the long run than one that is looked
at by the clock, and who sends more than any server of ours would is not listened to for a while. Then, as where a
runtime has no such stream, the crew counts as not watched and is looked at by the clock.

Thousands of these are open at once. Hence no client library: a small protocol without a task, with one buffer for all.
"""

import asyncio
import contextlib
import random
import socket
from collections.abc import Callable, Hashable, Iterable
from dataclasses import dataclass, field
from functools import partial
from typing import Final, Generic, TypeVar, cast

from prometheus_client import Counter

from crew_operator.metrics import Metrics
from crew_runtime import contract

DEADLINE: Final = 3.0
"""Seconds for the connection and the head of the answer."""
LONGEST_HEAD: Final = 1024
"""Bytes. A server of ours sends 150."""
MOST_BYTES: Final = 4096
"""Of one replica within WINDOW: a line is 6 bytes, and comes once a second at most."""
WINDOW: Final = 60.0
"""Seconds."""
BANNED_FOR: Final = 300.0
"""Seconds in which one that sent more is not listened to."""
FIRST_PAUSE: Final = 1.0
"""Seconds before a stream that ended is opened again; doubles with each that did not last, up to LONGEST_PAUSE."""
LONGEST_PAUSE: Final = 60.0
"""Seconds; a stream that was open for as long has lasted."""
GAP: Final = 1.0
"""Seconds at least between two times that a crew is woken."""
SLOW_GAP: Final = 3.0
"""Seconds in which it may be woken once in the long run: what an unwatched crew costs anyway."""
BURST: Final = 20.0
"""Times that it may be woken faster."""
IDLE, INTERVAL, COUNT = 4, 1, 3
"""TCP's keepalive: seconds of silence, between probes, and their number. A node that vanished has been noticed after
7 s, and what conditions say of it after 9 s: its report is asked for with a deadline of 2 s."""

Key = TypeVar("Key", bound=Hashable)
Wake = Callable[[Key, float], None]
"""Look at this crew, in so many seconds; may be said of the same moment several times."""

_scratch: Final = bytearray(1024)
"""Where what comes is put before it is forgotten; one for all, as they are read one after the other."""


class _Stream(asyncio.BufferedProtocol):
    """One connection: the head of an answer, bounded in bytes and time, and then bytes that are counted."""

    __slots__ = ("_bell", "_budget", "_deadline", "_head", "_request", "_transport", "_window")

    def __init__(self, request: bytes, bell: "_Bell") -> None:
        self._bell: _Bell | None = bell
        """None: it has ended."""
        self._request = request
        self._head: bytes | None = b""
        """None: it is complete."""
        self._budget, self._window = MOST_BYTES, 0.0
        self._transport: asyncio.Transport | None = None
        self._deadline: asyncio.TimerHandle | None = None

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        """asyncio's."""
        self._transport = cast("asyncio.Transport", transport)
        if self._bell is None:
            self._transport.abort()
            return
        loop = asyncio.get_running_loop()
        self._window = loop.time()
        self._deadline = loop.call_later(DEADLINE, self.end, "silent")
        _keep_alive(transport.get_extra_info("socket"))
        self._transport.write(self._request)
        self._request = b""

    def get_buffer(self, sizehint: int) -> bytearray:
        """asyncio's."""
        del sizehint
        return _scratch

    def buffer_updated(self, nbytes: int) -> None:
        """asyncio's."""
        if not self._affords(nbytes):
            self.end("flood")
        elif self._head is not None:
            self._read_head(self._head + bytes(_scratch[:nbytes]))
        elif self._bell is not None:
            self._bell.on_signal()

    def connection_lost(self, exc: Exception | None) -> None:
        """asyncio's."""
        del exc
        self.end("closed")

    def end(self, why: str, *, quiet: bool = False) -> None:
        """At once. `quiet`: and its replica is not told of it."""
        bell, self._bell = self._bell, None
        transport, self._transport = self._transport, None
        if self._deadline is not None:
            self._deadline.cancel()
            self._deadline = None
        if transport is not None:
            transport.abort()
        if bell is not None and not quiet:
            bell.on_end(why)

    def _affords(self, count: int) -> bool:
        now = asyncio.get_running_loop().time()
        if now - self._window >= WINDOW:
            self._budget, self._window = MOST_BYTES, now
        self._budget -= count
        return self._budget >= 0

    def _read_head(self, head: bytes) -> None:
        self._head = head
        if b"\r\n\r\n" not in head[:LONGEST_HEAD]:
            if len(head) >= LONGEST_HEAD:
                self.end("head")
        elif not head.startswith(b"HTTP/1.1 200 "):
            self.end("refused")
        elif self._bell is not None and self._deadline is not None:
            self._deadline.cancel()
            self._head = self._deadline = None
            self._bell.on_open()


class _Bell:
    """One replica: its stream, opened again whenever it ended."""

    __slots__ = ("_again", "_count", "_failures", "_ip", "_opened_at", "_port", "_ring", "_stream", "_task", "is_open")

    def __init__(self, ip: str, port: int, ring: Callable[[], None], count: "_Count") -> None:
        self._ip, self._port, self._ring, self._count = ip, port, ring, count
        self.is_open = False
        self._opened_at = 0.0
        self._failures = 0
        """Streams in a row that did not last."""
        self._stream: _Stream | None = None
        self._task: asyncio.Task[None] | None = None
        self._again: asyncio.TimerHandle | None = None
        self._connect()

    def close(self) -> asyncio.Task[None] | None:
        """For good; the task that has to end, if there is one."""
        task, self._task = self._task, None
        if task is not None:
            task.cancel()
        if self._again is not None:
            self._again.cancel()
        if self._stream is not None:
            self._stream.end("closed", quiet=True)
        self._shut()
        return task

    def on_open(self) -> None:
        """From now on nothing is missed; what happened before has to be looked at."""
        self.is_open = True
        self._count.open += 1
        self._opened_at = asyncio.get_running_loop().time()
        self._ring()

    def on_signal(self) -> None:
        """Something came."""
        self._ring()

    def on_end(self, why: str) -> None:
        """Of a stream that was open or was about to be."""
        was_open = self.is_open
        if was_open and asyncio.get_running_loop().time() - self._opened_at >= LONGEST_PAUSE:
            self._failures = 0
        self._shut()
        self._retry(why)
        if was_open:
            self._ring()

    def _shut(self) -> None:
        if self.is_open:
            self._count.open -= 1
        self.is_open, self._stream = False, None

    def _connect(self) -> None:
        self._again = None
        self._task = asyncio.get_running_loop().create_task(self._open())

    async def _open(self) -> None:
        stream = self._stream = _Stream(_request(self._ip), self)
        try:
            async with asyncio.timeout(DEADLINE):
                await asyncio.get_running_loop().create_connection(lambda: stream, self._ip, self._port)
        except (OSError, TimeoutError, ValueError):  # the last: it is no address
            stream.end("unreachable")
        finally:
            self._task = None

    def _retry(self, why: str) -> None:
        self._count.ended.labels(why).inc()
        self._failures += 1
        pause = min(LONGEST_PAUSE, FIRST_PAUSE * 2.0 ** min(self._failures - 1, 10))
        # Those of a node or a crew end together, and need not come back so.
        pause = (BANNED_FOR if why == "flood" else pause) * random.uniform(0.75, 1.25)  # noqa: S311 - no secret
        self._again = asyncio.get_running_loop().call_later(pause, self._connect)


@dataclass
class _Count:
    """Of all streams."""

    ended: Counter
    open: int = 0


@dataclass(slots=True)
class _Crew:
    """The replicas of one crew, and when it was woken."""

    bells: dict[str, _Bell] = field(default_factory=dict)
    """By address."""
    woken_at: float = float("-inf")
    """May lie ahead: it is to be woken then."""
    left: float = BURST


class Doorbells(Generic[Key]):
    """The streams of all crews. Belongs to one event loop."""

    def __init__(self, wake: Wake[Key], metrics: Metrics, port: int = contract.HEALTH_PORT) -> None:
        self._wake = wake
        self._count = _Count(metrics.streams_ended)
        self._port = port
        self._crews: dict[Key, _Crew] = {}
        self._closed = False
        metrics.streams.set_function(lambda: self._count.open)

    def follow(self, key: Key, ips: Iterable[str]) -> None:
        """These, and no others, are the addresses of the crew's replicas now."""
        if self._closed:
            return
        wanted = set(ips)
        bells = self._crews.setdefault(key, _Crew()).bells
        for ip in bells.keys() - wanted:
            bells.pop(ip).close()
        for ip in wanted - bells.keys():
            bells[ip] = _Bell(ip, self._port, partial(self._ring, key), self._count)

    def is_watched(self, key: Key) -> bool:
        """Whether each of its replicas, of which there is one at least, has an open stream."""
        crew = self._crews.get(key)
        return crew is not None and bool(crew.bells) and all(one.is_open for one in crew.bells.values())

    def forget(self, key: Key) -> None:
        """The crew is gone."""
        for bell in self._crews.pop(key, _Crew()).bells.values():
            bell.close()

    async def aclose(self) -> None:
        """End all of them, for good."""
        self._closed = True
        tasks = [bell.close() for crew in self._crews.values() for bell in crew.bells.values()]
        self._crews.clear()
        await asyncio.gather(*(one for one in tasks if one is not None), return_exceptions=True)

    def _ring(self, key: Key) -> None:
        crew = self._crews.get(key)
        now = asyncio.get_running_loop().time()
        if crew is None:
            return
        if crew.woken_at > now:
            # Said again: a pass for another reason may have taken the place of the one that was called for.
            self._wake(key, crew.woken_at - now)
            return
        since = now - crew.woken_at
        crew.left = min(BURST, crew.left + since / SLOW_GAP)
        gap = GAP if crew.left >= 1.0 else SLOW_GAP
        crew.left = max(0.0, crew.left - 1.0)
        after = max(0.0, gap - since)
        crew.woken_at = now + after
        self._wake(key, after)


def _request(ip: str) -> bytes:
    host = f"[{ip}]" if ":" in ip else ip
    return (
        f"GET {contract.CHANGES_PATH} HTTP/1.1\r\nHost: {host}:{contract.HEALTH_PORT}\r\n"
        "User-Agent: crew-operator\r\nAccept: text/plain\r\nConnection: close\r\n\r\n"
    ).encode()


def _keep_alive(sock: socket.socket) -> None:
    with contextlib.suppress(OSError):  # it is closed already
        sock.setsockopt(socket.SOL_SOCKET, socket.SO_KEEPALIVE, 1)
        sock.setsockopt(socket.IPPROTO_TCP, socket.TCP_KEEPIDLE, IDLE)
        sock.setsockopt(socket.IPPROTO_TCP, socket.TCP_KEEPINTVL, INTERVAL)
        sock.setsockopt(socket.IPPROTO_TCP, socket.TCP_KEEPCNT, COUNT)
        sock.setsockopt(socket.IPPROTO_TCP, socket.TCP_USER_TIMEOUT, 1000 * (IDLE + INTERVAL * COUNT))
