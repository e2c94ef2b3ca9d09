"""Peers that speak no protocol that anybody asked for: a port whose answers a test writes."""

import asyncio
import contextlib
from collections.abc import AsyncIterator, Awaitable, Callable, Iterable, Mapping

Talk = Callable[[asyncio.StreamReader, asyncio.StreamWriter], Awaitable[None]]


class Stranger:
    """What came of it."""

    def __init__(self) -> None:
        self.port = 0
        self.asked = 0
        """Connections."""


@contextlib.asynccontextmanager
async def talking(talk: Talk, host: str = "127.0.0.1", port: int = 0) -> AsyncIterator[Stranger]:
    """Listens until left; each connection is `talk`'s, and is closed at its end."""
    made = Stranger()
    tasks = set()

    async def serve(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        made.asked += 1
        task = asyncio.current_task()
        tasks.add(task)
        with contextlib.suppress(OSError, asyncio.CancelledError):
            await talk(reader, writer)
        writer.close()
        tasks.discard(task)

    server = await asyncio.start_server(serve, host, port)
    made.port = server.sockets[0].getsockname()[1]
    try:
        yield made
    finally:
        server.close()
        for one in tasks:
            one.cancel()


def saying(*pieces: bytes, stay: float = 0.0) -> Talk:
    """Says all of it at once and hangs up, after `stay` seconds."""

    async def talk(_: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        for one in pieces:
            writer.write(one)
        await writer.drain()
        if writer.can_write_eof() and not stay:
            writer.write_eof()
        await asyncio.sleep(stay or 0.05)

    return talk


def pouring(head: bytes, piece: bytes, most: int) -> Talk:
    """`head`, and then `piece` again and again, `most` times, as fast as the other side takes it."""

    async def talk(_: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        writer.write(head)
        for _ in range(most):
            writer.write(piece)
            await writer.drain()

    return talk


def dripping(head: bytes, pieces: Iterable[bytes], pause: float) -> Talk:
    """`head`, and then a piece each `pause` seconds: each single read is answered in time."""

    async def talk(_: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        writer.write(head)
        for one in pieces:
            writer.write(one)
            await writer.drain()
            await asyncio.sleep(pause)

    return talk


REPEATED = "unknown command `{0}`, with args beginning with: {1}"
"""How Redis says it; {0} is the command, {1} what it was asked with."""


def echoing(known: Mapping[str, bytes] | None = None, echo: str = REPEATED) -> Talk:
    """A server or proxy that knows the commands `known`, by their answers; any other is an error that repeats its
    arguments, as Redis before version 6 does with `HELLO`."""

    async def talk(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        with contextlib.suppress(asyncio.IncompleteReadError, ValueError):
            while True:
                words = [await _word(reader) for _ in range(int((await reader.readuntil())[1:]))]
                repeated = " ".join(f"`{one}`," for one in words[1:])
                no = f"-ERR {echo.format(words[0], repeated)}\r\n".encode()
                writer.write((known or {}).get(words[0].upper(), no))
                await writer.drain()

    return talk


async def _word(reader: asyncio.StreamReader) -> str:
    length = int((await reader.readuntil())[1:])
    return (await reader.readexactly(length + 2))[:-2].decode()
