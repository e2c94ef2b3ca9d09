"""A kickoff that asks a person waits in Redis, holds no slot, and takes one answer: real servers, scripted slots."""

import asyncio
import uuid

import pytest

from crew_runtime.contract import keys
from support.receiver import receiver
from support.replicas import wait_until

PREFIX = "test/crew"
PENDING = "pending_human_input"


async def asks(replica, kickoff):
    """The status of a kickoff that asks."""
    return await replica.reaches(kickoff, PENDING)


def answer(replica, seen, feedback="", *, approve=True, **more):
    body = {
        "execution_id": seen["kickoff_id"],
        "task_id": seen["task_id"],
        "human_feedback": feedback,
        "is_approve": approve,
        **more,
    }
    return replica.api.post("/resume", json=body)


async def test_question_is_shown_by_any_replica_and_holds_no_slot(make):
    one = await make("r1", CREWOPS_CONCURRENCY="1")
    other = await make("r2", idle=True)
    kickoff = await one.kickoff(do="ask")
    seen = await asks(other, kickoff)
    assert (seen["task"], seen["agent"], seen["output"], seen["round"]) == ("answer", "a", "draft", 1)
    assert seen["progress"] == {"completed_tasks": 0, "total_tasks": 2}
    assert 0 < seen["until"] - seen["since"] == 7 * 24 * 3600
    assert "saved" not in seen
    # The only slot runs others while the person thinks.
    assert (await one.ended(await one.kickoff(say="next")))["result"]["output"] == "next"
    waited = await one.api.post("/kickoff?wait=20", json={"inputs": {"do": "ask"}})
    assert waited.json()["status"] == PENDING


async def test_feedback_is_worked_in_and_asked_about_again_until_it_is_approved(make):
    replica = await make()
    kickoff = await replica.kickoff(do="ask")
    first = await asks(replica, kickoff)
    told = await answer(replica, first, "shorter", approve=False)
    assert (told.status_code, told.json()["status"], told.json()["kickoff_id"]) == (200, "retrying", kickoff)

    async def again():
        seen = await replica.status(kickoff)
        return seen if seen.get("round") == 2 else None

    second = await wait_until(again, "it asks again")
    assert second["output"] == "draft + shorter"
    assert second["task_id"] != first["task_id"]
    assert (await answer(replica, second)).json()["status"] == "resumed"
    ended = await replica.ended(kickoff)
    assert (ended["status"], ended["result"]["output"]) == ("completed", "approved in round 2: draft + shorter")
    assert ended["attempt"] == 3


async def test_of_ten_answers_by_two_servers_at_once_one_counts(make, redis):
    one, other = await make("r1"), await make("r2")
    for _ in range(5):
        seen = await asks(one, await one.kickoff(do="ask"))
        told = await asyncio.gather(*(answer(replica, seen, f"by {n}") for n in range(5) for replica in (one, other)))
        codes = sorted(each.status_code for each in told)
        assert codes == [200] + [409] * 9
        assert {each.json()["reason"] for each in told if each.status_code == 409} == {"AlreadyAnswered"}
        assert (await one.ended(seen["kickoff_id"]))["attempt"] == 2
    client = redis.client()
    assert (
        client.zcard(keys.pending(PREFIX))
        == client.zcard(keys.waiting(PREFIX))
        == client.zcard(keys.leases(PREFIX))
        == 0
    )


async def test_answer_that_nobody_waits_for_is_refused_with_the_reason(make):
    replica = await make()
    seen = await asks(replica, await replica.kickoff(do="ask"))
    other = await answer(replica, {**seen, "task_id": "another"})
    assert (other.status_code, other.json()["reason"]) == (409, "OtherQuestion")
    assert seen["task_id"] in other.json()["message"]
    unsaid = await answer(replica, seen, "  ", approve=False)
    assert (unsaid.status_code, unsaid.json()["details"]["field"]) == (422, "human_feedback")
    unknown = await answer(replica, {**seen, "kickoff_id": str(uuid.uuid4())})
    assert (unknown.status_code, unknown.json()["reason"]) == (404, "UnknownKickoff")
    assert (await answer(replica, seen)).status_code == 200
    await replica.ended(seen["kickoff_id"])
    late = await answer(replica, seen)
    assert (late.json()["reason"], late.json()["details"]["status"]) == ("AlreadyAnswered", "completed")
    never = await replica.kickoff(say="no question")
    await replica.ended(never)
    idle = await answer(replica, {"kickoff_id": never, "task_id": "x"})
    assert (idle.status_code, idle.json()["reason"]) == (409, "NotPending")


