"""A replica dies while a crew is at work, and another goes on behind the tasks that had finished. Real processes."""

import os
import signal

import pytest

from support.processes import alive
from support.replicas import wait_until


@pytest.fixture
def calls(tmp_path):
    return tmp_path / "calls"


def noted(calls):
    return calls.read_text().splitlines() if calls.exists() else []


async def comes_to(calls, line):
    async def there():
        return line in noted(calls)

    await wait_until(there, f"{line} is reached", 40)


@pytest.fixture
def kept(redis):
    """What was finished is in Redis; the next task does not wait for that."""

    async def wait(kickoff):
        async def there():
            return list(redis.client().scan_iter(f"*:done:{kickoff}"))

        await wait_until(there, "what is finished is kept", 40)

    return wait


async def kill(replica, kickoff, *which):
    """Until its slot is dead as well: it dies with its worker, and must not go on meanwhile."""
    slot = await replica.started(kickoff)
    for one in which:
        os.kill(getattr(replica, one).pid, signal.SIGKILL)

    async def dead():
        return not alive(slot)

    await wait_until(dead, "the slot is dead")


def free(calls):
    calls.with_name(calls.name + ".free").touch()


ALL = ["tool one", "callback one", "tool two", "callback two", "tool three", "callback three"]


@pytest.mark.parametrize("dead", [("server", "worker"), ("worker",)], ids=["replica", "worker"])
async def test_tool_of_a_finished_task_runs_once_when_its_replica_is_killed_in_the_next_task(real, calls, kept, dead):
    first = await real("resumed:crew", "r1", CALLS=str(calls), STICK="two")
    kickoff = await first.kickoff("ada", topic="tea")
    await comes_to(calls, "tool two")
    assert (await first.status(kickoff))["resumed_from_task"] is None
    await kept(kickoff)
    await kill(first, kickoff, *dead)
    free(calls)
    if "server" in dead:
        heir = await real("resumed:crew", "r2", CALLS=str(calls))
    else:
        heir = first
        heir.start_worker()
    ended = await heir.ended(kickoff, 60)
    assert (ended["status"], ended["attempt"]) == ("completed", 2), ended
    assert ended["resumed_from_task"] == "two"
    assert "restarted_because" not in ended
    assert noted(calls) == [*ALL[:3], *ALL[2:]]
    said = [one["output"] for one in ended["result"]["tasks"]]
    assert said == [
        "did-one as one for tea given",
        "did-two as two for tea given did-one",
        "did-three as three for tea given did-one,did-two",
    ]
    assert ended["result"]["usage"]["total_tokens"] == 60
    # What a replay of the session would start from is complete.
    export = (await heir.api.get("/sessions/ada/export")).json()
    assert [one["output"]["raw"] for one in export["task_outputs"]] == said


async def test_shutdown_hands_a_crew_on_behind_its_finished_tasks(real, calls):
    leaving = await real("resumed:crew", "r1", CALLS=str(calls), STICK="two", CREWOPS_GRACE_PERIOD="10")
    kickoff = await leaving.kickoff(topic="tea")
    await comes_to(calls, "tool two")
    staying = await real("resumed:crew", "r2", CALLS=str(calls))
    leaving.server.terminate()
    ended = await staying.ended(kickoff, 60)
    assert (ended["status"], ended["resumed_from_task"]) == ("completed", "two"), ended
    assert noted(calls) == [*ALL[:3], *ALL[2:]]


async def test_progress_of_the_attempt_that_goes_on_counts_what_was_finished_before(real, calls, kept):
    first = await real("resumed:crew", "r1", CALLS=str(calls), STICK="two")
    kickoff = await first.kickoff(topic="tea")
    await comes_to(calls, "tool two")
    await kept(kickoff)
    await kill(first, kickoff, "server", "worker")
    second = await real("resumed:crew", "r2", CALLS=str(calls), STICK="two")

    async def goes_on():
        seen = await second.status(kickoff)
        return seen if seen["attempt"] == 2 and seen["current_task"] else None

    seen = await wait_until(goes_on, "the second replica goes on", 40)
    assert (seen["current_task"], seen["progress"]) == ("two", {"completed_tasks": 1, "total_tasks": 3})
    assert seen["resumed_from_task"] == "two"


@pytest.mark.parametrize(
    ("before", "after", "why"),
    [("led", "led", "hierarchical"), ("beside", "beside", "async_execution"), ("crew", "changed", "was changed")],
    ids=["hierarchical", "async", "changed"],
)
async def test_what_cannot_go_on_starts_anew_and_the_status_says_why(real, calls, kept, before, after, why):
    first = await real(f"resumed:{before}", "r1", CALLS=str(calls), STICK="two")
    kickoff = await first.kickoff(topic="tea")
    await comes_to(calls, "tool two")
    if before == "crew":  # the others keep nothing
        await kept(kickoff)
    await kill(first, kickoff, "server", "worker")
    free(calls)
    second = await real(f"resumed:{after}", "r2", CALLS=str(calls))
    ended = await second.ended(kickoff, 60)
    assert (ended["status"], ended["attempt"], ended["resumed_from_task"]) == ("completed", 2, None), ended
    assert why in ended["restarted_because"]
    assert noted(calls).count("tool one") == 2


async def test_persisted_flow_goes_on_behind_its_finished_methods(real, calls, kept):
    first = await real("resumed:Written", "r1", CALLS=str(calls), STICK="praise")
    kickoff = await first.kickoff("ada", topic="tea")
    await comes_to(calls, "praise GOOD")
    await kept(kickoff)
    await kill(first, kickoff, "server", "worker")
    free(calls)
    second = await real("resumed:Written", "r2", CALLS=str(calls))
    ended = await second.ended(kickoff, 60)
    assert (ended["status"], ended["attempt"], ended["resumed_from_task"]) == ("completed", 2, "praise"), ended
    assert ended["result"]["output"] == "good tea++ 2"
    assert noted(calls) == ["draft", "judge Thing 1", "draft", "judge Thing 2", "publish", *["praise GOOD"] * 2]


async def test_crew_that_must_not_be_started_again_fails_and_keeps_nothing(real, calls, redis):
    first = await real("resumed:crew", "r1", CALLS=str(calls), STICK="two", CREWOPS_ON_REPLICA_LOSS="Fail")
    kickoff = await first.kickoff(topic="tea")
    await comes_to(calls, "tool two")
    assert not [one for one in redis.client().scan_iter("*") if ":done:" in one]
    await kill(first, kickoff, "server", "worker")
    second = await real("resumed:crew", "r2", CALLS=str(calls), CREWOPS_ON_REPLICA_LOSS="Fail")
    ended = await second.ended(kickoff, 40)
    assert (ended["status"], ended["reason"], ended["attempt"]) == ("error", "ReplicaLost", 1)
    assert noted(calls) == ALL[:3]
