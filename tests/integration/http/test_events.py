"""A kickoff's events over HTTP: as they happen, from any replica, from any place on, until the end."""

import asyncio
import json
import signal

from support.replicas import wait_until


async def _events(replica, kickoff, after=None, until="end"):
    """[(id, type, data)] up to and with the first of type `until`; comments have neither."""
    found, headers = [], {"Last-Event-ID": after} if after else {}
    async with asyncio.timeout(40), replica.api.stream("GET", f"/kickoff/{kickoff}/events", headers=headers) as answer:
        assert answer.status_code == 200, await answer.aread()
        assert answer.headers["content-type"].startswith("text/event-stream")
        event = {}
        async for line in answer.aiter_lines():
            if not line:
                if "event" in event:
                    found.append((event["id"], event["event"], json.loads(event["data"])))
                    if event["event"] == until:
                        return found
                event = {}
            elif not line.startswith(":"):
                name, _, value = line.partition(": ")
                event[name] = value
    return found


async def test_all_that_a_kickoff_tells_is_followed_to_its_end(make):
    first, second = await make("r1"), await make("r2", idle=True)
    kickoff = await first.kickoff(do="step", seconds=0.3)
    for replica in (first, second, second):  # the last one comes late
        events = await _events(replica, kickoff)
        assert [kind for _, kind, _ in events] == ["task_started", "tool_usage_finished", "task_completed", "end"]
        assert events[2][2] | {"output": "hello", "kickoff_id": kickoff, "attempt": 1} == events[2][2]
        assert events[3][2]["status"] == "completed"
        assert events[3][2]["result"]["output"] == "hello"


async def test_an_event_is_there_while_the_kickoff_still_runs(make):
    replica = await make()
    kickoff = await replica.kickoff(do="sleep")
    ((_, kind, told),) = await _events(replica, kickoff, until="task_started")
    assert (kind, told["task"]) == ("task_started", "sleeping")
    assert (await replica.status(kickoff))["status"] == "running"


async def test_a_client_that_lost_its_connection_goes_on_where_it_was(make):
    replica = await make()
    kickoff = await replica.kickoff(do="step")
    events = await _events(replica, kickoff)
    assert await _events(replica, kickoff, after=events[1][0]) == events[2:]
    refused = await replica.api.get(f"/kickoff/{kickoff}/events", headers={"Last-Event-ID": "yesterday"})
    assert (refused.status_code, refused.json()["details"]["field"]) == (422, "Last-Event-ID")


async def test_there_are_none_of_a_kickoff_that_is_not_there(make):
    replica = await make()
    assert (await replica.api.get("/kickoff/unknown/events")).status_code == 404


async def test_attempts_are_told_apart_and_a_follower_outlives_the_replica_that_ran_it(make):
    first, second = await make("r1"), await make("r2", idle=True)
    kickoff = await first.kickoff(do="step", seconds=2)
    following = asyncio.create_task(_events(second, kickoff))
    await _events(first, kickoff, until="tool_usage_finished")
    first.server.send_signal(signal.SIGKILL)
    second.start_worker()
    events = await following
    started = [told["attempt"] for _, kind, told in events if kind == "task_started"]
    assert started == [1, 2]
    assert events[-1][2]["status"] == "completed"


async def test_a_follower_outlives_redis(make, redis):
    replica = await make()
    kickoff = await replica.kickoff(do="step", seconds=3)
    following = asyncio.create_task(_events(replica, kickoff))
    await _events(replica, kickoff, until="tool_usage_finished")
    redis.kill()
    redis.start()
    assert [kind for _, kind, _ in await following][-2:] == ["task_completed", "end"]


async def test_as_many_events_are_kept_as_a_limit_allows(make, redis):
    replica = await make()
    kickoff = await replica.kickoff(do="step", events=3000)
    await replica.ended(kickoff, 30)

    async def told():
        return (await _events(replica, kickoff))[-1][1] == "end"

    await wait_until(told, "the end is told")
    (stream,) = redis.client().keys("*:ev:*")
    assert redis.client().xlen(stream) <= 1200


async def test_for_each_starts_a_kickoff_for_each_of_its_inputs(make):
    replica = await make()
    inputs = [{"say": one} for one in ("a", "b", "c")]
    answer = await replica.api.post("/kickoff_for_each?wait=20", json={"inputs": inputs})
    assert [one["result"]["output"] for one in answer.json()["kickoffs"]] == ["a", "b", "c"]
    assert len({one["session_id"] for one in answer.json()["kickoffs"]}) == 3


async def test_for_each_in_one_session_goes_in_order(make, tmp_path):
    replica = await make()
    path = tmp_path / "journal"
    inputs = [{"do": "journal", "path": str(path), "seconds": 0.1, "say": str(at)} for at in range(4)]
    answer = await replica.api.post("/kickoff_for_each?wait=20", json={"inputs": inputs, "session_id": "ann"})
    ids = [one["kickoff_id"] for one in answer.json()["kickoffs"]]
    lines = [json.loads(line) for line in path.read_text().splitlines()]
    assert [(one[1], one[2]) for one in lines] == [(one, what) for one in ids for what in ("start", "end")]


async def test_for_each_with_one_key_is_taken_once(make):
    replica = await make()
    body = {"inputs": [{"say": "a"}, {"say": "b"}], "idempotency_key": "k"}
    first, second = [(await replica.api.post("/kickoff_for_each", json=body)).json() for _ in range(2)]
    assert first == second
    other = await replica.api.post("/kickoff_for_each", json={**body, "inputs": [{"say": "x"}]})
    assert other.status_code == 422


async def test_for_each_says_of_each_whether_it_was_taken(make):
    replica = await make(CREWOPS_QUEUE_LIMIT="2")
    body = {"inputs": [{"do": "sleep"}] * 7}
    kickoffs = (await replica.api.post("/kickoff_for_each", json=body)).json()["kickoffs"]
    taken = [one for one in kickoffs if "kickoff_id" in one]
    refused = [one for one in kickoffs if "reason" in one]
    assert kickoffs == taken + refused
    assert 2 <= len(taken) <= 4
    assert {one["reason"] for one in refused} == {"QueueFull"}


async def test_for_each_of_bad_inputs_takes_none(make):
    replica = await make(SCRIPTED_INPUTS="city")
    answer = await replica.api.post("/kickoff_for_each", json={"inputs": [{"city": "Rome"}, {}]})
    assert (answer.status_code, answer.json()["details"]["missing_inputs"]) == (422, ["city"])
    for bad in ([], [{}] * 1001, "x"):
        answer = await replica.api.post("/kickoff_for_each", json={"inputs": bad})
        assert (answer.status_code, answer.json()["reason"]) == (422, "InvalidField")
