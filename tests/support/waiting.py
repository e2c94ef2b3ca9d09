"""Waiting for the state of the world; a test never sleeps for it."""

import time
from collections.abc import Callable
from typing import TypeVar

Seen = TypeVar("Seen")

POLL = 0.05
"""Seconds between two looks."""


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
