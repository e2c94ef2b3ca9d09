"""What a running kickoff has finished, in a real Redis: under the fence, in order, bounded, and gone with its end."""

import json
import uuid

import pytest

from crew_runtime.contract import frames, keys
from crew_server import redis_client
from crew_server.execution import progress
from crew_server.execution.kickoff import RunningKickoff
from crew_server.execution.progress import Finished, Keeper
from crew_server.metrics import Metrics
from crew_server.queue import state
from crew_server.queue.queue import Queue
from crew_server.queue.state import Claim, Request
from crew_server.settings import Settings

PREFIX = "test/crew"
DONE = state.completed({"t": "result", "output": "x", "memory": "ok"})
KEY = keys.finished(PREFIX, "k1")


def _settings(url, replica):
    return Settings(namespace="test", name="crew", replica=replica, redis_url=url, key_prefix=PREFIX)


@pytest.fixture
async def bare(redis):
    client = redis_client.connect(_settings(redis.url, "r1"))
    yield client
    await client.aclose()


@pytest.fixture
def first(bare, redis):
    return Queue(bare, _settings(redis.url, "r1"))


@pytest.fixture
def second(bare, redis):
    return Queue(bare, _settings(redis.url, "r2"))


async def started(queue):
    await queue.accept(Request("k1", "s", {}, {}, 60), None, 100)
    return await claimed(queue)


async def claimed(queue):
    claim = await queue.claim(uuid.uuid4().hex)
    assert claim is not None
    return claim


def finished(index, row="{}"):
    return {"t": frames.FINISHED, "id": "k1", "index": index, "row": {"say": row}}


def running(claim):
    return RunningKickoff(claim, None, 512, Metrics(), lambda _: None, lambda: None, lambda: None)


async def test_next_attempt_is_given_what_the_last_one_finished(first, second, bare, redis):
    claim = await started(first)
    assert claim.finished == ()
    assert await first.keep(claim, ["a", "b"], 0) == 2
    assert await first.keep(claim, ["c"], 2) == 3
    assert await first.keep(claim, ["c"], 2) == 3, "asked twice, kept once"
    assert 0 < redis.client().ttl(KEY) <= 8 * 24 * 3600
    await first.release(claim, "e", lost=True)
    again = await claimed(second)
    assert (again.attempt, again.finished) == (2, ("a", "b", "c"))
    assert await second.finish(again, DONE, "e2", {}, gone=True) == (True, "completed")
    assert not await bare.exists(KEY), "it goes with the end"


async def test_stale_slot_writes_no_progress(first, second, bare):
    old = await started(first)
    assert await first.keep(old, ["a"], 0) == 1
    await first.release(old, "e", lost=True)
    assert await first.keep(old, ["late"], 1) == -1, "nobody has it"
    young = await claimed(second)
    assert await first.keep(old, ["late"], 1) == -1
    assert await second.keep(old, ["late"], 1) == -1, "of an attempt before"
    assert await second.keep(young, ["b"], 1) == 2
    assert await bare.lrange(KEY, 0, -1) == ["a", "b"]
    await second.cancel("k1")
    assert await second.keep(young, ["c"], 2) == -1, "it has ended"
    assert not await bare.exists(KEY)


async def test_attempt_that_starts_anew_replaces_all_that_was_kept(first, bare):
    claim = await started(first)
    await first.keep(claim, ["a", "b", "c"], 0)
    assert await first.keep(claim, ["A"], 0) == 1
    assert await bare.lrange(KEY, 0, -1) == ["A"]


async def test_what_redis_lost_of_it_is_written_again(first, bare):
    kickoff = running(await started(first))
    keeper = Keeper(first, lambda: [kickoff])
    for index in range(3):
        assert kickoff.finished.take(finished(index))
    await keeper.keep(kickoff)
    await bare.delete(KEY)
    kickoff.finished.take(finished(3))
    await keeper.keep(kickoff)
    assert await bare.llen(KEY) == 4


async def test_person_that_is_asked_does_not_cost_what_was_finished(first, second):
    claim = await started(first)
    await first.keep(claim, ["a"], 0)
    asked = state.paused({"t": "paused", "id": "k1", "task_id": "q", "completed": 1, "saved": {}}).pause
    assert asked is not None
    await first.pause(claim, asked, {})
    assert await first.keep(claim, ["b"], 1) == -1
    await second.resume("k1", "q", {"answer": json.dumps({"feedback": "", "approved": True})}, {})
    assert (await claimed(second)).finished == ("a",)


async def test_new_attempt_says_anew_where_it_begins(first, second, bare):
    claim = await started(first)
    kickoff = running(claim)
    kickoff.on_frame({"t": frames.BEGUN, "id": "k1", "task": "two", "completed": 1, "why": ""})
    run = keys.run(PREFIX, "k1")
    await bare.hset(run, mapping=dict(kickoff.take_unsaved()))
    seen = state.view(*await first.read("k1"))
    assert (seen["resumed_from_task"], seen["progress"]["completed_tasks"]) == ("two", 1)
    await first.release(claim, "e", lost=True)
    await claimed(second)
    assert state.view(*await first.read("k1"))["resumed_from_task"] is None


def test_rows_are_taken_in_order_and_up_to_a_limit(monkeypatch):
    rows = Finished()
    assert not rows.take(finished(1)), "a gap"
    assert not rows.take({"t": frames.FINISHED, "index": "0", "row": {}})
    assert not rows.take({"t": frames.FINISHED, "index": 0, "row": "text"})
    assert rows.take(finished(0))
    monkeypatch.setattr(progress, "MAX_BYTES", 1000)
    assert rows.take(finished(1, "x" * 500))
    assert not rows.take(finished(2, "x" * 500)), "too much"
    assert not rows.take(finished(3)), "nothing behind what was too much"
    assert len(rows.rows) == 2
    assert rows.take(finished(0)), "a kickoff that starts anew has room again"
    assert (len(rows.rows), rows.stored) == (1, 0)


def test_frame_that_would_be_too_long_goes_without_them(monkeypatch):
    claim = Claim(Request("k1", "s", {}, {}, 60), 2, 1, 0.0, finished=('{"say":"' + "x" * 100 + '"}',))
    assert progress.run_fields(claim, keep=True) == {"keep": True, "finished": [{"say": "x" * 100}]}
    monkeypatch.setattr(progress, "MAX_FIELDS_BYTES", 50)
    assert progress.run_fields(claim, keep=False) == {"keep": False, "finished": []}
