"""Follows what a kickoff tells of itself: from its stream in Redis, on any replica, from any place in it to its end.

In: a kickoff's id, and the last event that a client has. Out: events, and a pause when none came for a while.
"""

import asyncio
import collections
import json
import re
from collections.abc import AsyncIterator, Mapping
from dataclasses import dataclass

from crew_runtime.contract import keys
from crew_runtime.contract.replica_reasons import ApiReason
from crew_server import redis_client
from crew_server.errors import BackendError, NotReadyError, RequestError
from crew_server.logs import Log
from crew_server.settings import Settings

log = Log(__name__)

MOST = 200
"""Who follows at once, on one replica: each has a connection to Redis of its own."""
MOST_OF_ONE = 100
"""Of one address: one client, or one proxy, leaves room for others."""
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
        self._of: collections.Counter[str] = collections.Counter()

    async def anything(self, kickoff_id: str, after: str) -> bool:
        """Whether there is an event behind `after`. Raises RequestError, BackendError."""
        _check(after)
        async with redis_client.deadline(GRACE):
            stream = keys.events(self._prefix, kickoff_id)
            return bool(await redis_client.next_entries(self._client, {stream: after}, count=1))

    async def follow(self, kickoff_id: str, after: str, client: str) -> AsyncIterator[Told]:
        """Until the end; `client`: the address of who follows.

        Raises RequestError, NotReadyError before the first; an outage of Redis is waited out.
        """
        _check(after)
        if self._of.total() >= MOST:
            raise NotReadyError(ApiReason.TOO_MANY_FOLLOWERS, f"{MOST} clients follow kickoffs here already; try later")
        if self._of[client] >= MOST_OF_ONE:
            text = f"{MOST_OF_ONE} kickoffs are followed from {client} here already; close some, or try later"
            raise NotReadyError(ApiReason.TOO_MANY_FOLLOWERS, text)
        self._of[client] += 1
        try:
            async for told in self._follow(keys.events(self._prefix, kickoff_id), after):
                yield told
                if told.type == "end":
                    return
        finally:
            self._of[client] -= 1
            self._of += collections.Counter()  # drops those without any

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
                if (told := _told(after, fields)) is not None:
                    yield told
            if not found:
                yield Told()


def _check(after: str) -> None:
    if not _ENTRY.fullmatch(after):
        raise RequestError("Last-Event-ID", "Last-Event-ID is not the id of an event; leave it out")


def _told(entry: str, fields: Mapping[str, str]) -> Told | None:
    """None for what cannot be read: one bad entry must not end the stream in front of those behind it."""
    try:
        if isinstance(json.loads(fields["data"]), dict):
            return Told(entry, fields["type"], int(fields["attempt"]), fields["data"])
    except (KeyError, ValueError, RecursionError) as error:
        log.warning("an event cannot be read and is left out", entry=entry, error=repr(error)[:500])
    return None
