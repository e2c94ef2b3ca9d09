"""Waiting that has an end."""

import asyncio

from crew_server.logs import Log

log = Log(__name__)


async def within(event: asyncio.Event, seconds: float) -> None:
    """Until it is set, or so long."""
    try:
        async with asyncio.timeout(seconds):
            await event.wait()
    except TimeoutError:
        log.debug("gave up waiting", seconds=seconds)
