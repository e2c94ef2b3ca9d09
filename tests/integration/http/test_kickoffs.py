"""The crew's API as its clients see it, over a worker that does what its inputs say."""

import asyncio
import time

import pytest

from support.processes import alive
from support.replicas import wait_until
from support.waiting import BUSY


async def test_kickoff_completes_in_the_shape_of_crewais_platform(replica):
    accepted = await replica.api.post("/kickoff", json={"inputs": {"say": "Table 4"}})
    assert accepted.status_code == 200
    assert set(accepted.json()) == {"kickoff_id", "session_id"}
    assert accepted.headers["x-session-id"] == accepted.json()["session_id"]
    seen = await replica.ended(accepted.json()["kickoff_id"])
    assert seen["status"] == "completed"
    assert seen["result"]["output"] == "Table 4"
    assert seen["result"]["tasks"] == [{"task_id": "1", "output": "hello"}]
    assert seen["memory"] == "ok"
    assert seen["session_id"] == accepted.json()["session_id"]
    assert 0 <= seen["execution_time"] < 5


async def test_running_kickoff_shows_its_progress(replica):
    kickoff = await replica.kickoff(do="sleep")

    async def look():
        seen = await replica.status(kickoff)
        return seen if seen["current_task"] else None

    seen = await wait_until(look, "progress is stored")
    assert (seen["status"], seen["current_task"]) == ("running", "sleeping")
    assert seen["progress"] == {"completed_tasks": 0, "total_tasks": 2}
    assert seen["queued"] is False


async def test_wait_returns_the_end_when_it_comes_in_time(replica):
    answer = await replica.api.post("/kickoff?wait=10", json={"inputs": {"seconds": 0.3, "say": "done"}})
    assert answer.json()["status"] == "completed"
    assert answer.json()["result"]["output"] == "done"


async def test_wait_returns_the_ids_when_it_does_not(replica):
    begun = time.monotonic()
    answer = await replica.api.post("/kickoff?wait=0.3", json={"inputs": {"do": "sleep"}})
    assert set(answer.json()) == {"kickoff_id", "session_id"}
    assert time.monotonic() - begun < 3


@pytest.mark.parametrize("where", ["body", "header"])
async def test_session_is_taken_logged_and_returned(replica, where):
    session = "guest 7 Zoë/日本"
    body = {"inputs": {}} | ({"session_id": session} if where == "body" else {})
    headers = {"X-Session-Id": session.encode()} if where == "header" else {}
    answer = await replica.api.post("/kickoff?wait=5", json=body, headers=headers)
    assert answer.json()["session_id"] == session
    sent = dict(answer.headers.raw)[b"x-session-id"]
    assert sent.decode() == session
    entry = next(line for line in replica.log("server").splitlines() if '"message": "kickoff"' in line)
    assert '"session_id": "guest 7 Zo\\u00eb/' in entry


async def test_kickoffs_beyond_the_slots_wait_in_order_and_all_end(replica):
    kickoffs = [await replica.kickoff(seconds=0.15) for _ in range(6)]
    ends = [await replica.ended(one) for one in kickoffs]
    assert [one["status"] for one in ends] == ["completed"] * 6
    lines = [line for line in replica.log("server").splitlines() if "kickoff started" in line]
    order = [next(one for one in kickoffs if one in line) for line in lines]
    assert order == kickoffs


async def test_full_queue_is_503_with_retry_after(make):
    replica = await make(CREWOPS_CONCURRENCY="1", CREWOPS_QUEUE_LIMIT="2")
    await replica.started(await replica.kickoff(do="sleep"))
    answers = await asyncio.gather(*(replica.api.post("/kickoff", json={"inputs": {"do": "sleep"}}) for _ in range(10)))
    codes = sorted(one.status_code for one in answers)
    assert codes == [200] * 2 + [503] * 8
    refused = next(one for one in answers if one.status_code == 503)
    assert refused.json()["reason"] == "QueueFull"
    assert int(refused.headers["retry-after"]) > 0
    assert (await replica.health.get("/readyz")).status_code == 200, "all slots busy is ready"

    async def told():
        return await replica.metric("crewops_backlog") == (await replica.report())["backlog"] == 2

    await wait_until(told, "the backlog is a metric and in the report")
    assert await replica.metric("crewops_backlog_oldest_seconds") > 0


