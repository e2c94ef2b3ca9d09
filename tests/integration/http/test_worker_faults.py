"""The worker half dies, fails, hangs or is stopped: the server says so at once, and goes on with the next one."""

import json
import signal
import sys
import time

import pytest

from support.processes import alive
from support.replicas import dead, wait_until
from support.waiting import BUSY


async def test_server_listens_and_is_live_before_any_worker_comes(make):
    replica = await make(start=False)
    begun = time.monotonic()
    replica.start_server()
    await replica.listening()
    assert time.monotonic() - begun < 2.0 * BUSY  # 0.6 s on a quiet machine
    seen = await replica.ready(wanted=False, reason="WorkerNotConnected")
    assert seen["message"]
    startup = await replica.health.get("/startupz")
    assert (startup.status_code, startup.json()["phase"]) == (503, "waiting")
    refused = await replica.api.post("/kickoff", json={"inputs": {}})
    assert (refused.status_code, refused.json()["reason"]) == (503, "WorkerNotConnected")
    proof = await replica.health.post("/proof", json={"action": "read", "nonce": "x"})
    assert (proof.status_code, proof.json()["reason"]) == (503, "NoProber")


async def test_kickoffs_of_a_killed_worker_start_again_with_the_next_one(replica):
    running = [await replica.kickoff(seconds=1, say="twice") for _ in range(2)]
    pids = [await replica.started(one) for one in running]
    replica.worker.kill()
    await replica.ready(wanted=False, reason="WorkerLost", seconds=10)

    async def queued():
        return all([(await replica.status(one))["queued"] for one in running])

    await wait_until(queued, "they wait again", 10)
    assert not any(alive(pid) for pid in pids)
    replica.worker.wait()
    replica.start_worker()
    for one in running:
        seen = await replica.ended(one)
        assert (seen["status"], seen["attempt"]) == ("completed", 2)
    assert await replica.metric("crewops_kickoffs_given_back_total") == 2


async def test_kickoff_that_takes_its_worker_down_each_time_is_parked(replica):
    kickoff = await replica.kickoff(do="sleep")
    for attempt in (1, 2, 3):

        async def started(attempt=attempt):
            return f'"attempt": {attempt}' in replica.log("server") and (await replica.report())["running"] == 1

        await wait_until(started, f"attempt {attempt} runs")
        replica.worker.kill()
        replica.worker.wait()
        replica.start_worker()
    seen = await replica.ended(kickoff)
    assert (seen["status"], seen["reason"], seen["attempt"]) == ("error", "TooManyAttempts", 3)
    await replica.ready()


async def test_killed_worker_ends_its_kickoffs_where_the_spec_says_fail(make):
    replica = await make(CREWOPS_ON_REPLICA_LOSS="Fail")
    running, waiting = [await replica.kickoff(do="sleep") for _ in range(2)], await replica.kickoff(say="after")
    pids = [await replica.started(one) for one in running]
    replica.worker.kill()
    for one in running:
        seen = await replica.ended(one, 10)
        assert (seen["status"], seen["reason"]) == ("error", "WorkerLost")
    await replica.ready(wanted=False, reason="WorkerLost", seconds=10)
    assert (await replica.status(waiting))["queued"] is True
    replica.worker.wait()
    replica.start_worker()
    await replica.ready()
    assert (await replica.ended(waiting))["result"]["output"] == "after"

    async def gone():
        return not any(alive(pid) for pid in pids)

    await wait_until(gone, "no slot of the dead worker is left", 10)


async def test_stopped_worker_is_not_ready_and_comes_back(replica):
    replica.worker.send_signal(signal.SIGSTOP)
    await replica.ready(wanted=False, reason="WorkerUnresponsive", seconds=10)
    assert (await replica.health.get("/livez")).status_code == 200
    replica.worker.send_signal(signal.SIGCONT)
    await replica.ready(seconds=10)


async def test_replica_with_a_stopped_worker_claims_nothing(make):
    """Its slots still live, but nobody could end what hangs in them."""
    first = await make("r1")
    first.worker.send_signal(signal.SIGSTOP)
    await first.ready(wanted=False, reason="WorkerUnresponsive", seconds=10)
    second = await make("r2")
    seen = [await second.ended(await second.kickoff()) for _ in range(6)]
    assert {one["replica"] for one in seen} == {"r2"}
    first.worker.send_signal(signal.SIGCONT)


