"""Promise: a crew is watched only while all its replicas signal; whatever a replica sends does no more than wake its
own crew, and seldom. Over real sockets; what depends on minutes runs on a protocol fed by hand, in virtual time."""

import asyncio
import contextlib
import itertools
import random
import socket

import pytest

from crew_operator import doorbells
from crew_operator.doorbells import Doorbells
from crew_operator.metrics import Metrics
from crew_operator.workqueue import Result, WorkQueue
from support import strangers, virtual_time
from support.waiting import eventually

HEAD = b"HTTP/1.1 200 OK\r\ntransfer-encoding: chunked\r\n\r\n"
LINE = b"1\r\n\n\r\n"


class Rig:
    """Doorbells, and what they called."""

    def __init__(self, port):
        self.metrics = Metrics()
        self.woken = []
        self.wake = None
        self.bells = Doorbells(self._wake, self.metrics, port)

    def _wake(self, key, after):
        when = asyncio.get_running_loop().time() + after
        if not any(one == key and abs(when - other) < 0.01 for one, other in self.woken[-1:]):
            self.woken.append((key, when))  # the same moment may be said several times
        if self.wake is not None:
            self.wake(key, after)

    def ended(self, why):
        return self.metrics.streams_ended.labels(why)._value.get()

    @property
    def open(self):
        return self.metrics.registry.get_sample_value("crew_operator_change_streams")


@contextlib.asynccontextmanager
async def rig(port):
    made = Rig(port)
    async with contextlib.aclosing(made.bells):
        yield made
    assert made.open == 0
    left = [one for one in asyncio.all_tasks() if one.get_coro().__qualname__.startswith("_Bell")]
    assert not left


def ringing(*signals):
    """A replica whose stream opens; each event that is set makes it ring."""

    async def talk(reader, writer):
        await reader.readuntil(b"\r\n\r\n")
        writer.write(HEAD)
        for one in signals:
            await one.wait()
            writer.write(LINE)
        await asyncio.Event().wait()

    return talk


async def is_(look, what, seconds=10):
    async def asked():
        return look()

    await eventually(asked, what, seconds)


async def test_a_stream_that_opens_wakes_once_and_watches_and_one_that_rings_wakes_again():
    signal = asyncio.Event()
    async with strangers.talking(ringing(signal)) as peer, rig(peer.port) as made:
        made.bells.follow("crew", {"127.0.0.1"})
        assert not made.bells.is_watched("crew")
        await is_(lambda: made.bells.is_watched("crew"), "it is watched")
        assert (len(made.woken), made.open) == (1, 1)
        signal.set()
        await is_(lambda: len(made.woken) == 2, "it is woken")
        assert made.woken[1][1] - made.woken[0][1] > 0.99 * doorbells.GAP, "once a second"
        made.bells.follow("crew", {"127.0.0.1"})
        assert peer.asked == 1, "the stream that is open is kept"


async def test_a_crew_is_watched_by_all_its_replicas_or_not_at_all():
    async with strangers.talking(ringing(), "0.0.0.0") as peer, rig(peer.port) as made:
        made.bells.follow("none", set())
        assert not made.bells.is_watched("none")
        made.bells.follow("crew", {"127.0.0.1", "127.0.0.2"})
        await is_(lambda: made.bells.is_watched("crew"), "it is watched")
        with socket.create_server(("127.0.0.3", 0)) as closed:
            del closed
        made.bells.follow("crew", {"127.0.0.1", "::1"})
        await is_(lambda: made.ended("unreachable") == 1, "nobody answers there")
        assert not made.bells.is_watched("crew")
        made.bells.follow("crew", {"127.0.0.1"})
        assert made.bells.is_watched("crew")
        made.bells.forget("crew")
        assert not made.bells.is_watched("crew")
        assert made.open == 0


async def test_the_request_is_http_that_names_the_path_and_is_kept_alive_by_tcp():
    asked = asyncio.get_running_loop().create_future()

    async def talk(reader, writer):
        asked.set_result(await reader.readuntil(b"\r\n\r\n"))
        writer.write(HEAD)
        await asyncio.Event().wait()

    async with strangers.talking(talk) as peer, rig(peer.port) as made:
        made.bells.follow("crew", {"127.0.0.1"})
        assert (await asked).startswith(b"GET /changes HTTP/1.1\r\nHost: 127.0.0.1:8081\r\n")
        await is_(lambda: made.bells.is_watched("crew"), "it is watched")
        (bell,) = made.bells._crews["crew"].bells.values()
        sock = bell._stream._transport.get_extra_info("socket")
        options = socket.TCP_KEEPIDLE, socket.TCP_KEEPINTVL, socket.TCP_KEEPCNT, socket.TCP_USER_TIMEOUT
        assert sock.getsockopt(socket.SOL_SOCKET, socket.SO_KEEPALIVE)
        assert [sock.getsockopt(socket.IPPROTO_TCP, one) for one in options] == [4, 1, 3, 7000]