async def test_answer_is_waited_for_as_a_kickoff_is(make):
    replica = await make()
    seen = await asks(replica, await replica.kickoff(do="ask"))
    body = {"execution_id": seen["kickoff_id"], "task_id": seen["task_id"], "is_approve": True}
    told = await replica.api.post("/resume?wait=20", json=body)
    assert told.json()["status"] == "completed"


async def test_pending_kickoff_is_cancelled_by_any_replica(make, redis):
    one, other = await make("r1"), await make("r2", idle=True)
    seen = await asks(one, await one.kickoff(do="ask"))
    told = await other.api.delete(f"/kickoff/{seen['kickoff_id']}")
    assert told.json()["status"] == "cancelled"
    late = await answer(one, seen)
    assert (late.status_code, late.json()["reason"]) == (409, "NotPending")
    client = redis.client()
    assert client.zcard(keys.pending(PREFIX)) == 0
    assert not {"saved", "asked"} & set(client.hkeys(keys.run(PREFIX, seen["kickoff_id"])))


async def test_redis_that_is_killed_keeps_question_and_answer(make, redis):
    replica = await make()
    seen = await asks(replica, await replica.kickoff(do="ask"))
    await asyncio.sleep(1.1)  # appendfsync everysec
    redis.kill()
    await replica.ready(wanted=False)
    away = await answer(replica, seen)
    assert away.status_code == 503
    redis.start()
    await replica.ready()
    assert (await replica.status(seen["kickoff_id"]))["task_id"] == seen["task_id"]
    assert (await answer(replica, seen)).status_code == 200
    assert (await replica.ended(seen["kickoff_id"]))["status"] == "completed"


async def test_replica_that_dies_after_an_answer_loses_neither_it_nor_what_was_saved(make):
    victim, heir = await make("r1"), await make("r2", idle=True)
    seen = await asks(victim, await victim.kickoff(do="ask", stuck_until=2))
    assert (await answer(heir, seen)).status_code == 200

    async def at_it():
        return (await victim.report())["running"] == 1

    await wait_until(at_it, "the victim goes on")
    for process in (victim.server, victim.worker):
        process.kill()
    heir.start_worker()
    ended = await heir.ended(seen["kickoff_id"], 30)
    assert (ended["result"]["output"], ended["attempt"]) == ("approved in round 1: draft", 3)


async def test_session_waits_for_the_answer_and_others_do_not(make):
    replica = await make()
    first = await replica.kickoff("ada", do="ask")
    seen = await asks(replica, first)
    second = await replica.kickoff("ada", say="after")
    assert (await replica.ended(await replica.kickoff("bob", say="beside")))["status"] == "completed"
    assert (await replica.status(second))["queued"] is True
    busy = await replica.api.delete("/sessions/ada")
    assert (busy.status_code, busy.json()["details"]) == (409, {"running": 2})
    assert "person" in busy.json()["message"]
    await answer(replica, seen)
    ended = await replica.ended(second)
    assert (ended["status"], (await replica.status(first))["status"]) == ("completed", "completed")


async def test_pending_session_is_erased_by_force(make):
    replica = await make()
    seen = await asks(replica, await replica.kickoff("ada", do="ask"))
    erased = await replica.api.delete("/sessions/ada?force=true")
    assert (erased.status_code, erased.json()["kickoffs"]) == (200, 1)
    assert (await replica.status(seen["kickoff_id"]))["status"] == "cancelled"


async def test_question_that_nobody_answers_is_given_up_and_lets_its_session_go_on(make):
    replica = await make(CREWOPS_HUMAN_INPUT_TIMEOUT="1")
    kickoff = await replica.kickoff("ada", do="ask")
    after = await replica.kickoff("ada", say="after")
    ended = await replica.ended(after, 30)
    assert ended["result"]["output"] == "after"
    seen = await replica.status(kickoff)
    assert (seen["status"], seen["reason"]) == ("timeout", "HumanInputTimeout")


