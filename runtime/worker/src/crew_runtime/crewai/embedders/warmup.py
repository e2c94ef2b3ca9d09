"""The embedders of a crew that work without a network, found in a trial and called once in each spare process.

A local embedder loads its model with the first text, which takes from 12 ms to seconds: in a fresh process that is
every kickoff's first recall. One that asks a server has nothing to load, and a call of it may cost money.
"""

import importlib
import json
import logging
from collections.abc import Callable, Iterable, Mapping
from functools import partial
from operator import attrgetter
from typing import Any

from crewai.rag.embeddings.factory import build_embedder

from crew_runtime.crewai import memories
from crew_runtime.crewai.embedders import identity
from crew_runtime.offline import NetworkRefusedError, no_network

log = logging.getLogger(__name__)

OF_MODULE = "@module"
"""Stands for the embedder of a crew that is there before its kickoff: the module's own, or a declared one."""
_SETTINGS = "@settings"
LOCAL = ("onnx", "sentence-transformer", "instructor", "openclip", "text2vec")
"""CrewAI's providers whose models run in the process (1.15.30). All others ask a server."""
TEXTS = ("warm-up",)


def local(target: Any, *, kept: bool) -> tuple[str, ...]:
    """What `warm` is to be given for this crew or flow: `module:name` of classes and functions, the settings of one of
    CrewAI's own local providers, or the place of a memory in `target`.

    Calls each of its embedders once, with the network refused; for a process that then ends.

    Args:
        target: The crew or flow.
        kept: Whether a kickoff runs the very object that its process has before.
    """
    found: dict[str, None] = {}
    for place, memory in enumerate(memories.of(target)):
        told = _settings(target, memory)
        if told.get("provider", "custom") not in (*LOCAL, "custom"):
            continue  # to try it would wait for the retries of its client
        if kept:  # what its embedder loads is loaded for the kickoff, wherever it holds it
            name, call = f"{OF_MODULE}/{place}", partial(_call, memory)
        elif name := _name(_given(memory)) or _name(_of_settings(target, memory)):
            call = partial(_call_named, name)
        elif name := _written(told):
            call = partial(_call_settings, name)
        if name and name not in found and _works(call):
            found[name] = None
    return tuple(found)


def warm(names: Iterable[str], target: Any = None) -> None:
    """Call them once. `target`: the crew or flow of the next kickoff, or None. What fails is left to the kickoff."""
    for name in names:
        try:
            if name.startswith(OF_MODULE):
                _call(memories.of(target)[int(name.rpartition("/")[2])])
            elif name.startswith(_SETTINGS):
                _call_settings(name)
            else:
                _call_named(name)
        except Exception as error:  # noqa: BLE001 - the user's embedder may raise anything
            log.warning("warming the embedder %s failed: %r", shown(name), error)


def shown(name: str) -> str:
    """For a report: OF_MODULE without the place, `provider/model` instead of settings, which may hold anything."""
    if name.startswith(_SETTINGS):
        return identity.name(_read(name))
    return OF_MODULE if name.startswith(OF_MODULE) else name


def _settings(owner: Any, memory: Any) -> Mapping[str, Any]:
    """CrewAI's settings of which the memory's embedder is made, or nothing where it was given one.

    Source: Crew.create_crew_memory and Memory._embedder, 1.15.30.
    """
    told = getattr(memory, "embedder", None)
    if getattr(owner, "memory", None) is True and memory is memories.of_owner(owner):
        told = getattr(owner, "embedder", None)
    if told is None:
        return {"provider": "openai"}
    return told if isinstance(told, Mapping) else {}


def _written(told: Mapping[str, Any]) -> str:
    if told.get("provider") not in LOCAL:
        return ""
    try:
        return f"{_SETTINGS}/{json.dumps(dict(told))}"
    except (TypeError, ValueError):  # an object in it, which no other process has
        return ""


def _read(name: str) -> Any:
    return json.loads(name.partition("/")[2])


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


def _call_settings(name: str) -> None:
    build_embedder(_read(name))(list(TEXTS))


def _call(memory: Any) -> None:
    memory._embedder(list(TEXTS))


def _works(call: Callable[[], None]) -> bool:
    try:
        with no_network():
            call()
    except NetworkRefusedError:
        return False
    except Exception as error:  # noqa: BLE001 - as above; its kickoff will say what is wrong
        log.debug("the crew's embedder is not warmed: %r", error)
        return False
    return True