ENDS = [
    ("leave", "Exited", "exit code 3"),
    ("segfault", "Crashed", "segmentation fault"),
    ("oom", "OutOfMemory", "more than 1024 MiB"),
    ("garbage", "SlotLost", "no message of a worker"),
    ("nonsense", "CrewFailed", "KeyError"),
]


@pytest.mark.parametrize(("act", "reason", "words"), ENDS)
async def test_kickoff_that_dies_says_how_and_costs_no_other(replica, act, reason, words):
    other = await replica.kickoff(seconds=1, say="untouched")
    seen = await replica.ended(await replica.kickoff(do=act))
    assert (seen["status"], seen["reason"]) == ("error", reason)
    assert words in seen["error"]
    assert (await replica.ended(other))["result"]["output"] == "untouched"

    async def full():
        return (await replica.report())["slots"] == 3

    await wait_until(full, "the slot is replaced", 3)
    report = await replica.report()
    assert any(one["kind"] == reason and one["kickoff_id"] == seen["kickoff_id"] for one in report["failures"])


async def test_slot_killed_from_outside_ends_its_kickoff(replica):
    import os
    import signal

    kickoff = await replica.kickoff(do="sleep")
    os.kill(await replica.started(kickoff), signal.SIGKILL)
    seen = await replica.ended(kickoff, 3)
    assert (seen["status"], seen["reason"]) == ("error", "Crashed")
    assert "SIGKILL" in seen["error"]


@pytest.mark.parametrize("act", ["sleep", "spin", "hold_gil", "swallow"])
async def test_cancelled_kickoff_is_dead_within_a_second(replica, act):
    others = [await replica.kickoff(seconds=1.5, say="untouched")]
    kickoff = await replica.kickoff(do=act)
    pid = await replica.started(kickoff)
    await asyncio.sleep(0.3)
    begun = time.monotonic()
    answer = await replica.api.delete(f"/kickoff/{kickoff}")
    assert answer.json()["status"] == "cancelled"

    async def dead():
        return not alive(pid)

    await wait_until(dead, "the slot is dead", 10)
    assert time.monotonic() - begun < 1.0 * BUSY
    assert (await replica.status(kickoff))["status"] == "cancelled"
    assert [(await replica.ended(one))["status"] for one in others] == ["completed"]


@pytest.mark.parametrize("act", ["sleep", "spin", "hold_gil", "swallow"])
async def test_kickoff_over_its_timeout_is_dead_within_a_second(make, act):
    replica = await make(CREWOPS_KICKOFF_TIMEOUT="1")
    kickoff = await replica.kickoff(do=act)
    pid = await replica.started(kickoff)
    begun = time.monotonic()

    async def dead():
        return not alive(pid)

    await wait_until(dead, "the slot is dead", 10)
    assert time.monotonic() - begun < 2.0 * BUSY
    seen = await replica.ended(kickoff)
    assert (seen["status"], seen["reason"]) == ("timeout", "KickoffTimeout")
    assert "1 s" in seen["error"]
    assert seen["execution_time"] == pytest.approx(1.0, abs=0.3)


async def test_stop_lets_well_behaved_code_clean_up(replica, tmp_path):
    path = tmp_path / "tidied"
    kickoff = await replica.kickoff(do="tidy", path=str(path))
    await replica.started(kickoff)
    await asyncio.sleep(0.2)
    await replica.api.delete(f"/kickoff/{kickoff}")

    async def tidied():
        return path.exists()

    await wait_until(tidied, "the finally block ran", 2)


async def test_waiting_kickoff_can_be_cancelled_and_never_starts(make):
    replica = await make(CREWOPS_CONCURRENCY="1")
    first, second = await replica.kickoff(do="sleep"), await replica.kickoff(do="sleep")
    assert (await replica.api.delete(f"/kickoff/{second}")).json()["status"] == "cancelled"
    await replica.api.delete(f"/kickoff/{first}")
    third = await replica.kickoff()
    assert (await replica.ended(third))["status"] == "completed"
    started = [line for line in replica.log("server").splitlines() if "kickoff started" in line]
    assert not any(second in line for line in started)


