"""The session of the work that runs now."""

from collections.abc import Iterator
from contextlib import contextmanager
from contextvars import ContextVar

from crew_runtime.sessions import areas as _areas
from crew_runtime.sessions.areas import Areas

_bound: ContextVar[Areas | None] = ContextVar("crew_runtime_areas", default=None)
_of_process: Areas | None = None


@contextmanager
def bind(session_id: str, *, whole_process: bool = False) -> Iterator[None]:
    """Let what runs in this context belong to a session.

    `whole_process`: also the threads that a crew starts by itself, which inherit no context; only for a process that
    does one piece of work at a time, like a slot.
    """
    with _bind(_areas.of_session(session_id), whole_process=whole_process):
        yield


@contextmanager
def bind_proof() -> Iterator[None]:
    """Let what runs in this process be a proof."""
    with _bind(_areas.PROOF, whole_process=True):
        yield


def current(isolation: str) -> Areas:
    """What the running work sees. Outside any session, and with isolation `Crew`, that is what all share."""
    areas = _bound.get() or _of_process
    if areas is None or (isolation == "Crew" and areas is not _areas.PROOF):
        return _areas.CREW
    return areas


def session() -> str | None:
    """The session's id, whatever the isolation of memories is; None outside any."""
    areas = _bound.get() or _of_process
    return areas.session if areas else None


@contextmanager
def _bind(areas: Areas, *, whole_process: bool) -> Iterator[None]:
    global _of_process
    before = _of_process
    token = _bound.set(areas)
    if whole_process:
        _of_process = areas
    try:
        yield
    finally:
        _bound.reset(token)
        if whole_process:
            _of_process = before
