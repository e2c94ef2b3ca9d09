import asyncio
import contextlib

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from crew_operator import redis_client
from crew_operator.settings import Settings
from crew_operator.workqueue import HANDICAP, Backoff, Result, WorkQueue
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


def test_a_pass_without_an_end_is_stuck_and_one_that_fails_is_not():
    """With failing passes, as when the API server is away, and with nothing to do."""
    found = {}

    async def handle(key):
        if key == "hangs":
            await asyncio.Event().wait()
        raise OSError

    async def script(queue):
        assert not queue.stuck(180), "nothing has begun"
        await asyncio.sleep(1000)
        found["idle"] = queue.stuck(180)
        queue.add("fails")
        await asyncio.sleep(1000)
        found["fails"] = queue.stuck(180)
        queue.add("hangs")
        await asyncio.sleep(170)
        found["hangs a while"] = queue.stuck(180)
        await asyncio.sleep(20)
        found["hangs"] = queue.stuck(180)

    drive(handle, script, 0)
    assert found == {"idle": False, "fails": False, "hangs a while": False, "hangs": True}


def test_keys_that_nobody_takes_are_stuck():
    async def main():
        queue = WorkQueue(recorder([]))
        work = asyncio.create_task(queue.run(0))
        queue.add("a", after=100)
        await asyncio.sleep(250)
        before = queue.stuck(180)
        await asyncio.sleep(50)
        work.cancel()
        return before, queue.stuck(180)

    assert virtual_time.run(main()) == (False, True)


def first_of_many(script):
    """The order in which one worker handles what `script` adds while it is busy."""
    seen = []

    async def main():
        queue = WorkQueue(recorder(seen, takes=0.1))
        queue.add("busy")
        work = asyncio.create_task(queue.run(1))
        await asyncio.sleep(0.05)
        script(queue)
        await asyncio.sleep(60)
        work.cancel()

    virtual_time.run(main())
    return [key for _, key in seen[1:]]


def test_what_somebody_waits_for_comes_before_what_the_clock_asks_for():
    def script(queue):
        for number in range(10):
            queue.add(f"clock-{number}")
        queue.add("event", urgent=True)

    assert first_of_many(script)[0] == "event"


def test_what_stands_in_the_queue_already_moves_ahead_when_somebody_waits_for_it():
    def script(queue):
        for number in range(10):
            queue.add(f"clock-{number}")
        queue.add("clock-9", after=5, urgent=True)

    found = first_of_many(script)
    assert found[0] == "clock-9"
    assert sorted(found) == sorted(f"clock-{number}" for number in range(10)), "each is handled, and once"


def test_who_is_not_urgent_waits_for_a_bounded_time():
    def script(queue):
        queue.add("clock")
        for number in range(1000):
            queue.add(f"event-{number}", after=number / 20, urgent=True)  # twice as many as can be handled

    found = first_of_many(script)
    assert found.index("clock") <= HANDICAP * 20, "those that came due later than it by more stand behind it"


def test_urgency_ends_with_the_pass():
    async def main():
        seen = []
        queue = WorkQueue(recorder(seen, takes=0.1))
        queue.add("a", urgent=True)
        work = asyncio.create_task(queue.run(1))
        await asyncio.sleep(1)
        queue.add("busy")
        await asyncio.sleep(0.05)
        queue.add("a")
        queue.add("b", urgent=True)
        await asyncio.sleep(10)
        work.cancel()
        return [key for _, key in seen]

    assert virtual_time.run(main()) == ["a", "busy", "b", "a"]


def test_a_pass_knows_whether_somebody_called_for_it():
    """Also one that came earlier than it was called for, and took the place of that one."""
    seen = []

    async def handle(key):
        seen.append((asyncio.get_running_loop().time(), queue.is_called(key)))
        if len(seen) == 5:
            queue.add(key)
            assert not queue.is_called(key), "the next one is"
        return Result(after=10)

    async def main():
        nonlocal queue
        queue = WorkQueue(handle)
        work = asyncio.create_task(queue.run(4))
        queue.add("a")
        await asyncio.sleep(15)
        queue.add("a")
        await asyncio.sleep(9)
        queue.add("a", after=3)
        await asyncio.sleep(20)
        work.cancel()
        assert not queue.is_called("a"), "it does not run"

    queue: WorkQueue = None
    virtual_time.run(main())
    assert seen == [(0, True), (10, False), (15, True), (25, True), (35, False), (35, True)]


def test_one_that_steps_aside_makes_room_for_the_next_and_no_more_begin():
    begun, beginning, most = [], set(), [0, 0]

    async def handle(key):
        begun.append((asyncio.get_running_loop().time(), key))
        beginning.add(key)
        most[0] = max(most[0], len(beginning))
        await asyncio.sleep(1)
        beginning.discard(key)
        queue.step_aside(key)
        queue.step_aside(key)
        most[1] = max(most[1], queue.running)
        await asyncio.sleep(10)
        return Result()

    async def main():
        nonlocal queue
        queue = WorkQueue(handle)
        work = asyncio.create_task(queue.run(2, 5))
        for key in range(8):
            queue.add(key)
        await asyncio.sleep(30)
        work.cancel()

    queue: WorkQueue = None
    virtual_time.run(main())
    assert [when for when, _ in begun] == [0, 0, 1, 1, 2, 11, 11, 12], "two at once, and five with those that wait"
    assert most == [2, 5]


@pytest.mark.parametrize("event_at", [5.0, 5.7, 6.1, 19.9])
def test_two_hundred_crews_whose_redis_is_silent_are_seen_at_once_and_delay_no_other(event_at):
    """As a failure of them all begins: each is called for by an event, and looked at again a second after its look."""
    sick, first, seen = range(200), {}, []
    found = Settings()

    async def handle(key):
        now = asyncio.get_running_loop().time()
        if key == "well":
            seen.append(now)
            return Result()
        queue.step_aside(key)
        await asyncio.sleep(redis_client.DEADLINE)
        first.setdefault(key, asyncio.get_running_loop().time())
        return Result(after=found.restless_tick)

    async def main():
        nonlocal queue
        queue = WorkQueue(handle)
        work = asyncio.create_task(queue.run(found.workers, found.passes))
        for key in sick:
            queue.add(key, urgent=True)
        await asyncio.sleep(event_at)
        queue.add("well", urgent=True)
        await asyncio.sleep(40)
        work.cancel()

    queue: WorkQueue = None
    virtual_time.run(main())
    assert max(first[key] for key in sick) <= 30
    assert len(seen) == 1
    assert seen[0] - event_at <= 2


def test_only_keys_whose_time_has_come_are_overdue():
    seen = []

    async def handle(_):
        await asyncio.sleep(10)
        return Result()

    async def script(queue):
        for number in range(6):
            queue.add(number)
        queue.add("later", after=60)
        await asyncio.sleep(1)
        seen.append(queue.overdue())
        await asyncio.sleep(10)
        seen.append(queue.overdue())

    drive(handle, script, 5)
    assert seen == [2, 0], "four workers have one each, and one key waits for its time"
