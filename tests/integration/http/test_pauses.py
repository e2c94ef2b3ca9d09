"""The scripts that put a kickoff away until a person answers, on a real Redis, without servers around them."""

import uuid

import pytest

from crew_runtime.contract import keys
from crew_server import redis_client
from crew_server.queue import human, state
from crew_server.queue.queue import FENCED, Queue, Watched
from crew_server.queue.state import Request
from crew_server.settings import Settings

PREFIX = "test/crew"
ANSWER = human.answer_fields("warmer", approved=False)
DONE = state.completed({"t": "result", "output": "x", "memory": "ok"})


def question(task_id="q1"):
    frame = {"t": "paused", "task_id": task_id, "output": "x", "round": 1, "completed": 2, "saved": {"kept": [1]}}
    return human.paused(frame)


@pytest.fixture
async def bare(redis):
    client = redis_client.connect(Settings("test", "crew", "r0", redis.url, PREFIX), deadline=5)
    yield client
    await client.aclose()


@pytest.fixture
def queues(bare, redis):
    """Of two replicas."""
    return [Queue(bare, Settings("test", "crew", name, redis.url, PREFIX)) for name in ("r1", "r2")]


async def _claimed(queue, kickoff="k1", *, accept=True):
    if accept:
        await queue.accept(Request(kickoff, "ada", {}, {}, 60, ordered=True), None, 100)
    claim = await queue.claim(uuid.uuid4().hex)
    assert claim is not None
    return claim


async def _status(bare):
    return await bare.hget(keys.run(PREFIX, "k1"), "status")


async def test_pause_and_answer_may_each_be_written_twice_by_one_call(queues, bare):
    first, second = queues
    claim = await _claimed(first)
    for _ in range(2):
        assert await first.pause(claim, question(), {}) == (True, state.PENDING)
    assert await bare.zcard(keys.pending(PREFIX)) == 1
    assert await bare.zcard(keys.leases(PREFIX)) == 0
    assert await second.resume("k1", "q1", ANSWER, {}) == ("resumed", "ada")
    # A late try of the pause does not put away again what goes on.
    assert await first.pause(claim, question(), {}) == (True, state.RUNNING)
    assert await bare.xlen(keys.handed_back(PREFIX)) == 1
    again = await _claimed(second, accept=False)
    assert (again.attempt, again.completed) == (2, 2)
    assert again.resume == state.Resume("q1", {"kept": [1]}, "warmer", approved=False)
    assert await second.claim(uuid.uuid4().hex) is None


async def test_pause_of_a_stale_attempt_is_refused(queues, bare):
    first, second = queues
    stale = await _claimed(first)
    assert (await first.release(stale, "e", lost=True))[0]
    current = await _claimed(second, accept=False)
    assert await first.pause(stale, question(), {}) == (False, FENCED)
    assert await _status(bare) == state.RUNNING
    assert (await second.pause(current, question("q2"), {}))[0]
    assert await first.finish(stale, DONE, "end", {}, gone=True) == (False, FENCED)
    assert await _status(bare) == state.PENDING


async def test_pause_of_a_cancelled_kickoff_changes_nothing(queues, bare):
    first, second = queues
    claim = await _claimed(first)
    assert (await second.cancel("k1"))[0]
    assert await first.pause(claim, question(), {}) == (False, state.CANCELLED)
    assert await bare.zcard(keys.pending(PREFIX)) == 0


async def test_pause_that_redis_lost_the_kickoff_of_is_written_after_a_restore(queues, bare):
    first, _ = queues
    claim = await _claimed(first)
    await bare.delete(keys.run(PREFIX, "k1"), keys.leases(PREFIX), keys.line(PREFIX, "ada"))
    assert await first.pause(claim, question(), {}) == (False, "")
    assert await first.restore(claim, 1.0, {})
    assert (await first.pause(claim, question(), {}))[0]
    assert await bare.lrange(keys.line(PREFIX, "ada"), 0, -1) == ["k1"]


async def test_redis_that_lost_an_answer_gets_it_back_from_the_server_that_runs_with_it(queues, bare):
    first, second = queues
    await first.pause(await _claimed(first), question(), {})
    before = await bare.hgetall(keys.run(PREFIX, "k1"))
    await second.resume("k1", "q1", ANSWER, {})
    claim = await _claimed(second, accept=False)
    # Redis comes back as it was while the person thought.
    await bare.delete(keys.run(PREFIX, "k1"), keys.leases(PREFIX))
    await bare.hset(keys.run(PREFIX, "k1"), mapping=before)
    await bare.zadd(keys.pending(PREFIX), {"k1": 9e15})
    assert await second.watch([Watched("k1", claim.attempt, {})]) == [""]
    assert await second.restore(claim, 1.0, {})
    assert await bare.zcard(keys.pending(PREFIX)) == 0
    assert await first.resume("k1", "q1", ANSWER, {}) == ("answered", state.RUNNING)
    # And it dies: the answer is still there for the next.
    assert (await second.release(claim, "e", lost=True))[0]
    assert (await _claimed(first, accept=False)).resume == claim.resume
    assert (await first.finish(await _current(first, claim), DONE, "end", {}, gone=True))[0]
    left = await bare.hkeys(keys.run(PREFIX, "k1"))
    assert not {"saved", "answer", "asked"} & set(left)


async def _current(queue, claim):
    fields, _ = await queue.read("k1")
    return state.Claim(claim.request, int(fields["attempt"]), 0, 0.0)


async def test_line_of_a_session_waits_behind_a_question_and_goes_on_after_its_end(queues, bare):
    first, second = queues
    claim = await _claimed(first)
    await first.accept(Request("k2", "ada", {}, {}, 60, ordered=True), None, 100)
    await first.pause(claim, question(), {})
    assert await second.claim(uuid.uuid4().hex) is None
    assert (await second.cancel("k1"))[0]
    assert (await _claimed(second, accept=False)).request.kickoff_id == "k2"


async def test_webhooks_of_an_answer_replace_those_of_the_kickoff_one_by_one(queues, bare):
    first, _ = queues
    hooks = {"task": {"url": "http://a/"}, "crew": {"url": "http://b/"}}
    await first.accept(Request("k1", "ada", {}, {}, 60, hooks=hooks), None, 100)
    await first.pause(await _claimed(first, accept=False), question(), {})
    await first.resume("k1", "q1", ANSWER, {"crew": {"url": "http://c/"}})
    claim = await _claimed(first, accept=False)
    assert claim.request.hooks == {"task": {"url": "http://a/"}, "crew": {"url": "http://c/"}}
