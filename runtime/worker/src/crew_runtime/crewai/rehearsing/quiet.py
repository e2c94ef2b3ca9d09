"""Takes out of a crew or flow what has effects outside: callbacks, hooks, listeners, files, servers, waiting, people.

The user's functions are left out, and CrewAI's own code goes on as if they had had nothing to say. Those that could
have failed a kickoff are noted.
"""

import inspect
import sys
from collections.abc import Callable, Iterable, Iterator
from itertools import chain
from typing import Any

from crewai import Agent, Crew, Task
from crewai.agents.agent_builder.base_agent import BaseAgent
from crewai.events.event_bus import crewai_event_bus
from crewai.flow.flow import Flow
from crewai.tasks.conditional_task import ConditionalTask
from crewai.utilities.rpm_controller import RPMController

from crew_runtime.crewai import memories
from crew_runtime.crewai.rehearsing import left_out
from crew_runtime.crewai.rehearsing.left_out import LeftOut
from crew_runtime.crewai.rehearsing.llms import TEXT
from crew_runtime.crewai.state import checkpoints
from crew_runtime.crewai.state.flows import RedisFlowPersistence
from crew_runtime.crewai.state.knowledge import RedisKnowledgeStorage

_OURS = ("crewai", "crew_runtime")
"""Packages whose code runs in a rehearsal."""
_STORES = "stores of the crew's own"


def process(left: LeftOut) -> None:
    """What is registered with CrewAI for the whole process, and what its classes do by themselves."""
    _no_listeners()
    _no_hooks(left)
    _set(Agent, "get_mcp_tools", lambda *_, **__: [])
    _set(Agent, "get_platform_tools", lambda *_, **__: [])
    _set(Task, "_save_file", lambda *_, **__: None)
    _set(RPMController, "check_or_wait", lambda *_, **__: True)
    for cls in _below(BaseAgent):
        # An agent of another framework calls its own models.
        if _is_anothers(cls):
            _set(cls, "execute_task", lambda *_, **__: TEXT)
            if "aexecute_task" in vars(cls):
                _set(cls, "aexecute_task", _answered)


def crew(one: Crew, left: LeftOut) -> None:
    """In place."""
    for kind in ("before_kickoff", "after_kickoff"):
        behind = map(left_out.behind, getattr(one, f"{kind}_callbacks", None) or ())
        left.note(f"{kind} callbacks", *(left_out.of_callable(given) for given in behind if not _is_ours(given)))
        one.__dict__[f"{kind}_callbacks"] = []
    for name, kind in (("step_callback", "step callbacks"), ("task_callback", "callbacks of all tasks")):
        _no_callback(one, name, kind, left)
    if one.output_log_file:
        left.note("files", str(one.output_log_file))
    one.__dict__.update(output_log_file=None, tracing=False)
    if hasattr(one, "_file_handler"):
        one._file_handler = None  # type: ignore[assignment]
    _own_code_out(type(one), Crew, left)
    _checkpoints(one, left)
    for number, task in enumerate(one.tasks, 1):
        _task(task, left_out.of_task(task, number), left)
    for agent in agents_of(one):
        _agent(agent, left)


def flow(one: Any, left: LeftOut) -> None:
    """In place: its own methods do nothing; CrewAI's conversation goes on."""
    one.__dict__["tracing"] = False
    _own_code_out(type(one), Flow, left)
    _checkpoints(one, left)
    for name, method in one._methods.items():
        if not _is_ours(method):
            left.note("methods of the flow", str(name))
            one._methods[name] = _nothing
    if hasattr(Flow, "_run_human_feedback_step"):
        _set(Flow, "_run_human_feedback_step", _no_feedback)


def stores(made: Any, storage: Any, left: LeftOut) -> None:
    """What the user's code keeps in a store of its own goes to `state` and to the runtime's other stores."""
    for memory in memories.of(made):
        if type(memory._storage) is not type(storage):
            left.note(_STORES, left_out.of_class(type(memory._storage)))
            memory._storage = storage
    for owner in (made, *agents_of(made)):
        knowledge = getattr(owner, "knowledge", None)
        kept = getattr(knowledge, "storage", None)
        if kept is not None and not isinstance(kept, RedisKnowledgeStorage):
            left.note(_STORES, left_out.of_class(type(kept)))
            name = getattr(knowledge, "collection_name", None)
            knowledge.__dict__["storage"] = RedisKnowledgeStorage(embedder=None, collection_name=name)
    if isinstance(made, Flow):
        if made.persistence is not None and not isinstance(made.persistence, RedisFlowPersistence):
            left.note(_STORES, left_out.of_class(type(made.persistence)))
            made.__dict__["persistence"] = RedisFlowPersistence()
        _set(Flow, "_persist_backend_for", lambda *_: RedisFlowPersistence())


def agents_of(made: Any) -> list[Any]:
    """Of a crew: its own, its tasks' and its manager, each as often as it is named."""
    tasks = getattr(made, "tasks", None) or ()
    found = [
        *(getattr(made, "agents", None) or ()),
        *(one.agent for one in tasks),
        getattr(made, "manager_agent", None),
    ]
    return [one for one in found if one is not None]


