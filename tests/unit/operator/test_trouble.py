"""What makes /healthz fail, and the kubelet start the operator again."""

import asyncio

from crew_operator import app
from crew_operator.workqueue import Result, WorkQueue
from support import virtual_time


def test_passes_that_do_not_end_are_trouble_after_thrice_the_deadline_of_one():
    async def main():
        async def hang(_):
            await asyncio.Event().wait()

        queue, ended = WorkQueue(hang), asyncio.get_running_loop().create_future()
        work = asyncio.create_task(queue.run(4))
        queue.add("a")
        await asyncio.sleep(app.STUCK_AFTER - 1)
        before = app.trouble(ended, queue)
        await asyncio.sleep(2)
        work.cancel()
        return before, app.trouble(ended, queue)

    assert virtual_time.run(main()) == ("", "passes have not ended for 180 s")


def test_an_operator_without_workers_is_in_trouble_and_an_idle_one_is_not():
    async def main():
        async def handle(_):
            return Result()

        queue, ended = WorkQueue(handle), asyncio.get_running_loop().create_future()
        work = asyncio.create_task(queue.run(4))
        await asyncio.sleep(2 * app.STUCK_AFTER)
        before = app.trouble(ended, queue)
        ended.set_result(None)
        work.cancel()
        return before, app.trouble(ended, queue)

    assert virtual_time.run(main()) == ("", "the workers have ended")
