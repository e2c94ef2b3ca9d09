"""`module:attr` or the path of a definition -> something that can be kicked off.

Imports the user's module, so it runs in a trial child or a slot unless that proved harmless, and calls nothing in it: a
class or function is called by the kickoff itself, as it is in the author's own `main.py`. Every failure is an
EntrypointError that says what to change, with the tail of the user's traceback.
"""

import importlib
import inspect
import os
import sys
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

import crewai
from crewai.flow.flow import Flow

from crew_runtime.contract import env
from crew_runtime.crewai.embedders import identity
from crew_runtime.crewai.loading import inputs
from crew_runtime.crewai.outputs import tracebacks

TRACEBACK_LINES = 30


class EntrypointError(Exception):
    """The entrypoint or definition gives no crew; `detail` is the tail of the user's traceback, or ``."""

    def __init__(self, message: str, detail: str = "") -> None:
        super().__init__(message)
        self.message = message
        self.detail = detail


@dataclass(frozen=True)
class Loaded:
    """What a kickoff starts from."""

    source: str
    """The entrypoint or the path of the definition."""
    make: Callable[[], Any]
    """What one kickoff runs: the module's own Crew or Flow, or what its class or function gives when it is called.
    Raises EntrypointError."""
    shared: bool = False
    """Whether every call of `make` gives the same object, which a process then has before its kickoff."""
    definition: bool = False
    """Whether it was declared without code."""

    def prepared(self) -> "Loaded":
        """One whose `make` has been called, for the only kickoff of a process. Of definitions alone: code of the user's
        runs with its kickoff, not before it."""
        made = self.make()
        return replace(self, make=lambda: made, shared=True)

    def kept(self, *, reuses: bool) -> bool:
        """Whether a process has what its kickoff runs before the kickoff. `reuses`: it runs others after it."""
        return self.shared or (self.definition and not reuses)


@dataclass(frozen=True)
class Made:
    """What one kickoff runs."""

    target: Any
    """A Crew or a Flow."""
    defaults: Mapping[str, Any] = field(default_factory=dict)
    """Inputs that the definition gives."""

    @property
    def is_flow(self) -> bool:
        """Whether it is a Flow, and not a Crew."""
        return isinstance(self.target, Flow)


@dataclass(frozen=True)
class Facts:
    """What there is to know of a crew or flow before it is kicked off."""

    kind: str
    """`crew` or `flow`."""
    inputs: tuple[str, ...] = ()
    """Names of the inputs that a kickoff has to give."""
    inputs_always: bool = False
    """Also one without any inputs: see `inputs.Demand`."""
    uses_memory: bool = False
    embedder: str = ""
    """`provider/model` as the crew was built with, or ``."""
    tasks: int | None = None
    """How many tasks the crew has; None of a flow."""


def load(entrypoint: str, definition: str) -> Loaded:
    """Load what exactly one of the two names. Raises EntrypointError."""
    if bool(entrypoint) == bool(definition):
        which = "both are set" if entrypoint else "none is set"
        raise EntrypointError(f"set exactly one of CREWOPS_ENTRYPOINT and CREWOPS_DEFINITION: {which}")
    return _from_definition(Path(definition)) if definition else _from_entrypoint(entrypoint)


def _from_entrypoint(entrypoint: str) -> Loaded:
    module_name, colon, attribute = entrypoint.partition(":")
    if not colon or not module_name or not attribute:
        raise EntrypointError(f"the entrypoint {entrypoint!r} is not of the form module:attr")
    found: Any = _import(module_name)
    for part in attribute.split("."):
        if not hasattr(found, part):
            raise EntrypointError(f"the module {module_name} has no {attribute!r}{_alternatives(found)}")
        found = getattr(found, part)
    return _resolve(entrypoint, found)


def _import(name: str) -> Any:
    try:
        return importlib.import_module(name)
    except ModuleNotFoundError as error:
        if error.name is None or not (name == error.name or name.startswith(f"{error.name}.")):
            raise EntrypointError(f"importing {name} failed: {error}", user_traceback(error)) from error
        folders = ", ".join(sys.path[:2])
        message = f"there is no module {error.name} (looked in {folders} and the installed packages)"
        raise EntrypointError(f"{message}: correct the entrypoint or the image's working directory") from error
    except SystemExit as error:
        message = f"importing {name} called sys.exit({error.code!r}): guard it by `if __name__ == '__main__':`"
        raise EntrypointError(message, user_traceback(error)) from error
    except Exception as error:
        raise EntrypointError(f"importing {name} failed: {error!r}", user_traceback(error)) from error


