"""The embedders of a crew that work without a network, found in a trial and called once in each spare process.

A local embedder loads its model with the first text, which takes from 12 ms to seconds: in a fresh process that is
every kickoff's first recall. One that asks a server has nothing to load, and a call of it may cost money.
"""

import importlib
import logging
from collections.abc import Iterable, Mapping
from functools import partial
from operator import attrgetter
from typing import Any

from crew_runtime.crewai import memories
from crew_runtime.offline import NetworkRefusedError, no_network

log = logging.getLogger(__name__)

OF_MODULE = "@module"
"""Stands for the embedders in the memories of a crew that the user's module holds."""
TEXTS = ("warm-up",)


def local(target: Any, *, shared: bool) -> tuple[str, ...]:
    """What `warm` is to be given for this crew or flow: `module:name` of classes and functions, or OF_MODULE.

    Calls each of its embedders once, with the network refused; for a process that then ends.
    """
    found: list[str] = []
    for memory in memories.of(target):
        # The module's own crew keeps its embedder: that one is called, whatever its class.
        name = _name(_given(memory)) or ("" if shared else _name(_of_settings(target, memory)))
        if not name and not shared:
            continue
        if _works(partial(_call_named, name) if name else partial(_call, memory)):
            found.append(name or OF_MODULE)
    return tuple(dict.fromkeys(found))


def warm(names: Iterable[str], target: Any = None) -> None:
    """Call them once. `target`: the module's own crew or flow, for OF_MODULE. What fails is left to the kickoff."""
    for name in names:
        try:
            if name == OF_MODULE:
                for memory in memories.of(target):
                    if not _name(_given(memory)):
                        _call(memory)
            else:
                _call_named(name)
        except Exception as error:  # noqa: BLE001 - the user's embedder may raise anything
            log.warning("warming the embedder %s failed: %r", name, error)


def _given(memory: Any) -> Any:
    """The class, function or object that the crew's author gave; None for an engine of CrewAI's."""
    told = getattr(memory, "embedder", None)
    if isinstance(told, Mapping):
        return _custom(told)
    return getattr(memory, "_embedder_instance", None)


def _of_settings(crew: Any, memory: Any) -> Any:
    """The class out of the crew's settings of which CrewAI itself has made the memory's embedder, or None.

    Source: Crew.create_crew_memory, 1.15.30: with `memory=True` the memory is given what was built, not the settings.
    """
    given = _custom(getattr(crew, "embedder", None))
    return given if isinstance(given, type) and type(getattr(memory, "_embedder_instance", None)) is given else None


def _custom(settings: Any) -> Any:
    return (settings.get("config") or {}).get("embedding_callable") if isinstance(settings, Mapping) else None


def _name(given: Any) -> str:
    """`module:name` by which any process finds it, or ``."""
    name = f"{getattr(given, '__module__', '')}:{getattr(given, '__qualname__', '')}"
    try:
        return name if given is not None and _find(name) is given else ""
    except (ImportError, AttributeError, ValueError):
        return ""


def _find(name: str) -> Any:
    module, _, path = name.partition(":")
    return attrgetter(path)(importlib.import_module(module))


def _call_named(name: str) -> None:
    found = _find(name)
    (found() if isinstance(found, type) else found)(list(TEXTS))


def _call(memory: Any) -> None:
    memory._embedder(list(TEXTS))


def _works(call: Any) -> bool:
    try:
        with no_network():
            call()
    except NetworkRefusedError:
        return False
    except Exception as error:  # noqa: BLE001 - as above; its kickoff will say what is wrong
        log.debug("the crew's embedder is not warmed: %r", error)
        return False
    return True
