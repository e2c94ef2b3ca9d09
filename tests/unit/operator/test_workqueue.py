import asyncio
import contextlib

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from crew_operator.workqueue import Backoff, Result, WorkQueue
from support import virtual_time


def drive(handle, script, seconds, **options):
    """Runs `script(queue)` against a queue of 4 workers for so many virtual seconds; gives the queue."""

    async def main():
        queue = WorkQueue(handle, **options)
        work = asyncio.create_task(queue.run(4))
        await script(queue)
        await asyncio.sleep(seconds)
        work.cancel()
        with contextlib.suppress(asyncio.CancelledError):
            await work
        return queue

    return virtual_time.run(main())


def recorder(seen, result=None, takes=0.0):
    async def handle(key):
        seen.append((asyncio.get_running_loop().time(), key))
        await asyncio.sleep(takes)
        return result or Result()

    return handle


def test_key_added_twice_is_handled_once():
    async def script(queue):
        queue.add("a", after=1)
        queue.add("a", after=1)

    seen = []
    drive(recorder(seen), script, 10)
    assert seen == [(1, "a")]


def test_earliest_wanted_time_wins():
    async def script(queue):
        queue.add("a", after=5)
        queue.add("a", after=2)
        queue.add("a", after=9)

    seen = []
    drive(recorder(seen), script, 20)
    assert seen == [(2, "a")]


def test_key_added_while_it_is_handled_is_handled_after_that():
    async def script(queue):
        queue.add("a")
        await asyncio.sleep(1)
        queue.add("a")
        queue.add("a")

    seen = []
    drive(recorder(seen, takes=3), script, 20)
    assert seen == [(0, "a"), (3, "a")]


def test_one_key_is_never_handled_twice_at_a_time_while_others_go_on():
    running, most, overlap = set(), [0], []

    async def handle(key):
        overlap.append(key in running)
        running.add(key)
        most[0] = max(most[0], len(running))
        await asyncio.sleep(1)
        running.discard(key)
        return Result()

    async def script(queue):
        for _ in range(5):
            for key in "abcdef":
                queue.add(key)
            await asyncio.sleep(0.5)

    drive(handle, script, 20)
    assert not any(overlap)
    assert most[0] == 4


def test_result_says_when_to_come_back():
    seen = []
    drive(recorder(seen, Result(after=3)), lambda queue: _add(queue, "a"), 10)
    assert [when for when, _ in seen] == [0, 3, 6, 9]


async def _add(queue, key):
    queue.add(key)


def test_failures_back_off_exponentially_up_to_the_longest():
    seen = []

    async def handle(key):
        seen.append(asyncio.get_running_loop().time())
        raise OSError("no")

    queue = drive(handle, lambda q: _add(q, "a"), 200, backoff=Backoff(first=1, longest=60))
    assert seen[:8] == [0, 1, 3, 7, 15, 31, 63, 123]
    assert queue.failures("a") == len(seen)


def test_success_clears_the_backoff():
    seen = []

    async def handle(key):
        seen.append(asyncio.get_running_loop().time())
        if len(seen) in (1, 2, 4):
            raise OSError("no")
        return Result(after=10)

    drive(handle, lambda q: _add(q, "a"), 25, backoff=Backoff(first=1))
    assert seen == [0, 1, 3, 13, 14, 24]


def test_error_that_asks_for_a_pause_gets_it():
    seen = []

    async def handle(key):
        seen.append(asyncio.get_running_loop().time())
        raise OSError("busy")

    drive(handle, lambda q: _add(q, "a"), 15, retry_after=lambda error: 7.0)
    assert seen == [0, 7, 14]


def test_event_does_not_wait_for_the_backoff():
    seen = []

    async def handle(key):
        seen.append(asyncio.get_running_loop().time())
        raise OSError("no")

    async def script(queue):
        queue.add("a")
        await asyncio.sleep(1)
        queue.add("a")

    drive(handle, script, 0.5, backoff=Backoff(first=30))
    assert seen == [0, 1]


def test_one_keys_failure_does_not_hold_up_another():
    seen = []

    async def handle(key):
        seen.append(key)
        if key == "bad":
            raise RuntimeError("a bug")
        return Result()

    async def script(queue):
        queue.add("bad")
        queue.add("good")

    queue = drive(handle, script, 0.1)
    assert seen == ["bad", "good"]
    assert (queue.handled, queue.failed) == (2, 1)


@settings(max_examples=50)
@given(st.lists(st.tuples(st.sampled_from("abc"), st.integers(0, 500).map(lambda tenths: tenths / 10)), max_size=30))
def test_every_key_is_handled_at_its_earliest_time(wanted):
    seen = []

    async def script(queue):
        for key, after in wanted:
            queue.add(key, after=after)

    drive(recorder(seen), script, 60)
    earliest = {}
    for key, after in wanted:
        earliest[key] = min(after, earliest.get(key, after))
    assert {key: when for when, key in seen} == pytest.approx(earliest)
    assert len(seen) == len(earliest)
