"""What comes over the worker's socket takes no more of the server's memory than its role needs."""

import asyncio
import contextlib
import struct

import pytest

from crew_runtime.contract import PROTOCOL, frames
from crew_server.worker import link as module
from crew_server.worker.link import Events, WorkerLink
from crew_server.worker.slots import Slots


class Server:
    """The server's end: a real socket, and the pool of a concurrency of 2."""

    def __init__(self, path):
        self.lost = []
        self.path = str(path)
        self.slots = Slots(2, lambda: None, self.lost.append)
        self.link = WorkerLink(self.path, self.slots, Events(lambda: None, lambda: None), 2)

    async def connect(self):
        return Peer(*await asyncio.open_unix_connection(self.path))

    async def zygote(self, phase="ready"):
        made = await self.connect()
        made.send(frames.HELLO, role="zygote", protocol=PROTOCOL, pid=1, token="")
        made.send(frames.PHASE, phase=phase, report={})
        return made

    async def slot(self, zygote):
        """The first that the pool asks for, connected and warm."""
        fork = await zygote.receive(frames.FORK)
        made = await self.connect()
        made.send(frames.HELLO, role="slot", protocol=PROTOCOL, pid=2, token=fork["token"])
        made.send(frames.READY)
        while not self.slots.alive:
            await asyncio.sleep(0.01)
        return made


class Peer:
    def __init__(self, reader, writer):
        self._reader, self._writer = reader, writer
        self._decoder, self._told = frames.Decoder(), []

    def send(self, type_, **fields):
        self.raw(frames.encode(type_, **fields))

    def raw(self, data):
        self._writer.write(data)

    async def receive(self, type_):
        async with asyncio.timeout(5):
            while True:
                while self._told:
                    if (frame := self._told.pop(0))["t"] == type_:
                        return frame
                self._told += self._decoder.feed(await self._reader.read(1 << 16))

    async def dropped(self):
        """The server ended the connection."""
        async with asyncio.timeout(5):
            with contextlib.suppress(ConnectionError):
                while await self._reader.read(1 << 16):
                    pass
        return True

    def close(self):
        self._writer.close()


@pytest.fixture
async def server(tmp_path):
    made = Server(tmp_path / "worker.sock")
    await made.link.listen()
    yield made
    await made.link.close()


async def test_who_has_not_said_hello_cannot_announce_a_long_frame(server):
    peer = await server.connect()
    peer.raw(struct.pack(">I", frames.MAX_HELLO + 1))
    assert await peer.dropped()


async def test_who_comes_with_a_token_that_was_not_given_out_cannot_either(server):
    await server.zygote()
    peer = await server.connect()
    peer.send(frames.HELLO, role="slot", protocol=PROTOCOL, pid=2, token="guessed")
    assert await peer.dropped()


async def test_a_slot_that_comes_after_its_worker_died_says_nothing_of_the_next_worker(server):
    before = server.link.state().reason
    late = await server.connect()
    late.send(frames.HELLO, role="slot", protocol=PROTOCOL, pid=2, token="of the one before")
    assert await late.dropped()
    assert server.link.state().reason == before != "WorkerProtocol"
    other = await server.connect()
    other.send(frames.HELLO, role="zygote", protocol=PROTOCOL + 1, pid=1, token="")
    assert await other.dropped()
    assert server.link.state().reason == "WorkerProtocol"


async def test_zygote_has_news_and_no_results(server):
    zygote = await server.zygote()
    await zygote.receive(frames.FORK)
    zygote.send(frames.PONG, n=0, padding="x" * frames.MAX_NEWS)
    assert await zygote.dropped()
    assert server.link.state().crashes == 1


async def test_what_a_zygote_says_in_words_is_cut(server):
    zygote = await server.zygote(phase="importing")
    zygote.send(frames.PHASE, phase="failed", reason="Long", message="x" * 500_000, report={})
    async with asyncio.timeout(5):
        while server.link.state().reason != "Long":
            await asyncio.sleep(0.01)
    assert server.link.state().message == "x" * 8000


async def test_slot_that_sends_more_than_can_be_held_is_lost_and_nothing_else(server):
    zygote = await server.zygote()
    slot = await server.slot(zygote)
    slot.raw(struct.pack(">I", 17_000_015) + b'{"t":"x","l":[' + b"[]," * 5_666_666 + b"0]}")
    assert await slot.dropped()
    # the place is filled again, so the zygote is well served
    assert (await zygote.receive(frames.FORK))["role"] in ("slot", "prober")
    assert server.link.state().phase == "ready"


async def test_long_result_of_a_slot_is_taken(server):
    zygote = await server.zygote()
    slot = await server.slot(zygote)
    slot.send(frames.RESULT, id="k", output="x" * 16 * 1024 * 1024)
    slot.send(frames.BEAT)
    await asyncio.sleep(0.5)
    assert server.slots.alive == 1


async def test_crowd_that_says_nothing_keeps_no_worker_out(server):
    crowd = [await server.connect() for _ in range(module.SPARE_STRANGERS + 2)]
    zygote = await server.zygote()
    await zygote.receive(frames.FORK)
    assert await crowd[0].dropped(), "the one that waited longest went"
    crowd[-1].send(frames.HELLO, role="slot", protocol=PROTOCOL, pid=2, token="guessed")
    for peer in crowd:
        peer.close()
