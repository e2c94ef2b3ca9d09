"""Waiting for the state of the world; a test never sleeps for it."""

import asyncio
import time
from collections.abc import Awaitable, Callable
from typing import TypeVar

Seen = TypeVar("Seen")

POLL = 0.05
"""Seconds between two looks."""

BUSY = 4.0
"""How many times what is promised of a quiet machine one that runs all tests at once may take: a test tells a second
from never, a benchmark one figure from another."""


def wait_until(predicate: Callable[[], Seen], description: str, timeout: float) -> Seen:
    """The first true value of `predicate`. Fails after `timeout` seconds, saying what was waited for and last seen."""
    ends = time.monotonic() + timeout
    while True:
        seen = predicate()
        if seen:
            return seen
        if time.monotonic() >= ends:
            raise AssertionError(f"waited {timeout:g} s until {description}; last seen: {seen!r}")
        time.sleep(POLL)


async def eventually(look: Callable[[], Awaitable[Seen]], description: str, timeout: float = 30.0) -> Seen:
    """As `wait_until`, for what has to be awaited."""
    ends = asyncio.get_running_loop().time() + timeout
    while True:
        seen = await look()
        if seen:
            return seen
        if asyncio.get_running_loop().time() >= ends:
            raise AssertionError(f"waited {timeout:g} s until {description}; last seen: {seen!r}")
        await asyncio.sleep(POLL)
