"""Promise: who holds `GET /changes` hears when what conditions are made of changes, and learns nothing else by it."""

import asyncio
import contextlib
import signal

import httpx
import pytest

from crew_runtime.contract import CHANGES_PATH
from crew_server.changes import MOST

IN_TIME = 6.0
"""Seconds: 4 until a replica sees it, one until it says so, and what a busy machine adds."""


@contextlib.asynccontextmanager
async def held(replica):
    """The stream's pieces; its head has come."""
    timeout = httpx.Timeout(10, read=None)
    async with (
        httpx.AsyncClient(base_url=replica.health.base_url, timeout=timeout, trust_env=False) as http,
        http.stream("GET", CHANGES_PATH) as answer,
    ):
        assert answer.status_code == 200
        yield answer.aiter_raw()


async def heard(pieces, seconds=IN_TIME):
    async with asyncio.timeout(seconds):
        return await anext(pieces)


async def test_a_fault_of_redis_and_its_end_are_heard_and_told_by_one_empty_line(replica, redis):
    async with held(replica) as pieces:
        redis.signal(signal.SIGSTOP)
        assert await heard(pieces) == b"\n"
        assert (await replica.health.get("/readyz")).json()["reason"] == "MemoryTimeout"
        redis.signal(signal.SIGCONT)
        assert await heard(pieces) == b"\n"
        assert (await replica.health.get("/readyz")).status_code == 200


async def test_a_worker_that_is_stopped_is_heard_of(replica):
    async with held(replica) as pieces:
        replica.worker.send_signal(signal.SIGSTOP)
        assert await heard(pieces, 10) == b"\n"
        assert (await replica.health.get("/readyz")).json()["reason"] == "WorkerUnresponsive"


async def test_kickoffs_and_checks_are_not_heard_of(replica):
    async with held(replica) as pieces:
        checked = (await replica.report())["backend"]["checked_at"]
        await replica.ended(await replica.kickoff())
        await replica.ended(await replica.kickoff(do="leave"))
        with pytest.raises(TimeoutError):
            await heard(pieces, 5)
    assert (await replica.report())["backend"]["checked_at"] > checked


async def test_another_password_is_heard_of_though_connections_stay_admitted(replica, redis):
    admin = redis.client()
    admin.ping()
    async with held(replica) as pieces:
        admin.execute_command("ACL", "SETUSER", "default", "resetpass", ">another")
        assert await heard(pieces) == b"\n"
        assert (await replica.health.get("/readyz")).json()["reason"] == "MemoryAuthFailed"
        admin.execute_command("ACL", "SETUSER", "default", "resetpass", ">s3cret")
        assert await heard(pieces) == b"\n"


async def test_too_many_are_refused_and_those_who_left_make_room(replica):
    for _ in range(2):
        async with contextlib.AsyncExitStack() as stack:
            for _ in range(MOST):
                await stack.enter_async_context(held(replica))
            refused = await replica.health.get(CHANGES_PATH)
            assert (refused.status_code, refused.json()["reason"]) == (503, "TooManyListeners")
        async with asyncio.timeout(10):
            while (await replica.health.get("/livez")).status_code != 200 or not await has_room(replica):
                await asyncio.sleep(0.05)


async def has_room(replica):
    async with replica.health.stream("GET", CHANGES_PATH) as answer:
        return answer.status_code == 200


async def test_a_replica_that_is_shut_down_says_so_and_ends_the_stream(replica):
    async with held(replica) as pieces:
        replica.server.send_signal(signal.SIGTERM)
        async with asyncio.timeout(20):
            assert b"".join([one async for one in pieces]).strip(b"\n") == b""
    assert replica.server.wait(20) == 0
