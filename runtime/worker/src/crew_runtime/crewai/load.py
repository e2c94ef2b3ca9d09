"""`module:attr` or the path of a definition -> something that can be kicked off.

Imports the user's code, so it runs in a trial child or a slot unless that proved harmless. Every failure is an
EntrypointError that says what to change, with the tail of the user's traceback.
"""

import importlib
import inspect
import sys
import traceback
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import crewai
from crewai.flow.flow import Flow

from crew_runtime.crewai import embedders, inputs

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
    kind: str
    """`crew` or `flow`."""
    crew: Any = None
    """The one Crew of this process, copied for each kickoff: building it anew leaks with @CrewBase."""
    make_flow: Callable[[], Any] | None = None
    """A new Flow for each kickoff: it keeps its state in itself."""
    defaults: Mapping[str, Any] = field(default_factory=dict)
    """Inputs that the definition gives."""
    inputs: tuple[str, ...] = ()
    """Names of the inputs that a kickoff has to give."""
    uses_memory: bool = False
    embedder: str = ""
    """`provider/model` as the crew was built with, or ``."""


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
    if isinstance(found, crewai.Crew):
        return _crew(source, found)
    if isinstance(found, Flow):
        return _flow(source, _call_maker(source, type(found)))
    if inspect.isclass(found):
        if issubclass(found, Flow) and found is not Flow:
            return _flow(source, found)
        if getattr(found, "is_crew_class", False):
            decorated: Any = found
            return _crew(source, _made_crew(source, _call(source, lambda: decorated().crew())))
        message = f"{source} is the class {found.__name__}, which is neither a Flow nor a @CrewBase class"
        raise EntrypointError(f"{message}: name a Crew, a @CrewBase class, a Flow or a function that returns one")
    if callable(found):
        return _from_factory(source, found)
    message = f"{source} is {_a(type(found).__name__)}"
    raise EntrypointError(f"{message}: name a Crew, a @CrewBase class, a Flow or a function that returns one")


def _from_factory(source: str, factory: Callable[..., Any]) -> Loaded:
    if inspect.iscoroutinefunction(factory):
        raise EntrypointError(f"{source} is an async function: name a plain one that returns a Crew or a Flow")
    needed = [
        one.name
        for one in inspect.signature(factory).parameters.values()
        if one.default is one.empty and one.kind not in (one.VAR_POSITIONAL, one.VAR_KEYWORD)
    ]
    if needed:
        raise EntrypointError(f"{source} needs arguments ({', '.join(needed)}): name a function that needs none")
    made = _call(source, factory)
    if isinstance(made, Flow):
        return _flow(source, factory, made)
    return _crew(source, _made_crew(source, made))


def _made_crew(source: str, made: Any) -> Any:
    if not isinstance(made, crewai.Crew):
        raise EntrypointError(f"{source} gave {_a(type(made).__name__)}, not a Crew or a Flow")
    return made


def _crew(source: str, crew: Any, defaults: Mapping[str, Any] | None = None) -> Loaded:
    defaults = dict(defaults or {})
    needed = tuple(inputs.missing(inputs.asked_for(crew), defaults))
    agents = [*crew.agents, *([crew.manager_agent] if crew.manager_agent else [])]
    uses = bool(crew.memory) or any(getattr(agent, "memory", None) for agent in agents)
    if crew.before_kickoff_callbacks:
        # They may add inputs that the texts ask for; CrewAI itself complains when they do not.
        needed = ()
    return Loaded(
        source=source,
        kind="crew",
        crew=crew,
        defaults=defaults,
        inputs=needed,
        uses_memory=uses,
        embedder=_embedder(crew, getattr(crew, "_memory", None)) if uses else "",
    )


def _flow(source: str, make: Callable[[], Any], made: Any = None) -> Loaded:
    # Built once here so that a constructor that fails is found at start.
    flow = made if made is not None else _call(source, make)
    memory = getattr(flow, "memory", None)
    uses = memory is not None
    name = _embedder(flow, memory) if uses else ""
    return Loaded(source=source, kind="flow", make_flow=make, uses_memory=uses, embedder=name)


def _call_maker(source: str, cls: type) -> Callable[[], Any]:
    def make() -> Any:
        return cls()

    _call(source, make)
    return make


def _call(source: str, make: Callable[[], Any]) -> Any:
    try:
        return make()
    except SystemExit as error:
        raise EntrypointError(f"building {source} called sys.exit({error.code!r})", user_traceback(error)) from error
    except Exception as error:
        raise EntrypointError(f"building {source} failed: {error!r}", user_traceback(error)) from error


def _from_definition(path: Path) -> Loaded:
    from crew_runtime.crewai import definition

    try:
        crew, defaults = definition.load(path)
    except definition.DefinitionError as error:
        raise EntrypointError(str(error)) from error
    except Exception as error:
        raise EntrypointError(f"the crew definition {path} cannot be used: {error}") from error
    return _crew(str(path), crew, defaults)


def _embedder(owner: Any, memory: Any) -> str:
    """Of a crew or flow: its own setting, else that of its memory."""
    given = getattr(owner, "embedder", None)
    if given is None:
        given = getattr(getattr(memory, "_memory", None) or memory, "embedder", None)
    return embedders.name(given)


def user_traceback(error: BaseException) -> str:
    """The last lines of a traceback, without our own frames and importlib's."""
    ours = str(Path(__file__).parent.parent)
    kept = [
        frame
        for frame in traceback.extract_tb(error.__traceback__)
        if not frame.filename.startswith((ours, "<frozen importlib"))
    ]
    lines = traceback.format_list(kept) + traceback.format_exception_only(error)
    return "\n".join("".join(lines).splitlines()[-TRACEBACK_LINES:])


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