async def test_cancel_of_an_ended_kickoff_changes_nothing(replica):
    kickoff = await replica.kickoff()
    assert (await replica.ended(kickoff))["status"] == "completed"
    answer = await replica.api.delete(f"/kickoff/{kickoff}")
    assert (answer.status_code, answer.json()["status"]) == (200, "completed")


async def test_stop_has_the_answers_of_crewais_platform(replica):
    kickoff = await replica.kickoff(do="sleep")
    pid = await replica.started(kickoff)
    answer = await replica.api.post(f"/stop/{kickoff}")
    assert (answer.status_code, answer.json()) == (200, {"status": "stopped", "kickoffId": kickoff})

    async def dead():
        return not alive(pid)

    await wait_until(dead, "the slot is dead", 10)
    assert (await replica.status(kickoff))["status"] == "cancelled"
    again = await replica.api.post(f"/stop/{kickoff}")
    assert (again.status_code, again.json()["detail"]) == (400, "Cannot stop execution. Current state: REVOKED")


@pytest.mark.parametrize(("act", "state"), [("echo", "SUCCESS"), ("raise", "FAILURE")])
async def test_stop_of_an_ended_kickoff_is_refused(replica, act, state):
    kickoff = await replica.kickoff(do=act)
    ended = (await replica.ended(kickoff))["status"]
    answer = await replica.api.post(f"/stop/{kickoff}")
    assert answer.status_code == 400
    assert answer.json()["details"] == {"status": ended, "state": state}
    assert answer.json()["reason"] == "AlreadyEnded"
    assert (await replica.status(kickoff))["status"] == ended


async def test_stop_of_an_unknown_kickoff_is_404_and_of_a_waiting_one_final(make):
    replica = await make(CREWOPS_CONCURRENCY="1")
    assert (await replica.api.post("/stop/none")).status_code == 404
    first, second = await replica.kickoff(do="sleep"), await replica.kickoff(do="sleep")
    assert (await replica.api.post(f"/stop/{second}")).json()["status"] == "stopped"
    assert (await replica.status(second))["status"] == "cancelled"
    await replica.api.post(f"/stop/{first}")


async def test_degraded_memory_is_told_with_its_failures(replica):
    seen = await replica.ended(await replica.kickoff(do="guard"))
    assert (seen["status"], seen["memory"]) == ("completed", "degraded")
    assert seen["memory_failures"]["first"][0]["op"] == "search"
    assert (
        'crewops_memory_failures_total{kind="Timeout",op="search"} 1.0' in (await replica.health.get("/metrics")).text
    )


async def test_odd_text_and_numbers_of_a_crew_do_no_harm(replica):
    seen = await replica.ended(await replica.kickoff(do="odd"))
    assert seen["status"] == "completed"
    assert seen["result"]["json"] == {"x": None}


async def test_result_of_sixteen_megabytes_arrives(replica):
    size = 16 * 1024 * 1024
    seen = await replica.ended(await replica.kickoff(do="big", bytes=size))
    assert len(seen["result"]["output"]) == size


async def test_slot_that_is_not_clean_is_replaced(make):
    replica = await make(CREWOPS_PROCESSES="Shared")
    for _ in range(4):
        seen = await replica.ended(await replica.kickoff(dirty=True))
        assert seen["status"] == "completed"
    assert "slot is not reusable" in replica.log("server")
    assert (await replica.ended(await replica.kickoff()))["status"] == "completed"


async def test_state_expires_a_day_after_the_end(replica, redis):
    kickoff = await replica.kickoff()
    await replica.ended(kickoff)
    client = redis.client()
    ttl = client.ttl(f"cs:{{test/crew}}:run:{kickoff}")
    assert 86400 - 60 < ttl <= 86400
    crew = "cs:{test/crew}:"
    leftovers = {one.removeprefix(crew) for one in client.scan_iter() if client.ttl(one) < 0}
    # what is counted is taken off, kickoff by kickoff, when that has expired
    assert leftovers == {"queue", "kickoffs:bytes", "kickoffs:total", "kickoffs:ends", "kickoffs:inputs"}
    assert client.xlen(f"{crew}queue") == 0
