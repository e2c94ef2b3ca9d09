"""Promise: a listener hears of each change within a second, at most once a second, and of nothing else."""

import asyncio
import itertools

import pytest

from crew_server.changes import MOST, Changes, TooManyListenersError
from support import virtual_time


def listen(script, seconds):
    """What a listener hears, in whole virtual seconds, while `script(set_state, changes)` runs."""
    heard = []

    async def main():
        state = ["as it was"]
        changes = Changes(lambda: state[0])
        one = changes.listen()

        async def note(now):
            async for _ in one.signals():
                heard.append(now())  # noqa: PERF401 - as they come

        now = asyncio.get_running_loop().time
        tasks = [asyncio.create_task(changes.run()), asyncio.create_task(note(now))]
        await script(lambda value: state.__setitem__(0, value), changes)
        await asyncio.sleep(seconds)
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)

    virtual_time.run(main())
    return heard


def test_nothing_is_heard_at_rest():
    async def script(set_state, _):
        set_state("as it " + "was")

    assert listen(script, 600) == []


def test_a_change_is_heard_within_a_second():
    async def script(set_state, _):
        await asyncio.sleep(10.5)
        set_state("another")

    assert listen(script, 60) == [11.0]


def test_changes_without_end_are_heard_once_a_second():
    async def script(set_state, _):
        for number in range(100):
            set_state(number)
            await asyncio.sleep(0.1)

    heard = listen(script, 30)
    assert 9 <= len(heard) <= 11, heard
    assert all(after - before > 0.999 for before, after in itertools.pairwise(heard))


def test_what_changed_before_somebody_listened_is_not_heard():
    async def main():
        state = ["before"]
        changes = Changes(lambda: state[0])
        changes.leave(changes.listen())
        state[0] = "after"
        one = changes.listen()
        changes.compare()
        with pytest.raises(TimeoutError):
            async with asyncio.timeout(5):
                await anext(one.signals())

    virtual_time.run(main())


def test_as_many_as_may_listen_and_one_that_leaves_makes_room():
    async def main():
        changes = Changes(lambda: 0)
        listening = [changes.listen() for _ in range(MOST)]
        with pytest.raises(TooManyListenersError):
            changes.listen()
        changes.leave(listening[0])
        changes.listen()

    virtual_time.run(main())


def test_the_end_is_heard_and_ends_it():
    async def script(_, changes):
        changes.close()

    assert listen(script, 60) == [0.0]


def test_who_comes_after_the_end_hears_it_too():
    async def main():
        changes = Changes(lambda: 0)
        changes.close()
        return [one async for one in changes.listen().signals()]

    assert virtual_time.run(main()) == [None]
