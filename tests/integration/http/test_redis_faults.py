"""Redis is killed, stopped, full: readiness says so in time and recovers by itself; no end of a kickoff is lost."""

import asyncio
import signal
import time

import pytest

from crew_runtime.contract import keys
from crew_server import redis_client
from crew_server.errors import BackendError
from crew_server.settings import Settings
from support.processes import alive
from support.relay import relay
from support.replica_fixtures import PASSWORD, RedisProcess
from support.replicas import wait_until
from support.waiting import BUSY


async def test_stopped_redis_is_noticed_and_recovery_is_by_itself(replica, redis):
    redis.signal(signal.SIGSTOP)
    begun = time.monotonic()
    await replica.ready(wanted=False, reason="MemoryTimeout", seconds=10)
    assert time.monotonic() - begun < 5
    refused = await replica.api.post("/kickoff", json={"inputs": {}})
    assert (refused.status_code, refused.json()["reason"]) == (503, "MemoryTimeout")
    assert int(refused.headers["retry-after"]) > 0
    assert (await replica.health.get("/livez")).status_code == 200
    assert (await replica.health.get("/startupz")).status_code == 200
    redis.signal(signal.SIGCONT)
    await replica.ready(seconds=10)
    assert (await replica.ended(await replica.kickoff(say="again")))["result"]["output"] == "again"


async def test_killed_redis_is_noticed_and_recovery_is_by_itself(replica, redis):
    before = await replica.kickoff(say="kept")
    await replica.ended(before)
    await asyncio.sleep(1.1)  # appendfsync everysec
    redis.kill()
    await replica.ready(wanted=False, reason="MemoryRefused", seconds=10)
    report = await replica.report()
    assert report["backend"]["ready"] is False
    assert report["backend"]["reason"] == "Refused"
    redis.start()
    await replica.ready(seconds=10)
    assert (await replica.status(before))["result"]["output"] == "kept"
    assert (await replica.ended(await replica.kickoff()))["status"] == "completed"


async def test_kickoff_that_ends_while_redis_is_stopped_keeps_its_result(replica, redis):
    kickoff = await replica.kickoff(seconds=1, say="not lost")
    await replica.started(kickoff)
    redis.signal(signal.SIGSTOP)
    await asyncio.sleep(3)
    seen = await replica.status(kickoff)
    assert seen["result"]["output"] == "not lost", "its own replica knows it meanwhile"
    redis.signal(signal.SIGCONT)

    async def stored():
        return redis.client().hget(f"cs:{{test/crew}}:run:{kickoff}", "status") == "completed"

    await wait_until(stored, "the end is in Redis", 8)


async def test_kickoff_outlives_an_outage_longer_than_its_lease(replica, redis, make):
    other = await make("r2", idle=True)
    kickoff = await replica.kickoff(seconds=21, say="survived")
    await replica.started(kickoff)
    redis.signal(signal.SIGSTOP)
    await asyncio.sleep(17)
    redis.signal(signal.SIGCONT)
    seen = await other.ended(kickoff, 20)
    assert (seen["status"], seen["attempt"]) == ("completed", 1), seen
    assert seen["result"]["output"] == "survived"


async def test_cancel_while_redis_is_stopped_still_kills_within_a_second(replica, redis):
    kickoff = await replica.kickoff(do="swallow")
    pid = await replica.started(kickoff)
    redis.signal(signal.SIGSTOP)
    begun = time.monotonic()
    request = asyncio.ensure_future(replica.api.delete(f"/kickoff/{kickoff}"))

    async def dead():
        return not alive(pid)

    await wait_until(dead, "the slot is dead", 10)
    assert time.monotonic() - begun < 1.0 * BUSY
    assert (await request).json()["status"] == "cancelled"
    redis.signal(signal.SIGCONT)
    assert (await replica.ended(kickoff))["status"] == "cancelled"


async def test_wrong_password_is_told_apart(make, redis):
    replica = await make(redis_url=redis.url.replace("s3cret", "wrong"), start=False)
    replica.start_server()
    await replica.listening()
    replica.start_worker()
    await replica.ready(wanted=False, reason="MemoryAuthFailed")
    assert "s3cret" not in replica.log("server")
    assert "wrong" not in replica.log("server").replace("WRONGPASS", "")


async def test_redis_at_its_maxmemory_is_not_ready_though_it_answers_ping(replica, redis):
    client = redis.client()
    client.config_set("maxmemory", "1")
    await replica.ready(wanted=False, reason="MemoryOutOfMemory", seconds=10)
    client.config_set("maxmemory", "0")
    await replica.ready(seconds=10)


async def test_read_only_redis_is_not_ready(replica, redis):
    client = redis.client()
    client.replicaof("127.0.0.1", "1")
    await replica.ready(wanted=False, reason="MemoryReadOnly", seconds=10)
    client.replicaof("NO", "ONE")
    await replica.ready(seconds=10)


@pytest.mark.parametrize("rule", ["FailClosed", "Degrade"])
async def test_no_kickoff_is_accepted_without_redis_whatever_memory_may_do(make, redis, rule):
    replica = await make(CREWOPS_MEMORY_ON_FAILURE=rule)
    running = await replica.kickoff(seconds=3, say="goes on")
    await replica.started(running)
    redis.kill()
    refused = await replica.api.post("/kickoff", json={"inputs": {}})
    assert (refused.status_code, refused.json()["reason"]) == (503, "MemoryRefused")
    assert int(refused.headers["retry-after"]) > 0
    redis.start()
    await replica.ready(seconds=10)
    assert (await replica.ended(running))["result"]["output"] == "goes on"
    assert (await replica.ended(await replica.kickoff(say="again")))["result"]["output"] == "again"


async def test_kickoff_that_redis_forgot_while_it_runs_is_written_again(replica, redis):
    kickoff = await replica.kickoff("guest", seconds=3, say="remembered")
    await replica.started(kickoff)
    redis.client().flushall()

    async def known():
        return redis.client().exists(f"cs:{{test/crew}}:run:{kickoff}")

    await wait_until(known, "its server writes it again", 5)
    after = await replica.kickoff("guest", say="next")
    assert (await replica.status(after))["queued"] is True
    seen = await replica.ended(kickoff)
    assert (seen["result"]["output"], seen["session_id"], seen["attempt"]) == ("remembered", "guest", 1)
    assert (await replica.ended(after))["result"]["output"] == "next"


async def test_a_primary_that_is_cut_off_is_left_for_the_one_at_the_address_of_redis(redis, tmp_path):
    """By all clients of the process and all their connections: nobody ends those that lead to the former primary."""
    folder = tmp_path / "next"
    folder.mkdir()
    other = RedisProcess(folder)
    other.start()
    try:
        async with relay(redis.port) as address:
            url = f"redis://127.0.0.1:{address.port}"
            settings = Settings("test", "crew", "r1", url, "test/crew", redis_password=PASSWORD)
            writing, reading = redis_client.connect(settings), redis_client.connect(settings, connections=1)
            position = keys.position("test/crew")
            await asyncio.gather(*(writing.get(position) for _ in range(3)), reading.get(position))
            redis.client().config_set("min-replicas-to-write", 5)
            other.client().set(position, 40)
            address.lead_to(other.port)
            with pytest.raises(BackendError, match="NOREPLICAS"):
                async with redis_client.deadline(2):
                    await writing.incr(position)
            assert int(await reading.get(position)) == 40
            assert sorted(await asyncio.gather(*(writing.incr(position) for _ in range(3)))) == [41, 42, 43]
            await writing.aclose()
            await reading.aclose()
    finally:
        other.close()
