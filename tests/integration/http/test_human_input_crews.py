"""Real crews and flows that ask people, over two replicas: one asks and dies, the other goes on."""

import asyncio
import json

import pytest

from support.replicas import wait_until

PENDING = "pending_human_input"


@pytest.fixture
def calls(tmp_path):
    """The file in which the crews note what they do."""
    return tmp_path / "calls"


def _noted(calls):
    return calls.read_text().splitlines() if calls.exists() else []


async def _asks(replica, kickoff, round_=1):
    async def look():
        seen = await replica.status(kickoff)
        assert seen["status"] in (PENDING, "running"), seen
        return seen if seen["status"] == PENDING and seen["round"] == round_ else None

    return await wait_until(look, f"question {round_}", 30)


async def _answer(replica, seen, feedback="", *, approve=True):
    body = {
        "execution_id": seen["kickoff_id"],
        "task_id": seen["task_id"],
        "human_feedback": feedback,
        "is_approve": approve,
    }
    return await replica.api.post("/resume", json=body)


def _kill(replica):
    for process in (replica.server, replica.worker):
        process.kill()
        process.wait(10)


async def test_crew_asked_by_a_dead_replica_goes_on_elsewhere_without_doing_anything_again(real, calls):
    first = await real("reviewed:crew", "r1", CALLS=str(calls))
    kickoff = await first.kickoff("ada", topic="tea")
    asked = await _asks(first, kickoff)
    assert (asked["task"], asked["agent"], asked["output"]) == ("two", "Writer", "<two given one")
    assert asked["progress"] == {"completed_tasks": 1, "total_tasks": 3}
    _kill(first)
    second = await real("reviewed:crew", "r2", CALLS=str(calls))
    assert (await _answer(second, asked, "shorter", approve=False)).status_code == 200
    again = await _asks(second, kickoff, 2)
    assert again["output"] == "<two<shorter given one"
    assert (await _answer(second, again)).status_code == 200
    last = await _asks(second, kickoff, 3)
    assert last["task"] == "three"
    assert (await _answer(second, last)).status_code == 200
    ended = await second.ended(kickoff, 30)
    assert (ended["status"], ended["attempt"], ended["replica"]) == ("completed", 4, "r2"), ended
    tasks = ["<one given nothing", "<two<shorter given one", "<three given one,shorter,two"]
    assert [one["output"] for one in ended["result"]["tasks"]] == tasks
    assert _noted(calls) == [
        "one:", "callback one", "two:", "two:shorter", "callback two", "three:", "callback three",
    ]  # fmt: skip
    # What a replay of the session would start from, and its export shows, is complete.
    export = (await second.api.get("/sessions/ada/export")).json()
    assert [one["output"]["raw"] for one in export["task_outputs"]] == tasks


async def test_answer_given_twice_at_two_replicas_lets_the_crew_go_on_once(real, calls):
    first = await real("reviewed:crew", "r1", CALLS=str(calls))
    second = await real("reviewed:crew", "r2", CALLS=str(calls))
    asked = await _asks(first, await first.kickoff(topic="tea"))
    told = await asyncio.gather(_answer(first, asked), _answer(second, asked))
    assert sorted(one.status_code for one in told) == [200, 409]
    await _asks(second, asked["kickoff_id"], 2)
    assert _noted(calls) == ["one:", "callback one", "two:", "callback two", "three:"]


async def test_flow_goes_on_at_another_replica_also_when_one_dies_with_the_answer(real, calls):
    first = await real("reviewed:ReviewFlow", "r1", CALLS=str(calls), STUCK="yes")
    kickoff = await first.kickoff("ada", topic="tea")
    draft = await _asks(first, kickoff)
    assert (draft["kind"], draft["task"], draft["output"], draft["message"]) == (
        "flow",
        "draft",
        "a draft of tea",
        "Is the draft good?",
    )
    assert (await _answer(first, draft, "good")).status_code == 200
    headline = await _asks(first, kickoff, 2)
    assert (await _answer(first, headline, "bold")).status_code == 200

    async def publishes():
        return _noted(calls)[-1] == "publish after bold"

    await wait_until(publishes, "the first replica goes on with the answer", 30)
    _kill(first)
    calls.with_suffix(".free").touch()
    second = await real("reviewed:ReviewFlow", "r2", CALLS=str(calls), STUCK="yes")
    ended = await second.ended(kickoff, 40)
    assert ended["status"] == "completed", ended
    assert ended["result"]["output"] == "published a draft of tea, good, bold; drafted 1"
    assert _noted(calls) == ["draft", "headline after good", *["publish after bold"] * 2]
    late = await _answer(second, headline, "late")
    assert (late.status_code, late.json()["reason"]) == (409, "AlreadyAnswered")


async def test_a_process_that_asked_ends(real, calls):
    replica = await real("reviewed:crew", CALLS=str(calls), CREWOPS_CONCURRENCY="1")
    for _ in range(3):
        await _asks(replica, await replica.kickoff(topic="tea"))
    started = [line for line in replica.log("server").splitlines() if "kickoff started" in line]
    pids = {json.loads(line)["pid"] for line in started}
    assert len(started) == 3
    assert len(pids) == 3, started
