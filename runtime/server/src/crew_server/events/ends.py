"""Tells those who wait for a kickoff that it has ended, whichever replica ran it.

In: ends of this server's own kickoffs, and the crew's stream of ends. Out: one Event for each who waits. The stream is
read only while somebody waits. What else happens in a kickoff would be told from here as well.
"""

import asyncio
import collections
import contextlib
from collections.abc import Iterator

from crew_runtime.contract import keys
from crew_server import redis_client
from crew_server.errors import BackendError
from crew_server.logs import Log
from crew_server.settings import Settings

log = Log(__name__)

BLOCK = 3.0
"""Seconds of one wait for an end."""
GRACE = 2.0
BACK = 10
"""Seconds before its first reader from where the stream is read: so no end is missed in between, and an old one that is
read again wakes nobody who does not wait for it."""
RETRY = 0.2


class Ends:
    """The ends of one crew's kickoffs."""

    def __init__(self, settings: Settings) -> None:
        self._client = redis_client.connect(settings, deadline=BLOCK + GRACE, connections=1)
        self._stream = keys.ends(settings.key_prefix)
        self._waiting: dict[str, list[asyncio.Event]] = collections.defaultdict(list)
        self._wanted = asyncio.Event()

    @contextlib.contextmanager
    def of(self, kickoff_id: str) -> Iterator[asyncio.Event]:
        """An Event that is set when that kickoff has ended. It may be set without one; look, and wait again."""
        event = asyncio.Event()
        self._waiting[kickoff_id].append(event)
        self._wanted.set()
        try:
            yield event
        finally:
            self._waiting[kickoff_id].remove(event)
            if not self._waiting[kickoff_id]:
                del self._waiting[kickoff_id]

    def ended(self, kickoff_id: str) -> None:
        """This kickoff has ended, or may have."""
        for event in self._waiting.get(kickoff_id, ()):
            event.set()

    def wake(self) -> None:
        """Let all look who wait."""
        for kickoff_id in list(self._waiting):
            self.ended(kickoff_id)

    async def run(self) -> None:
        """For ever: read while somebody waits."""
        while True:
            self._wanted.clear()
            if not self._waiting:
                await self._wanted.wait()
            try:
                await self._follow()
            except BackendError as error:
                log.debug("ends cannot be read", error=error.message)
                await asyncio.sleep(RETRY)

    async def close(self) -> None:
        """Drop the connection."""
        await self._client.aclose()

    async def _follow(self) -> None:
        async with redis_client.deadline(GRACE):
            seconds, _ = await self._client.time()
        position = f"{(int(seconds) - BACK) * 1000}-0"
        while self._waiting:
            async with redis_client.deadline(BLOCK + GRACE):
                found = await redis_client.next_entries(
                    self._client, {self._stream: position}, count=1000, seconds=BLOCK
                )
            for entry, fields in found:
                position = entry
                self.ended(fields.get("id", ""))
