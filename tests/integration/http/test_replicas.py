"""Two replicas over one Redis: any answers for any, and a dead one's kickoffs do not stay running."""

import signal
import time

from support.replicas import alive, wait_until


async def test_status_is_answered_by_any_replica(make):
    first, second = await make("r1"), await make("r2")
    kickoff = await first.kickoff(say="from one")
    seen = await second.ended(kickoff)
    assert (seen["result"]["output"], seen["replica"]) == ("from one", "r1")
    running = await first.kickoff(do="sleep")
    assert (await second.status(running))["status"] == "running"


async def test_cancel_by_another_replica_kills_within_a_second(make):
    first, second = await make("r1"), await make("r2")
    kickoff = await first.kickoff(do="swallow")
    pid = await first.started(kickoff)
    begun = time.monotonic()
    answer = await second.api.delete(f"/kickoff/{kickoff}")
    assert answer.json()["status"] == "cancelled"

    async def dead():
        return not alive(pid)

    await wait_until(dead, "the slot is dead", 4)
    assert time.monotonic() - begun < 1.0
    assert (await first.status(kickoff))["status"] == "cancelled"
    assert (await first.ended(await first.kickoff()))["status"] == "completed"


async def test_kickoff_of_a_killed_server_ends_as_replica_lost(make):
    first, second = await make("r1"), await make("r2")
    kickoff = await first.kickoff(do="sleep")
    await first.started(kickoff)
    first.server.send_signal(signal.SIGKILL)
    first.server.wait()
    assert (await second.status(kickoff))["status"] == "running", "its lease has not run out"
    seen = await second.ended(kickoff, 25)
    assert (seen["status"], seen["reason"]) == ("error", "ReplicaLost")
    assert "the replica that ran it died" in seen["error"]


async def test_lease_of_a_long_kickoff_is_renewed(make, redis):
    first, second = await make("r1"), await make("r2")
    kickoff = await first.kickoff(seconds=19, say="long")
    lease = redis.client().hget(f"cs:{{test/crew}}:run:{kickoff}", "lease")
    seen = await second.ended(kickoff, 30)
    assert seen["status"] == "completed"
    assert int(lease) > 0


async def test_server_that_was_stopped_past_its_lease_does_not_change_the_verdict(make):
    first, second = await make("r1"), await make("r2")
    kickoff = await first.kickoff(do="sleep")
    pid = await first.started(kickoff)
    first.server.send_signal(signal.SIGSTOP)
    seen = await second.ended(kickoff, 25)
    assert seen["reason"] == "ReplicaLost"
    first.server.send_signal(signal.SIGCONT)

    async def dead():
        return not alive(pid)

    await wait_until(dead, "it kills what it lost", 3)
    assert (await first.status(kickoff))["reason"] == "ReplicaLost"
