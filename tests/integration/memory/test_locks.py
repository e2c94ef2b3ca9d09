"""CrewAI's locks when their holder dies or loses them."""

import asyncio
import dataclasses
import subprocess
import sys
import time

import pytest

from crew_runtime.crewai.state.locks import RedisLocks
from crew_runtime.errors import LockLostError, LockTimeoutError
from crew_runtime.guard.call import Guard
from crew_runtime.redis_client import Connections
from support import strangers

HOLDER = """
import sys, time
from crew_runtime.crewai.state import locks
from crew_runtime.guard.call import Guard
from crew_runtime.redis_client import Connections
from crew_runtime.settings import Settings
locks.LEASE, locks.RENEW_EVERY = 1.0, 0.3
settings = Settings(sys.argv[1], sys.argv[2])
with locks.RedisLocks(Guard(Connections(settings)), settings.key_prefix)("desk"):
    print("held", flush=True)
    time.sleep(60)
"""


@pytest.fixture
def take(settings):
    connections = Connections(settings)
    yield RedisLocks(Guard(connections), settings.key_prefix)
    connections.close()


@pytest.fixture
def holder(settings):
    command = [sys.executable, "-c", HOLDER, settings.redis_url, settings.key_prefix]
    with subprocess.Popen(command, stdout=subprocess.PIPE) as process:
        assert process.stdout.readline() == b"held\n"
        yield process
        process.kill()


def test_a_holder_that_lives_keeps_it_beyond_its_lease_and_one_that_was_killed_does_not(holder, take):
    with pytest.raises(LockTimeoutError, match=r"'desk' was held by another for 2 s"), take("desk", timeout=2):
        pass
    holder.kill()
    begun = time.monotonic()
    with take("desk", timeout=5):
        assert time.monotonic() - begun < 2


def test_a_lock_that_another_took_meanwhile_is_reported_and_left_to_it(take, server, settings, failures):
    key = f"cs:{{{settings.key_prefix}}}:lock:desk"
    with server.client() as client:
        with pytest.raises(LockLostError, match="its lease ran out"), take("desk"):
            client.set(key, "another", ex=60)
        assert client.get(key) == b"another"
    assert [(one.op, one.kind) for one in failures] == [("lock", "Lock")]


async def test_a_release_whose_answer_was_lost_is_tried_again_and_is_no_lost_lock(server, settings):
    """Redis is asked through a connection that ends behind the first release, and its answer with it."""
    releases, working = [], False

    async def talk(reader, writer):
        up_reader, up_writer = await asyncio.open_connection("127.0.0.1", server.port)
        while asked := await reader.read(1 << 16):
            up_writer.write(asked)
            answer = await up_reader.read(1 << 16)
            if working and b"EVALSHA" in asked:
                releases.append(answer)
                if len(releases) == 1:
                    break
            writer.write(answer)
        up_writer.close()

    def work():
        nonlocal working
        with take("desk"):
            working = True

    async with strangers.talking(talk) as way:
        connections = Connections(
            dataclasses.replace(settings, redis_url=settings.redis_url.replace(str(server.port), str(way.port)))
        )
        take = RedisLocks(Guard(connections), settings.key_prefix)
        await asyncio.to_thread(work)
        connections.close()
    assert releases == [b":1\r\n", b":1\r\n"]
    with server.client() as client:
        (left,) = client.scan_iter(f"cs:{{{settings.key_prefix}}}:lock:*")
        assert b":lock:released:" in left
        assert 0 < client.ttl(left) <= 60


def test_it_is_given_back_when_the_work_fails(take):
    with pytest.raises(ZeroDivisionError), take("desk"):
        raise ZeroDivisionError
    with take("desk", timeout=0):
        pass