def _task(task: Any, name: str, left: LeftOut) -> None:
    if task.callback is not None:
        left.note("callbacks of tasks", name)
    task.__dict__["callback"] = None
    task.__dict__["human_input"] = False  # approved
    if task.output_file:
        left.note("files", str(task.output_file))
    if getattr(task, "_guardrail", None) is not None and not _is_ours(task._guardrail):
        left.note("guardrails of tasks", name)
        task._guardrail = _passes
    if guardrails := getattr(task, "_guardrails", None):
        if not all(map(_is_ours, guardrails)):
            left.note("guardrails of tasks", name)
        task._guardrails = [one if _is_ours(one) else _passes for one in guardrails]
    if isinstance(task, ConditionalTask) and task.condition is not None:
        left.note("conditions of tasks", name)
        task.__dict__["condition"] = lambda _: True
    _own_code_out(type(task), Task, left)


def _agent(agent: Any, left: LeftOut) -> None:
    role = str(agent.role)
    for name, kind in (("mcps", "MCP servers of agents"), ("apps", "platform apps of agents")):
        if getattr(agent, name, None):
            left.note(kind, role)
    # The wrapper that asks other agents over the network goes by this field.
    if agent.__dict__.get("a2a"):
        left.note("other agents (A2A) of agents", role)
        agent.__dict__["a2a"] = None
    _no_callback(agent, "step_callback", "step callbacks", left)
    _checkpoints(agent, left)
    if any(map(_is_anothers, type(agent).__mro__)):
        left.note("agents that do their tasks themselves", role)
    if isinstance(agent, Agent):
        _own_code_out(type(agent), Agent, left)


def _no_callback(owner: Any, name: str, kind: str, left: LeftOut) -> None:
    if (given := owner.__dict__.get(name)) is not None:
        left.note(kind, left_out.of_callable(given))
        owner.__dict__[name] = None


def _is_anothers(cls: type) -> bool:
    """Whether it replaces how an agent does a task, as an adapter of another framework does."""
    if not issubclass(cls, BaseAgent) or cls is BaseAgent or cls.__module__.startswith("crewai.agent."):
        return False
    return "execute_task" in vars(cls)


def _checkpoints(owner: Any, left: LeftOut) -> None:
    """Of a provider that writes elsewhere than we can erase: none is written."""
    config = getattr(owner, "checkpoint", None)
    if not config:
        return
    provider = getattr(config, "provider", None)
    if not checkpoints.in_force() or type(provider).__name__ not in ("JsonProvider", "NoneType"):
        left.note(_STORES, left_out.of_class(type(provider)))
        owner.__dict__["checkpoint"] = None


def _own_code_out(cls: type, base: type, left: LeftOut) -> None:
    """Where a class of the user's replaces a method of CrewAI's class, CrewAI's is run."""
    for one in cls.__mro__:
        if _is_ours(one) or not issubclass(one, base):
            continue
        for name, found in tuple(vars(one).items()):
            if inspect.isfunction(found) and not name.startswith("__") and name != "model_post_init":
                original = _of_crewai(one, name)
                if original is not None:
                    if not _is_ours(found):
                        left.note(f"methods of {left_out.of_class(one)}", name)
                    setattr(one, name, original)


def _of_crewai(cls: type, name: str) -> Any:
    found = (vars(base)[name] for base in cls.__mro__ if _is_ours(base) and name in vars(base))
    return next((one for one in found if inspect.isfunction(one)), None)


def _no_listeners() -> None:
    for name in ("_sync_handlers", "_async_handlers"):
        for kind, handlers in tuple(getattr(crewai_event_bus, name, {}).items()):
            for handler in tuple(handlers):
                if not _is_ours(handler):
                    crewai_event_bus.off(kind, handler)


def _no_hooks(left: LeftOut) -> None:
    # Modules that this CrewAI does not have, or that nobody imported, hold none.
    left.note("hooks", *(left_out.of_callable(one) for one in _hooks() if not _is_ours(one)))
    if dispatch := sys.modules.get("crewai.hooks.dispatch"):
        dispatch.clear_all()
    if llm := sys.modules.get("crewai.hooks.llm_hooks"):
        llm.clear_all_llm_call_hooks()
    if tool := sys.modules.get("crewai.hooks.tool_hooks"):
        tool.clear_all_tool_call_hooks()


def _hooks() -> Iterator[Any]:
    for module in ("dispatch", "llm_hooks", "tool_hooks"):
        for name, found in tuple(vars(sys.modules.get(f"crewai.hooks.{module}", object)).items()):
            if name.endswith("_hooks") and isinstance(found, list):
                yield from found
            elif name == "_global_hooks":
                yield from chain.from_iterable(found.values())


def _is_ours(thing: Any) -> bool:
    """Whether it is CrewAI's or the runtime's code; of an object that is called, its class is asked."""
    thing = inspect.unwrap(getattr(thing, "__func__", thing)) if callable(thing) else thing
    module = getattr(thing, "__module__", None) or type(thing).__module__
    return str(module).partition(".")[0] in _OURS


def _nothing(*_: Any, **__: Any) -> None:
    return None


def _passes(output: Any) -> tuple[bool, Any]:
    return True, output


async def _answered(*_: Any, **__: Any) -> str:
    return TEXT


async def _no_feedback(self: Any, method_name: Any, feedback_definition: Any, method_output: Any) -> Any:
    return method_output


def _set(cls: type, name: str, value: Callable[..., Any]) -> None:
    if hasattr(cls, name):
        setattr(cls, name, value)


def _below(cls: type[Any]) -> Iterable[type[Any]]:
    one: type[Any]
    for one in cls.__subclasses__():
        yield one
        yield from _below(one)