@pytest.mark.parametrize(
    ("why", "talk"),
    [
        ("refused", strangers.saying(b"HTTP/1.1 404 Not Found\r\nContent-Length: 0\r\n\r\n", stay=5)),
        ("refused", strangers.saying(b"HTTP/1.1 503 Service Unavailable\r\n\r\n", stay=5)),
        ("refused", strangers.saying(b"+PONG\r\n\r\n", stay=5)),
        ("head", strangers.pouring(b"HTTP/1.1 200 OK\r\n", b"x: y\r\n", 10**6)),
        ("head", strangers.pouring(b"HTTP/1.1 200 OK\r\n", b"x" * 65536, 10**6)),
        ("silent", strangers.saying(b"HTTP/1.1 200 OK\r\n", stay=30)),
        ("closed", strangers.saying(b"HTTP/1.1 200 OK\r\n")),
    ],
)
async def test_what_is_no_stream_watches_nothing_and_wakes_nobody(why, talk, monkeypatch):
    monkeypatch.setattr(doorbells, "DEADLINE", 1.0)
    monkeypatch.setattr(doorbells, "FIRST_PAUSE", 60.0)
    async with strangers.talking(talk) as peer, rig(peer.port) as made:
        made.bells.follow("crew", {"127.0.0.1"})
        await is_(lambda: sum(one.value for one in ended(made)) == 1, "it ends")
        assert made.ended(why) == 1, ended(made)
        assert not made.bells.is_watched("crew")
        assert made.woken == []


def ended(made):
    return [one for one in made.metrics.streams_ended.collect()[0].samples if one.name.endswith("_total")]


async def test_one_that_rings_at_full_speed_is_cut_off_and_wakes_twice():
    async with strangers.talking(strangers.pouring(HEAD, LINE * 1000, 10**6)) as peer, rig(peer.port) as made:
        made.bells.follow("crew", {"127.0.0.1"})
        await is_(lambda: made.ended("flood") == 1, "it is cut off")
        assert not made.bells.is_watched("crew")
        assert len(made.woken) <= 2
        assert peer.asked == 1


async def test_a_stream_that_is_lost_wakes_and_is_opened_again():
    async with strangers.talking(strangers.saying(HEAD, stay=0.2)) as peer, rig(peer.port) as made:
        made.bells.follow("crew", {"127.0.0.1"})
        await is_(lambda: made.bells.is_watched("crew"), "it is watched")
        await is_(lambda: not made.bells.is_watched("crew"), "it is not watched")
        assert len(made.woken) == 2
        await is_(lambda: made.bells.is_watched("crew"), "it is watched again")
        assert peer.asked == 2


async def test_who_is_closed_while_it_connects_leaves_nothing():
    # A port that takes connections but has nobody who accepts them answers nothing.
    with socket.create_server(("127.0.0.1", 0), backlog=0) as full:
        async with rig(full.getsockname()[1]) as made:
            for number in range(10):
                made.bells.follow(number, {"127.0.0.1"})
            await asyncio.sleep(0)
            made.bells.forget(0)
        made.bells.follow("late", {"127.0.0.1"})
        assert not made.bells._crews


# In virtual time -----------------------------------------------------------------------------------------------------


class Wire(asyncio.Transport):
    """What a peer by hand sends is given to the protocol as asyncio would."""

    def __init__(self, protocol):
        super().__init__()
        self.protocol = protocol
        self.closed = False

    def get_extra_info(self, name, default=None):
        return self._socket

    _socket = socket.socket()

    def write(self, data):
        pass

    def abort(self):
        if not self.closed:
            self.closed = True
            asyncio.get_running_loop().call_soon(self.protocol.connection_lost, None)

    def send(self, data):
        while data and not self.closed:
            buffer = self.protocol.get_buffer(-1)
            count = min(len(buffer), len(data))
            buffer[:count], data = data[:count], data[count:]
            self.protocol.buffer_updated(count)


