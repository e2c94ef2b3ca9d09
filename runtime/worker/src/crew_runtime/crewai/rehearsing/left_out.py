"""What a rehearsal leaves out of a kickoff, in words: the author's own code that could still make every kickoff fail.

What cannot fail one is not noted: tools (CrewAI tells the LLM of their errors), event listeners (it logs theirs), and
limits of requests. Nor are the calls of LLMs and embedders, which are stood in for in every rehearsal.
"""

import inspect
from typing import Any

MOST_NAMES = 8
"""Of one kind that are named; how many more there are is said."""
MOST_NAME = 60
"""Characters of a name: an agent's role may be a text of any length."""


class LeftOut:
    """Collects; each name is told once."""

    def __init__(self) -> None:
        self._found: dict[str, dict[str, None]] = {}

    def note(self, kind: str, *names: str) -> None:
        """`kind`: in the plural, as `guardrails of tasks`. Nothing is noted without a name."""
        for name in names:
            self._found.setdefault(kind, {})[_short(name)] = None

    def words(self) -> tuple[str, ...]:
        """One for each kind: `methods of the flow: begin, end`."""
        return tuple(f"{kind}: {_listed(list(names))}" for kind, names in tuple(self._found.items()))


def of_callable(given: Any) -> str:
    """The name of a function, or of the class of an object that is called."""
    return of_class(given) if hasattr(given, "__qualname__") else of_class(type(given))


def of_class(given: Any) -> str:
    """Without the function that it was made in."""
    return str(given.__qualname__).rpartition("<locals>.")[2]


def behind(callback: Any) -> Any:
    """What a crew's callback calls, where CrewAI made it of a `@CrewBase` class' method.

    Source: project.annotations.crew, 1.15.30.
    """
    if not inspect.isfunction(callback) or callback.__name__ != "bound_callback":
        return callback
    hook = inspect.getclosurevars(callback).nonlocals.get("hook", callback)
    return getattr(hook, "_meth", hook)


def of_task(task: Any, number: int) -> str:
    """Its name, or its place among the tasks, from 1."""
    return str(getattr(task, "name", None) or number)


def _short(name: str) -> str:
    line = " ".join(name.split())
    return line if len(line) <= MOST_NAME else f"{line[: MOST_NAME - 3]}..."


def _listed(names: list[str]) -> str:
    more = len(names) - MOST_NAMES
    return ", ".join(names[:MOST_NAMES]) + (f" and {more} more" if more > 0 else "")
