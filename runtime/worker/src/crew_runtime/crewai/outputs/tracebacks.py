"""What the user's code raised, as the user would see it: the exception's type, and a traceback without our frames."""

import importlib
import traceback
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from crew_runtime.crewai.outputs.values import text

MAX_LINES = 60
"""Of a traceback: the last ones, which are nearest to what went wrong."""
_NOT_THE_USERS = (str(Path(__file__).parents[2]), importlib.__file__, "<frozen importlib", "<frozen runpy")


def of_exception(error: BaseException) -> dict[str, Any]:
    """Message and traceback of an `error` frame."""
    return {"message": named(error), "traceback": users(error)}


def named(error: BaseException) -> str:
    """`ValueError: what it says` and its notes; the type as Python prints it, with its module unless it is built in."""
    kind = type(error)
    name = (
        kind.__qualname__ if kind.__module__ in ("builtins", "__main__") else f"{kind.__module__}.{kind.__qualname__}"
    )
    said = text(error)
    notes = getattr(error, "__notes__", None)
    return "\n".join([f"{name}: {said}" if said else name, *map(text, notes if isinstance(notes, list) else ())])


def users(error: BaseException, lines: int = MAX_LINES) -> str:
    """The last lines of a traceback and of those that led to it, without frames of ours and of the import system."""
    told = traceback.TracebackException.from_exception(error)
    for one in _chain(told):
        kept = [frame for frame in one.stack if not frame.filename.startswith(_NOT_THE_USERS)]
        one.stack = traceback.StackSummary.from_list(kept)
    return "\n".join("".join(told.format()).splitlines()[-lines:])


def _chain(told: traceback.TracebackException) -> Iterator[traceback.TracebackException]:
    """It, its causes and contexts, and the members of groups; exceptions can be linked in a circle."""
    waiting, seen = [told], set[int]()
    while waiting:
        one = waiting.pop()
        if id(one) in seen:
            continue
        seen.add(id(one))
        yield one
        waiting += [linked for linked in (one.__cause__, one.__context__) if linked is not None]
        waiting += getattr(one, "exceptions", None) or []