def in_virtual_time(script):
    """Runs `script(rig, dialled)`; each connection is appended to `dialled` as (time, wire)."""

    async def main():
        loop = asyncio.get_running_loop()
        dialled = []

        async def create_connection(factory, *_):
            wire = Wire(factory())
            dialled.append((loop.time(), wire))
            wire.protocol.connection_made(wire)
            return wire, wire.protocol

        loop.create_connection = create_connection
        async with rig(1) as made:
            await script(made, dialled)

    random.seed(0)
    return virtual_time.run(main())


def test_one_that_rings_each_second_for_ever_wakes_as_seldom_as_the_clock_in_the_long_run():
    async def script(made, dialled):
        made.bells.follow("crew", {"10.0.0.1"})
        await asyncio.sleep(0)
        wire = dialled[0][1]
        wire.send(HEAD)
        for _ in range(3000):
            await asyncio.sleep(0.5)
            wire.send(LINE)
        assert not wire.closed or made.ended("flood"), "720 bytes a minute are within what a replica may send"
        times = [when for _, when in made.woken]
        gaps = [after - before for before, after in itertools.pairwise(times)]
        assert min(gaps) > 0.999 * doorbells.GAP
        assert len(times) <= 1500 / doorbells.SLOW_GAP + doorbells.BURST + 10
        assert times[-1] - times[-2] < doorbells.SLOW_GAP + 0.01, "none is lost"

    in_virtual_time(script)


def test_the_bytes_of_a_minute_are_bounded_and_who_sends_more_is_left_alone_for_minutes():
    async def script(made, dialled):
        made.bells.follow("crew", {"10.0.0.1"})
        await asyncio.sleep(0)
        wire = dialled[0][1]
        wire.send(HEAD)
        for _ in range(10):
            wire.send(b"x" * (doorbells.MOST_BYTES - 100))
            await asyncio.sleep(doorbells.WINDOW)
        assert made.bells.is_watched("crew")
        wire.send(b"x" * doorbells.MOST_BYTES)
        wire.send(b"x")
        assert wire.closed
        assert not made.bells.is_watched("crew")
        cut_at = asyncio.get_running_loop().time()
        await asyncio.sleep(1.3 * doorbells.BANNED_FOR)
        assert dialled[1][0] - cut_at > 0.7 * doorbells.BANNED_FOR

    in_virtual_time(script)


def test_one_that_opens_and_closes_in_a_loop_is_asked_once_a_minute():
    async def script(made, dialled):
        made.bells.follow("crew", {"10.0.0.1"})

        async def hang_up():
            seen = 0
            while True:
                for _, wire in dialled[seen:]:
                    wire.send(HEAD)
                    wire.abort()
                seen = len(dialled)
                await asyncio.sleep(0.1)

        task = asyncio.create_task(hang_up())
        await asyncio.sleep(3600)
        task.cancel()
        times = [when for when, _ in dialled]
        pauses = [after - before for before, after in itertools.pairwise(times)]
        assert pauses[0] < 2
        assert all(44 < one < 76 for one in pauses[8:]), pauses
        assert len(set(pauses[8:])) > 10, "not in step"
        assert len(made.woken) <= 2 * len(times)

    in_virtual_time(script)


def test_what_signals_after_a_pass_that_came_before_its_time_is_not_forgotten():
    """A pass for another reason takes the place of the one that was called for, and may be over when the next signal
    comes."""
    passes = []

    async def script(made, dialled):
        async def handle(_):
            passes.append(asyncio.get_running_loop().time())
            return Result()

        queue = WorkQueue(handle)
        made.wake = queue.add
        work = asyncio.create_task(queue.run(1))
        made.bells.follow("crew", {"10.0.0.1"})
        await asyncio.sleep(0)
        dialled[0][1].send(HEAD)
        await asyncio.sleep(0.3)
        dialled[0][1].send(LINE)  # calls for a pass at 1.0
        queue.add("crew")
        await asyncio.sleep(0.3)
        assert len(passes) == 2
        dialled[0][1].send(LINE)
        await asyncio.sleep(2)
        work.cancel()

    in_virtual_time(script)
    assert passes[2:] == [pytest.approx(1.0)]


def test_a_stream_that_lasted_is_opened_again_at_once():
    async def script(made, dialled):
        made.bells.follow("crew", {"10.0.0.1"})
        await asyncio.sleep(0)
        for number in range(5):
            dialled[number][1].send(HEAD)
            await asyncio.sleep(doorbells.LONGEST_PAUSE + 1)
            dialled[number][1].abort()
            await asyncio.sleep(1.3 * doorbells.FIRST_PAUSE)
            assert len(dialled) == number + 2

    in_virtual_time(script)
