"""Random numbers after a fork: every child its own, unless the user's module has fixed them by a seed.

`random` reseeds itself in a forked child, numpy does not. A module that calls `random.seed(7)` while it is imported
gets the same numbers in every process that imports it; so does every child of one that did. A generator of the
module's own would be the same in all children, and only its author knows whether that is meant: who makes one while it
is imported is imported by each process for itself.
"""

import gc
import hashlib
import random
import sys
from collections.abc import Iterable, Mapping
from typing import Any

State = Mapping[str, Any]
"""Generator's name -> its state; only of those that are there."""


def generators() -> list[Any]:
    """Every live generator but numpy's own; those that ask the operating system have no state to share."""
    kinds: list[type] = [random.Random]
    own = None
    if numpy_random := sys.modules.get("numpy.random"):
        kinds += [numpy_random.Generator, numpy_random.RandomState]
        # Made when numpy.random is imported, which CrewAI does in a first kickoff with memory; `renew` knows it.
        own = getattr(numpy_random.mtrand, "_rand", None)
    found = [one for one in gc.get_objects() if isinstance(one, tuple(kinds))]
    return [one for one in found if one is not own and not isinstance(one, random.SystemRandom)]


def made_since(before: Iterable[Any]) -> str:
    """Why a process must not fork that made generators since it had those, or ``."""
    known = {id(one) for one in before}
    kinds = sorted({type(one).__name__ for one in generators() if id(one) not in known})
    return f"the import made generators of random numbers of its own: {', '.join(kinds)}" if kinds else ""


def states() -> dict[str, Any]:
    """Of this process."""
    found: dict[str, Any] = {"random": random.getstate()}
    if numpy_random := sys.modules.get("numpy.random"):
        found["numpy"] = numpy_random.get_state()
    return found


def digests() -> dict[str, str]:
    """Of `states`, to be compared with those of another process."""
    return {name: hashlib.sha256(repr(state).encode()).hexdigest() for name, state in states().items()}


def fixed(others: Mapping[str, str]) -> State:
    """The states that another process, which began with other ones, has come to as well: a seed fixed them."""
    mine = digests()
    return {name: state for name, state in states().items() if others.get(name) == mine[name]}


def renew(fixed: State) -> None:
    """In a child: as the seed left them, else other numbers than any other process has."""
    if "random" in fixed:
        random.setstate(fixed["random"])
    if numpy_random := sys.modules.get("numpy.random"):
        if "numpy" in fixed:
            numpy_random.set_state(fixed["numpy"])
        else:
            numpy_random.seed(random.SystemRandom().getrandbits(32))