async def test_failed_worker_says_why_also_after_it_is_gone(make):
    replica = await make(start=False, SCRIPTED_FAIL="EntrypointNotFound")
    replica.start_server()
    await replica.listening()
    for _ in range(2):
        replica.start_worker()
        replica.worker.wait(10)
        seen = await replica.ready(wanted=False, reason="EntrypointNotFound")
        assert "no module named 'concierge'" in seen["message"]
    report = await replica.report()
    assert (report["phase"], report["reason"]) == ("failed", "EntrypointNotFound")
    startup = (await replica.health.get("/startupz")).json()
    assert (startup["phase"], startup["reason"]) == ("failed", "EntrypointNotFound")


async def test_worker_that_dies_again_and_again_is_a_crash_loop(replica):
    for _ in range(5):
        replica.worker.kill()
        await replica.ready(wanted=False)  # the server has seen this death: it counts those
        replica.worker.wait()
        replica.start_worker()
        await replica.ready()
    replica.worker.kill()
    await replica.ready(wanted=False, reason="WorkerCrashLoop")


async def test_worker_of_another_protocol_is_refused_in_words(make):
    replica = await make(start=False, SCRIPTED_PROTOCOL="99")
    replica.start_server()
    await replica.listening()
    replica.start_worker()
    seen = await replica.ready(wanted=False, reason="WorkerProtocol")
    assert "99" in seen["message"]


async def test_slots_that_never_get_ready_are_told(make):
    replica = await make(start=False, SCRIPTED_STILLBORN="1")
    replica.start_server()
    await replica.listening()
    replica.start_worker()
    await replica.ready(wanted=False, reason="NoSlots")


async def test_proof_passes_through_the_prober_while_all_slots_are_busy(replica):
    for _ in range(4):
        await replica.kickoff(do="swallow")

    async def asked():
        answer = await replica.health.post("/proof", json={"action": "read", "nonce": "n1"})
        # A replica is ready without its prober, which is forked last.
        return None if answer.status_code == 503 else answer

    answer = await wait_until(asked, "the prober takes the proof")
    assert answer.status_code == 200
    assert answer.json() == {"ok": True, "found": True, "via": "recall", "seconds": 0.01, "error": None}


async def test_prober_that_hangs_is_told_within_its_deadline_and_replaced(make):
    replica = await make(SCRIPTED_PROOF="hang")

    async def asked():
        begun = time.monotonic()
        answer = await replica.health.post("/proof", json={"action": "write", "nonce": "n"})
        # A replica is ready without its prober, which is forked last.
        return None if answer.status_code == 503 else (answer.json(), time.monotonic() - begun)

    answer, seconds = await wait_until(asked, "the prober takes the proof")
    assert answer["ok"] is False
    assert "5 s" in answer["error"]
    assert seconds < 5 + 1.5 * BUSY

    async def refilled():
        return (await replica.health.post("/proof", json={"action": "write", "nonce": "n"})).status_code == 200

    await wait_until(refilled, "there is a prober again", 8)


async def test_slot_that_is_stopped_is_cancelled_all_the_same(replica):
    kickoff = await replica.kickoff(do="freeze")
    pid = await replica.started(kickoff)
    begun = time.monotonic()
    await replica.api.delete(f"/kickoff/{kickoff}")

    async def dead():
        return not alive(pid)

    await wait_until(dead, "the slot is dead", 10)
    assert time.monotonic() - begun < 1.0 * BUSY


@pytest.mark.timeout(90)
async def test_slot_without_a_beat_for_thirty_seconds_is_lost(replica):
    kickoff = await replica.kickoff(do="freeze")
    pid = await replica.started(kickoff)
    seen = await replica.ended(kickoff, 40)
    assert (seen["status"], seen["reason"]) == ("error", "Wedged")
    assert seen["execution_time"] >= 29
    await dead(pid)


FAILS = """
import sys
from crew_server import __main__
from crew_server.worker.slots import Slots
check, looks = Slots.check, []
def fails(self):
    looks.append(1)
    if len(looks) > 8:
        raise TypeError("a bug")
    check(self)
Slots.check = fails
sys.exit(__main__.main())
"""


async def test_a_bug_in_the_watch_over_the_worker_is_told_and_a_stopped_worker_is_seen_all_the_same(make):
    replica = await make(start=False)
    replica.server_command = [sys.executable, "-c", FAILS]
    await replica.start()

    async def failed():
        return await replica.metric("crewops_background_failures_total")

    assert await wait_until(failed, "the watch fails", 20) >= 1
    assert 'crewops_background_failures_total{task="worker"}' in (await replica.health.get("/metrics")).text
    assert "BackgroundTask" in {one["kind"] for one in (await replica.report())["failures"]}
    told = (await replica.api.get("/failures")).json()
    assert "worker: TypeError('a bug')" in json.dumps(told)
    replica.worker.send_signal(signal.SIGSTOP)
    await replica.ready(wanted=False, seconds=20)
