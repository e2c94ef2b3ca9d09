"""A background task that fails is started again; the process and the other tasks do not notice."""

import asyncio
import itertools

from crew_server.supervision import FIRST_PAUSE, LONGEST_PAUSE, Supervisor
from support.virtual_time import run


def _failing(error, at, until=10_000):
    async def one():
        at.append(asyncio.get_running_loop().time())
        if len(at) <= until:
            if error is not None:
                raise error
            return
        await asyncio.Event().wait()

    return one


def test_a_task_that_fails_is_started_again_after_ever_longer_pauses():
    told, starts = [], []

    async def main():
        supervisor = Supervisor(lambda *failure: told.append(failure))
        fault = TypeError("'NoneType' object is not callable")
        supervisor.start("claims", _failing(fault, starts))
        await asyncio.sleep(60)
        await supervisor.close()
        return fault

    fault = run(main())
    pauses = [round(after - before, 6) for before, after in itertools.pairwise(starts)]
    assert pauses[:3] == [FIRST_PAUSE, 2 * FIRST_PAUSE, 4 * FIRST_PAUSE]
    assert max(pauses) == LONGEST_PAUSE
    assert told == [("claims", fault)] * len(starts)


def test_a_task_that_ends_is_started_again_and_told_as_well():
    told, starts = [], []

    async def main():
        supervisor = Supervisor(lambda *failure: told.append(failure))
        supervisor.start("lag", _failing(None, starts, until=1))
        await asyncio.sleep(1)
        await supervisor.close()

    run(main())
    assert (told, len(starts)) == ([("lag", None)], 2)


def test_a_failure_after_a_calm_while_is_a_first_one():
    told, starts = [], []

    async def main():
        supervisor = Supervisor(lambda *failure: told.append(failure))

        async def one():
            starts.append(asyncio.get_running_loop().time())
            await asyncio.sleep(40)
            raise ValueError

        supervisor.start("ends", one)
        await asyncio.sleep(200)
        await supervisor.close()

    run(main())
    assert {round(after - before - 40, 6) for before, after in itertools.pairwise(starts)} == {FIRST_PAUSE}


def test_the_others_go_on_and_all_are_stopped_at_the_end():
    beats, stopped = [], []

    async def beat():
        try:
            while True:
                beats.append(1)
                await asyncio.sleep(1)
        finally:
            stopped.append(True)

    async def main():
        supervisor = Supervisor(lambda *_: None)
        supervisor.start("bad", _failing(RecursionError(), []))
        supervisor.start("good", beat)
        await asyncio.sleep(9.5)
        await supervisor.close()

    run(main())
    assert (len(beats), stopped) == (10, [True])
