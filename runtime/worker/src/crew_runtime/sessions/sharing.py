"""Who asked CrewAI's memory for something: the crew's own code, or an LLM through it.

`@crew` in a scope has power over what all sessions share only when the crew's own code passed it. What an LLM suggests,
in its analysis of a memory or in a tool's arguments, may hold the same letters and means nothing by them. The storage
sees only the resolved scope; here is what the calls above it know, for the context in which they run.
"""

import logging
import re
import threading
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from contextvars import ContextVar
from typing import Any

from crew_runtime.sessions import areas
from crew_runtime.sessions.areas import Asking

LOOKED_AT = 10_000
"""Values of one tool call; a call with more is taken to mention the crew."""

_MENTION = re.compile(rf"(?<!\w){re.escape(areas.CREW_WIDE_SEGMENT)}(?!\w)", re.IGNORECASE)
_log = logging.getLogger(__name__)

_asking: ContextVar[Asking | None] = ContextVar("crew_runtime_asking", default=None)
_suggested: ContextVar[bool] = ContextVar("crew_runtime_suggested", default=False)
_lock = threading.Lock()
_suggesting = 0
"""Tool calls of this process that run now and mention the crew: also threads that inherit no context are theirs."""
_allowed = False


def allow(all_known: bool) -> None:
    """Let `@crew` have power: every way on which an LLM could pass it is watched. Until then it has none."""
    global _allowed
    _allowed = all_known


def asking() -> Asking | None:
    """What is known of the call that runs now; None: nothing, so that it is not taken for the crew's own."""
    return _asking.get()


@contextmanager
def asks(*scopes: str | None, planned: bool = False, shares: str | None = None) -> Iterator[None]:
    """The crew's own code asks for something below these scopes.

    `planned`: an LLM says what becomes of similar records. `shares`: the scope that a record is to move to.
    """
    crew_wide, moves = _named(*scopes), _named(shares)
    token = _asking.set(Asking(crew_wide, planned, moves))
    try:
        yield
    finally:
        _asking.reset(token)


def _named(*scopes: str | None) -> bool:
    if not _allowed or not any(areas.names_crew(one) for one in scopes):
        return False
    if suggested():
        _log.warning("%s in %s has no power: an LLM passed it to the tool that runs", areas.CREW_WIDE_SEGMENT, scopes)
        return False
    return True


def suggested() -> bool:
    """Whether an LLM may have passed the `@crew` of this call."""
    return _suggested.get() or _suggesting > 0


@contextmanager
def keep_suggestion() -> Iterator[None]:
    """Let a copy of this context, for work that goes on when the tool has returned, know that an LLM passed it."""
    token = _suggested.set(suggested())
    try:
        yield
    finally:
        _suggested.reset(token)


@contextmanager
def called_with(given: Any) -> Iterator[None]:
    """A tool runs with these arguments of an LLM."""
    global _suggesting
    if not mentions_crew(given):
        yield
        return
    token = _suggested.set(True)
    with _lock:
        _suggesting += 1
    try:
        yield
    finally:
        with _lock:
            _suggesting -= 1
        _suggested.reset(token)


def mentions_crew(given: Any) -> bool:
    """Whether `@crew` is a word in any text of what JSON can hold, names included."""
    left, looked_at = [given], 0
    while left:
        looked_at += 1
        if looked_at > LOOKED_AT:
            return True
        one = left.pop()
        if isinstance(one, str):
            if _MENTION.search(one):
                return True
        elif isinstance(one, Mapping):
            left += [*one.keys(), *one.values()]
        elif isinstance(one, list | tuple | set | frozenset):
            left += one
    return False