def _resolve(source: str, found: Any) -> Loaded:
    if isinstance(found, crewai.Crew | Flow):
        made = Made(found)
        return Loaded(source, lambda: made, shared=True)
    if inspect.isclass(found):
        if issubclass(found, Flow) and found is not Flow:
            return Loaded(source, lambda: _called(source, found))
        if getattr(found, "is_crew_class", False):
            decorated: Any = found
            return Loaded(source, lambda: _called(source, lambda: decorated().crew()))
        message = f"{source} is the class {found.__name__}, which is neither a Flow nor a @CrewBase class"
        raise EntrypointError(f"{message}: name a Crew, a @CrewBase class, a Flow or a function that returns one")
    if callable(found):
        _check_function(source, found)
        return Loaded(source, lambda: _called(source, found))
    message = f"{source} is {_a(type(found).__name__)}"
    raise EntrypointError(f"{message}: name a Crew, a @CrewBase class, a Flow or a function that returns one")


def _check_function(source: str, function: Callable[..., Any]) -> None:
    if inspect.iscoroutinefunction(function):
        raise EntrypointError(f"{source} is an async function: name a plain one that returns a Crew or a Flow")
    needed = [
        one.name
        for one in inspect.signature(function).parameters.values()
        if one.default is one.empty and one.kind not in (one.VAR_POSITIONAL, one.VAR_KEYWORD)
    ]
    if needed:
        raise EntrypointError(f"{source} needs arguments ({', '.join(needed)}): name a function that needs none")


def _called(source: str, make: Callable[[], Any]) -> Made:
    try:
        made = make()
    except SystemExit as error:
        raise EntrypointError(f"building {source} called sys.exit({error.code!r})", user_traceback(error)) from error
    except Exception as error:
        raise EntrypointError(f"building {source} failed: {error!r}", user_traceback(error)) from error
    if not isinstance(made, crewai.Crew | Flow):
        raise EntrypointError(f"{source} gave {_a(type(made).__name__)}, not a Crew or a Flow")
    return Made(made)


def _from_definition(path: Path) -> Loaded:
    def make() -> Made:
        from crew_runtime.crewai.loading import declared

        try:
            declared.check(path, os.environ.get(env.DEFINITION_DIGEST, ""))
            crew, defaults = declared.load(path)
        except declared.DefinitionError as error:
            raise EntrypointError(str(error)) from error
        except Exception as error:
            raise EntrypointError(f"the crew definition {path} cannot be used: {error}") from error
        return Made(crew, dict(defaults or {}))

    return Loaded(str(path), make, definition=True)


def describe(made: Made, declared: Sequence[str] | None = None, *, remembers: bool = False) -> Facts:
    """What is known of it without a kickoff. `declared`: the names in `spec.crew.inputs`, None when it is unset.
    `remembers`: what is said in a session is kept, and given to a crew that asks for it.
    """
    demand = inputs.demand(None if made.is_flow else made.target, made.defaults, declared, remembers=remembers)
    if made.is_flow:
        memory = getattr(made.target, "memory", None)
        uses = memory is not None
        return Facts(
            kind="flow",
            inputs=demand.names,
            inputs_always=demand.always,
            uses_memory=uses,
            embedder=_embedder(made.target, memory) if uses else "",
        )
    crew = made.target
    agents = [*crew.agents, *([crew.manager_agent] if crew.manager_agent else [])]
    uses = bool(crew.memory) or any(getattr(agent, "memory", None) for agent in agents)
    return Facts(
        kind="crew",
        inputs=demand.names,
        inputs_always=demand.always,
        uses_memory=uses,
        embedder=_embedder(crew, getattr(crew, "_memory", None)) if uses else "",
        tasks=len(crew.tasks),
    )


def _embedder(owner: Any, memory: Any) -> str:
    """Of a crew or flow: its own setting, else that of its memory."""
    given = getattr(owner, "embedder", None)
    if given is None:
        given = getattr(getattr(memory, "_memory", None) or memory, "embedder", None)
    return identity.name(given)


def user_traceback(error: BaseException) -> str:
    """The last lines of a traceback, without our own frames and importlib's."""
    return tracebacks.users(error, TRACEBACK_LINES)


def _alternatives(module: Any) -> str:
    names = [
        name
        for name, value in vars(module).items()
        if isinstance(value, crewai.Crew | Flow)
        or (
            inspect.isclass(value)
            and value.__module__ == getattr(module, "__name__", "")
            and (getattr(value, "is_crew_class", False) or issubclass(value, Flow))
        )
    ]
    return f"; it has {', '.join(names)}" if names else ""


def _a(noun: str) -> str:
    return f"an {noun}" if noun[0].lower() in "aeiou" else f"a {noun}"
