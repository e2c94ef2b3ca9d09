"""Keeps the server's background tasks alive: one that fails costs a pause of its own work, and nothing else.

In: functions that run for ever. Out: tasks that do, with each failure logged, counted and told. Only the sockets end
the process: without them there is nothing that could still be of use.
"""

import asyncio
from collections.abc import Awaitable, Callable

from crew_server.logs import Log

log = Log(__name__)

FIRST_PAUSE, LONGEST_PAUSE = 0.1, 10.0
"""Seconds before a task is started again; doubled with each failure in a row."""
CALM = 30.0
"""Seconds after which a task that runs has recovered, and its next failure is a first one."""

Run = Callable[[], Awaitable[None]]
OnFailure = Callable[[str, Exception | None], None]


class Supervisor:
    """The background tasks of one server."""

    def __init__(self, on_failure: OnFailure) -> None:
        """`on_failure` is called with a task's name and what it failed by; None: it ended, which no such task does."""
        self._on_failure = on_failure
        self._tasks: list[asyncio.Task[None]] = []

    def start(self, name: str, run: Run) -> None:
        """Run it until `close`."""
        self._tasks.append(asyncio.get_running_loop().create_task(self._keep(name, run), name=name))

    async def close(self) -> None:
        """Stop them all."""
        for task in self._tasks:
            task.cancel()
        await asyncio.gather(*self._tasks, return_exceptions=True)

    async def _keep(self, name: str, run: Run) -> None:
        loop, pause = asyncio.get_running_loop(), FIRST_PAUSE
        while True:
            begun = loop.time()
            failure: Exception | None = None
            try:
                await run()
            except Exception as error:  # noqa: BLE001 - whatever it is, the others go on
                failure = error
            if loop.time() - begun >= CALM:
                pause = FIRST_PAUSE
            log.error("a background task failed and is started again", task=name, again_in=pause, exc_info=failure)
            self._on_failure(name, failure)
            await asyncio.sleep(pause)
            pause = min(2 * pause, LONGEST_PAUSE)
