"""A TCP relay in front of a server, to cut one client off or to slow it down while the others reach it."""

import asyncio
import threading
from collections.abc import AsyncIterator, Iterator
from contextlib import asynccontextmanager, contextmanager


class Relay:
    """Forwards to `port` of an address of this machine; silent while it is cut."""

    def __init__(self, port: int, host: str = "127.0.0.1") -> None:
        self._to = host, port
        self.port = 0
        self.late = 0.0
        """Seconds by which each answer comes late."""
        self._open = asyncio.Event()
        self._open.set()
        self._tasks: set[asyncio.Task[None]] = set()
        self._refuses = False

    def cut(self) -> None:
        """From now on nothing passes, in either direction, and nobody is told: as when a network is parted."""
        self._open.clear()

    def drop(self) -> None:
        """Every connection ends, and new ones end at once, until `heal`."""
        self._refuses = True
        for one in self._tasks:
            one.cancel()

    def heal(self) -> None:
        """What waited passes, in order, and new connections are taken again."""
        self._refuses = False
        self._open.set()

    def lead_to(self, port: int, host: str = "127.0.0.1") -> None:
        """New connections go there; those that are open stay where they are, as with the address of a Service."""
        self._to = host, port

    async def serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        """One connection."""
        if self._refuses:
            writer.close()
            return
        up_reader, up_writer = await asyncio.open_connection(*self._to)
        ways = [
            asyncio.ensure_future(self._pump(reader, up_writer)),
            asyncio.ensure_future(self._pump(up_reader, writer, answers=True)),
        ]
        self._tasks.update(ways)
        for way in ways:
            way.add_done_callback(self._tasks.discard)
        await asyncio.wait(ways, return_when=asyncio.FIRST_COMPLETED)
        for way in ways:
            way.cancel()
        for one in (writer, up_writer):
            one.close()

    async def _pump(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter, *, answers: bool = False) -> None:
        while data := await reader.read(1 << 16):
            await self._open.wait()
            await asyncio.sleep(self.late if answers else 0)
            writer.write(data)
            await writer.drain()


@contextmanager
def relayed(port: int) -> Iterator[Relay]:
    """The same in a thread, for who does not run in a loop: `lead_to` may be called from anywhere."""
    loop, begun, end = asyncio.new_event_loop(), threading.Event(), asyncio.Event()
    found: list[Relay] = []

    async def run() -> None:
        async with relay(port) as one:
            found.append(one)
            begun.set()
            await end.wait()

    thread = threading.Thread(target=loop.run_until_complete, args=(run(),), daemon=True)
    thread.start()
    begun.wait(10)
    try:
        yield found[0]
    finally:
        loop.call_soon_threadsafe(end.set)
        thread.join(10)


@asynccontextmanager
async def relay(port: int, host: str = "127.0.0.1") -> AsyncIterator[Relay]:
    """A relay to that port, on a port of its own."""
    one = Relay(port, host)
    server = await asyncio.start_server(one.serve, "127.0.0.1", 0)
    one.port = server.sockets[0].getsockname()[1]
    try:
        yield one
    finally:
        one.heal()
        server.close()
