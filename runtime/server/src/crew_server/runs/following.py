"""Follows what a kickoff tells of itself: from its stream in Redis, on any replica, from any place in it to its end.

In: a kickoff's id, and the last event that a client has. Out: events, and a pause when none came for a while.
"""

import asyncio
import re
from collections.abc import AsyncIterator
from dataclasses import dataclass

from crew_runtime.contract import keys
from crew_server import redis_client
from crew_server.errors import BackendError, NotReadyError, RequestError
from crew_server.logs import Log
from crew_server.settings import Settings

log = Log(__name__)

MOST = 100
"""Who follows at once, on one replica: each has a connection to Redis of its own."""
BLOCK = 3.0
GRACE = 2.0
RETRY = 1.0
COUNT = 100
BEGINNING = "0-0"
_ENTRY = re.compile(r"[0-9]{1,20}-[0-9]{1,20}")


@dataclass(frozen=True)
class Told:
    """One event; without an id when nothing came for BLOCK seconds."""

    id: str = ""
    type: str = ""
    """CrewAI's name, or `end`."""
    attempt: int = 0
    data: str = "{}"
    """JSON."""


class Following:
    """All that follow on this replica."""

    def __init__(self, settings: Settings) -> None:
        self._prefix = settings.key_prefix
        self._client = redis_client.connect(settings, deadline=BLOCK + GRACE, connections=MOST)
        self._now = 0

    async def follow(self, kickoff_id: str, after: str) -> AsyncIterator[Told]:
        """Until the end. Raises RequestError, NotReadyError before the first; an outage of Redis is waited out."""
        if not _ENTRY.fullmatch(after):
            raise RequestError("Last-Event-ID", "Last-Event-ID is not the id of an event; leave it out")
        if self._now >= MOST:
            raise NotReadyError("TooManyFollowers", f"{MOST} clients follow kickoffs here already; try later")
        self._now += 1
        try:
            async for told in self._follow(keys.events(self._prefix, kickoff_id), after):
                yield told
                if told.type == "end":
                    return
        finally:
            self._now -= 1

    async def close(self) -> None:
        """Drop the connections."""
        await self._client.aclose()

    async def _follow(self, stream: str, after: str) -> AsyncIterator[Told]:
        while True:
            try:
                async with redis_client.deadline(BLOCK + GRACE):
                    found = await redis_client.next_entries(self._client, {stream: after}, count=COUNT, seconds=BLOCK)
            except BackendError as error:
                log.debug("events cannot be read", error=error.message)
                await asyncio.sleep(RETRY)
                found = []
            for after, fields in found:
                yield Told(after, fields["type"], int(fields["attempt"]), fields["data"])
            if not found:
                yield Told()
