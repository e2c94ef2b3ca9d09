"""Two replicas over one Redis: any answers for any, and a dead or stalled one's kickoffs go on elsewhere."""

import asyncio
import signal
import time

from support.processes import alive
from support.relay import relay
from support.replicas import wait_until
from support.waiting import BUSY


async def test_status_is_answered_by_any_replica(make):
    first, second = await make("r1"), await make("r2", idle=True)
    kickoff = await first.kickoff(say="from one")
    seen = await second.ended(kickoff)
    assert (seen["result"]["output"], seen["replica"]) == ("from one", "r1")
    running = await first.kickoff(do="sleep")
    assert (await second.status(running))["status"] == "running"


async def test_cancel_by_another_replica_kills_within_a_second(make):
    first, second = await make("r1"), await make("r2", idle=True)
    kickoff = await first.kickoff(do="swallow")
    pid = await first.started(kickoff)
    begun = time.monotonic()
    answer = await second.api.delete(f"/kickoff/{kickoff}")
    assert answer.json()["status"] == "cancelled"

    async def dead():
        return not alive(pid)

    await wait_until(dead, "the slot is dead", 10)
    assert time.monotonic() - begun < 1.0 * BUSY
    assert (await first.status(kickoff))["status"] == "cancelled"
    assert (await first.ended(await first.kickoff()))["status"] == "completed"


async def test_next_of_a_session_starts_when_the_process_of_the_cancelled_one_is_dead(make, tmp_path):
    first, second = await make("r1"), await make("r2", idle=True)
    path = tmp_path / "journal"
    stuck = await first.kickoff("guest", do="swallow")
    pid = await first.started(stuck)
    after = await first.kickoff("guest", do="journal", path=str(path))
    await second.api.delete(f"/kickoff/{stuck}")

    async def started():
        return path.exists()

    await wait_until(started, "the next one starts", 3)
    assert not alive(pid)
    assert (await second.ended(after))["status"] == "completed"


async def test_kickoff_of_a_killed_server_goes_on_elsewhere_within_ten_seconds(make):
    first = await make("r1")
    kickoff = await first.kickoff("guest", do="sleep_at_first", attempts=1)
    await first.started(kickoff)
    second = await make("r2")
    first.server.send_signal(signal.SIGKILL)
    first.server.wait()
    begun = time.monotonic()
    assert (await second.status(kickoff))["queued"] is False, "its lease has not run out"
    await second.started(kickoff)
    assert time.monotonic() - begun < 10
    seen = await second.ended(kickoff)
    assert (seen["status"], seen["attempt"], seen["replica"]) == ("completed", 2, "r2")
    assert await second.metric("crewops_kickoffs_taken_over_total") == 1


async def test_kickoff_of_a_killed_server_ends_as_replica_lost_where_the_spec_says_fail(make):
    first = await make("r1")
    kickoff = await first.kickoff(do="sleep")
    await first.started(kickoff)
    second = await make("r2", idle=True, CREWOPS_ON_REPLICA_LOSS="Fail")
    first.server.send_signal(signal.SIGKILL)
    first.server.wait()
    seen = await second.ended(kickoff, 15)
    assert (seen["status"], seen["reason"]) == ("error", "ReplicaLost")
    assert "the replica that ran it died" in seen["error"]
    assert any(one["kickoff_id"] == kickoff for one in (await second.report())["failures"])


async def test_lease_of_a_long_kickoff_is_renewed(make):
    first, second = await make("r1"), await make("r2", idle=True)
    kickoff = await first.kickoff(seconds=11, say="long")
    seen = await second.ended(kickoff, 30)
    assert (seen["status"], seen["attempt"]) == ("completed", 1)


async def test_server_that_was_stopped_past_its_lease_completes_nothing(make):
    """Its slot answers while it is stopped; the answer lies in its socket when it wakes up, and is refused."""
    first = await make("r1")
    answered, stuck = await first.kickoff("a", seconds=2, say="stale"), await first.kickoff("b", do="sleep")
    await first.started(answered)
    pid = await first.started(stuck)
    second = await make("r2", start=False, CREWOPS_CONCURRENCY="3")
    first.server.send_signal(signal.SIGSTOP)
    await second.start()
    for one in (answered, stuck):
        await second.started(one)
    first.server.send_signal(signal.SIGCONT)

    async def dead():
        return not alive(pid)

    await wait_until(dead, "it kills what it lost", 3)
    seen = await second.ended(answered)
    assert (seen["status"], seen["replica"], seen["attempt"]) == ("completed", "r2", 2)
    assert (await second.status(stuck))["attempt"] == 2

    async def refused():
        return await first.metric("crewops_stale_writes_total") >= 2

    await wait_until(refused, "both are counted as stale", 3)
    assert (await first.ended(await first.kickoff()))["status"] == "completed", "it serves again"


async def test_server_that_was_cut_off_from_redis_completes_nothing_that_was_taken_over(make, redis):
    """Its slot goes on meanwhile, as in an outage of Redis: nobody can tell the two apart from there."""
    async with relay(redis.port) as wire:
        first = await make("r1", redis_url=redis.url.replace(f":{redis.port}/", f":{wire.port}/"))
        ends, goes_on = await first.kickoff("a", seconds=4, say="stale"), await first.kickoff("b", do="sleep")
        await first.started(ends)
        pid = await first.started(goes_on)
        second = await make("r2")
        wire.cut()
        for one in (ends, goes_on):
            await second.started(one)
        assert alive(pid)
        wire.heal()

        async def dead():
            return not alive(pid)

        await wait_until(dead, "it kills what it lost", 8)
        seen = await second.ended(ends)
        assert (seen["status"], seen["replica"], seen["attempt"]) == ("completed", "r2", 2)

        async def refused():
            return await first.metric("crewops_stale_writes_total") >= 2

        await wait_until(refused, "both are counted as stale", 8)
        await first.ready()


async def test_wait_is_answered_by_a_replica_that_does_not_run_the_kickoff(make):
    await make("r1")
    second = await make("r2")
    busy = [await second.kickoff(do="sleep") for _ in range(4)]

    async def all_run():
        seen = [await second.status(one) for one in busy]
        return None if any(one["queued"] for one in seen) else {one["replica"]: one["kickoff_id"] for one in seen}

    on = await wait_until(all_run, "all slots of both are busy")
    waiting = asyncio.ensure_future(second.api.post("/kickoff?wait=20", json={"inputs": {"say": "from afar"}}))

    async def waits():
        return (await second.report())["backlog"] == 1

    await wait_until(waits, "it waits for a slot")
    begun = time.monotonic()
    await second.api.delete(f"/kickoff/{on['r1']}")
    answer = (await waiting).json()
    assert (answer["status"], answer["replica"]) == ("completed", "r1")
    assert time.monotonic() - begun < 10
