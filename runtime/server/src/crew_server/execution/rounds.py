"""Writes of this server's kickoffs that wait for nobody: made when there is something, again when Redis was away."""

import asyncio
from collections.abc import Awaitable, Callable, Iterable
from typing import TYPE_CHECKING, Final

from crew_server.errors import BackendError
from crew_server.logs import Log

if TYPE_CHECKING:
    from crew_server.execution.kickoff import RunningKickoff

log = Log(__name__)

RETRY: Final = 0.5
"""Seconds before what was not written to a Redis that gave no answer is written again."""


class Rounds:
    """One write, made for each kickoff in turn."""

    def __init__(
        self,
        running: "Callable[[], Iterable[RunningKickoff]]",
        write: "Callable[[RunningKickoff], Awaitable[None]]",
        late: str,
        together: float = 0.0,
    ) -> None:
        """`write` raises BackendError; what it did not write stays.

        Args:
            late: what the log says then.
            together: seconds that what calls for a round waits for more of it.
        """
        self._running = running
        self._write = write
        self._late = late
        self._together = together
        self._woken = asyncio.Event()

    def wake(self) -> None:
        """There is something to write."""
        self._woken.set()

    async def run(self) -> None:
        """For ever."""
        while True:
            await self._woken.wait()
            await asyncio.sleep(self._together)
            self._woken.clear()
            try:
                for kickoff in list(self._running()):
                    await self._write(kickoff)
            except BackendError as error:
                log.debug(self._late, error=error.message)
                await asyncio.sleep(RETRY)
                self._woken.set()