@pytest.mark.parametrize("wrong", [{"is_approve": "yes"}, {"execution_id": 3}, {"round": 1}])
async def test_answer_of_a_wrong_form_is_refused(make, wrong):
    replica = await make(idle=True)
    body = {"execution_id": "x", "task_id": "y", "human_feedback": "", "is_approve": True, **wrong}
    told = await replica.api.post("/resume", json=body)
    assert (told.status_code, told.json()["reason"]) == (422, "InvalidField")


HERE = {"CREWOPS_WEBHOOK_HOSTS": "127.0.0.1"}
BEARER = {"strategy": "bearer", "token": "t0ken"}


@pytest.fixture
def hooks():
    with receiver() as one:
        yield one


async def _received(hooks, path, number=1):
    async def look():
        return len(hooks.of(path)) >= number

    await wait_until(look, f"{number} on /{path}", 20)
    return hooks.of(path)


async def test_webhook_is_told_each_question_and_an_answer_changes_it(make, hooks):
    replica = await make(**HERE)
    body = {"inputs": {"do": "ask"}, "humanInputWebhook": {"url": hooks.url("ask"), "authentication": BEARER}}
    kickoff = (await replica.api.post("/kickoff", json=body)).json()["kickoff_id"]
    (first,) = await _received(hooks, "ask")
    assert first.headers["authorization"] == "Bearer t0ken"
    seen = await asks(replica, kickoff)
    wanted = {"execution_id": kickoff, "task_id": seen["task_id"], "task": "answer", "output": "draft", "round": 1}
    assert wanted.items() <= first.body.items()
    # What the webhook was sent is enough to answer; the platform's words, and a new place for what is asked next.
    basic = {"strategy": "basic", "username": "u", "password": "p"}
    more = {
        "humanInputWebhook": {"url": hooks.url("again"), "authentication": basic},
        "crewWebhookUrl": hooks.url("end"),
    }
    told = await answer(
        replica, {"kickoff_id": first.body["execution_id"], **first.body}, "warmer", approve=False, **more
    )
    assert told.status_code == 200, told.text
    (second,) = await _received(hooks, "again")
    assert (second.body["round"], second.headers["authorization"]) == (2, "Basic dTpw")
    assert (await answer(replica, {"kickoff_id": kickoff, **second.body})).status_code == 200
    (end,) = await _received(hooks, "end")
    assert (end.body["status"], end.body["result"]) == ("completed", "approved in round 2: draft + warmer")
    assert len(hooks.of("ask")) == 1


async def test_questions_and_answers_are_events(make):
    replica = await make()
    seen = await asks(replica, await replica.kickoff(do="ask"))
    await answer(replica, seen)
    await replica.ended(seen["kickoff_id"])
    told = (await replica.api.get(f"/kickoff/{seen['kickoff_id']}/events")).text
    kinds = [line.partition(": ")[2] for line in told.splitlines() if line.startswith("event: ")]
    assert kinds == ["human_input_requested", "human_input_received", "end"]


@pytest.mark.parametrize(
    "hook",
    [
        {"url": "http://169.254.169.254/"},
        {"url": "ftp://127.0.0.1/"},
        {"url": "http://127.0.0.1/", "authentication": {"strategy": "bearer"}},
        {"url": "http://127.0.0.1/", "authentication": {"strategy": "basic", "username": "u"}},
        {"url": "http://127.0.0.1/", "authentication": {"strategy": "digest"}},
        {"url": "http://127.0.0.1/", "authentication": {"strategy": "bearer", "token": "a\r\nb: c"}},
    ],
)
async def test_webhook_that_cannot_be_called_is_refused_at_once(make, hook):
    replica = await make(**HERE)
    told = await replica.api.post("/kickoff", json={"inputs": {}, "humanInputWebhook": hook})
    assert (told.status_code, told.json()["reason"]) == (422, "InvalidField"), told.text
    assert "humanInputWebhook" in told.text


async def test_each_of_several_kickoffs_has_the_webhook(make, hooks):
    replica = await make(**HERE)
    hook = {"url": hooks.url("ask"), "authentication": BEARER}
    body = {"inputs": [{"do": "ask"}, {"do": "ask"}], "humanInputWebhook": hook}
    assert (await replica.api.post("/kickoff_for_each", json=body)).status_code == 200
    assert len({one.body["kickoff_id"] for one in await _received(hooks, "ask", 2)}) == 2
