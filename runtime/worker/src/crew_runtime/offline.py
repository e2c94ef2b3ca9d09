"""Python code that may not reach out: connecting and resolving names is refused, by an audit hook.

For processes that are thrown away: a hook stays for ever. What C libraries do by themselves is not seen.
"""

import contextlib
import sys
from collections.abc import Iterator
from typing import Any

EVENTS = ("socket.connect", "socket.getaddrinfo", "socket.gethostbyname", "socket.sendto", "socket.sendmsg")
"""Source: the table of audit events in Python's documentation."""

_state = {"installed": False, "refusing": False}
_tried: list[str] = []


class NetworkRefusedError(OSError):
    """Something was about to be asked over the network."""


@contextlib.contextmanager
def no_network() -> Iterator[None]:
    """Refuse it within, in all threads. Raises NetworkRefusedError also where the code within swallowed it."""
    if not _state["installed"]:
        sys.addaudithook(_hook)
        _state["installed"] = True
    _tried.clear()
    _state["refusing"] = True
    try:
        yield
    finally:
        _state["refusing"] = False
    if _tried:
        raise NetworkRefusedError(_tried[0])


def _hook(event: str, args: tuple[Any, ...]) -> None:
    if _state["refusing"] and event in EVENTS:
        _tried.append(event)
        raise NetworkRefusedError(event)
