"""One replica in the place of very many: its health port, but any number may hold its `/changes`.

A replica lets eight listen, and is not meant for a thousand crews. What it signals is passed on to all, by one stream.
"""

import asyncio
import contextlib
from collections.abc import AsyncIterator, Collection
from typing import Any

from crew_runtime.contract import CHANGES_PATH

_OPEN = b"HTTP/1.1 200 OK\r\nContent-Type: text/plain\r\nTransfer-Encoding: chunked\r\n\r\n"
_SIGNAL = b"1\r\n\n\r\n"


class Switchboard:
    """Who listens, and what they hear."""

    def __init__(self, port: int) -> None:
        """`port`: of the replica's health port, on this machine."""
        self._port = port
        self._listening: set[asyncio.StreamWriter] = set()
        self._serving: set[asyncio.Task[Any]] = set()

    async def serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        """One connection."""
        task = asyncio.current_task()
        assert task is not None
        self._serving.add(task)
        task.add_done_callback(self._serving.discard)
        with contextlib.suppress(OSError, asyncio.IncompleteReadError):
            head = await reader.readuntil(b"\r\n\r\n")
            if head.split()[1] == CHANGES_PATH.encode():
                await self._hold(reader, writer)
            else:
                await self._forward(head, reader, writer)
        writer.close()

    async def _hold(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        writer.write(_OPEN)
        self._listening.add(writer)
        try:
            await reader.read()
        finally:
            self._listening.discard(writer)

    async def _forward(self, head: bytes, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        """Each request has a connection of its own: so does the operator ask."""
        up_reader, up_writer = await asyncio.open_connection("127.0.0.1", self._port)
        up_writer.write(head)
        there = asyncio.create_task(_pump(reader, up_writer))
        try:
            await _pump(up_reader, writer)
        finally:
            there.cancel()
            up_writer.close()

    async def close(self) -> None:
        """Hang up on everybody."""
        for one in self._serving:
            one.cancel()
        await asyncio.gather(*self._serving, return_exceptions=True)

    async def listen(self) -> None:
        """For ever: what the replica signals is signalled to all. Raises OSError when the replica is gone."""
        reader, writer = await asyncio.open_connection("127.0.0.1", self._port)
        writer.write(f"GET {CHANGES_PATH} HTTP/1.1\r\nHost: replica\r\n\r\n".encode())
        await reader.readuntil(b"\r\n\r\n")
        while await reader.read(4096):
            for one in self._listening:
                one.write(_SIGNAL)

    def ring(self, addresses: Collection[str]) -> None:
        """As if the replicas at these addresses had signalled something."""
        for one in self._listening:
            if one.get_extra_info("sockname")[0] in addresses:
                one.write(_SIGNAL)


async def _pump(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
    with contextlib.suppress(OSError):
        while data := await reader.read(1 << 16):
            writer.write(data)
            await writer.drain()


@contextlib.asynccontextmanager
async def switchboard(host: str, port: int, replica: int) -> AsyncIterator[Switchboard]:
    """Listens at `host` and `port` for the replica whose health port is `replica` of this machine, which has to run."""
    one = Switchboard(replica)
    server = await asyncio.start_server(one.serve, host, port, backlog=1024)
    listening = asyncio.create_task(one.listen())
    try:
        yield one
    finally:
        listening.cancel()
        await asyncio.gather(listening, return_exceptions=True)
        server.close()
        await one.close()
