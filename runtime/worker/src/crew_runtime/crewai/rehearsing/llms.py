"""A stand-in for every LLM: the objects are built as the crew's code or CrewAI builds them; their call is replaced.

It answers text, or a value of the schema that was asked for, and never asks for a tool.
"""

import json
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from typing import Any

from crewai.llms.base_llm import BaseLLM
from pydantic import BaseModel

from crew_runtime.crewai.rehearsing import samples

TEXT = "rehearsal"
_PLAN_TOOL = "create_reasoning_plan"
_READY = "READY: I am ready to execute the task."
"""What CrewAI's reasoning waits for in a text (utilities/reasoning_handler.py, 1.15.30)."""


MOST_ANSWERS = 200
"""After which a kickoff is going round in circles: no stand-in's answer contents it."""


class AskedTooOftenError(RuntimeError):
    """The stand-in gives no more answers."""


@dataclass
class Given:
    """What the stand-in was asked so far."""

    text: str
    answers: int = 0


def install(text: str = TEXT) -> Given:
    """For all classes that there are, and for those that are imported later."""
    given = Given(text)
    replaced: Mapping[str, Callable[..., Any]] = _methods(given)
    base: Any = BaseLLM
    for one in (base, *_below(base)):
        _replace(one, replaced)
    # Of an older CrewAI it is `object`'s, which is bound to the class and takes no other.
    before = getattr(base.__init_subclass__, "__func__", None)

    def init_subclass(cls: type[Any], /, **arguments: Any) -> None:
        if before is not None:
            before(cls, **arguments)
        _replace(cls, replaced)

    base.__init_subclass__ = classmethod(init_subclass)
    return given


def _methods(given: Given) -> dict[str, Callable[..., Any]]:
    def call(
        self: Any,
        messages: Any,
        tools: Any = None,
        callbacks: Any = None,
        available_functions: Any = None,
        from_task: Any = None,
        from_agent: Any = None,
        response_model: Any = None,
        **more: Any,
    ) -> Any:
        _build_client(self)
        given.answers += 1
        if given.answers > MOST_ANSWERS:
            raise AskedTooOftenError("the stand-in for the LLM was asked over and over")
        asked = response_model or more.get("response_format")
        return _answer(given.text, messages, tools, asked, from_task, getattr(self, "response_format", None))

    async def acall(self: Any, *arguments: Any, **named: Any) -> Any:
        return call(self, *arguments, **named)

    def get_input_tokens_count(self: Any, *_: Any, **__: Any) -> int:
        return 1  # some providers ask over the network

    return {"call": call, "acall": acall, "get_input_tokens_count": get_input_tokens_count}


def _answer(text: str, messages: Any, tools: Any, asked: Any, task: Any, format_: Any) -> Any:
    if isinstance(asked, type) and issubclass(asked, BaseModel):
        return samples.of_model(asked, text)
    if isinstance(tools, list) and _PLAN_TOOL in json.dumps(tools, default=str):
        return json.dumps({"plan": text, "steps": [], "ready": True})
    said = _said(messages)
    shape = _shape(task) or (format_ if isinstance(format_, type) and issubclass(format_, BaseModel) else None)
    if shape is not None:
        answer = samples.of_model(shape, text).model_dump_json()
    elif isinstance(asked, dict) or isinstance(format_, dict):
        answer = "{}"
    else:
        answer = f"{text}\n{_READY}" if "READY" in said else text
    # What an agent without native tool calls has to say, else it is asked again.
    return f"Thought: I now can give a great answer\nFinal Answer: {answer}" if "Final Answer" in said else answer


def _shape(task: Any) -> type[BaseModel] | None:
    found = (getattr(task, name, None) for name in ("response_model", "output_pydantic", "output_json"))
    return next((one for one in found if isinstance(one, type) and issubclass(one, BaseModel)), None)


def _said(messages: Any) -> str:
    if isinstance(messages, str):
        return messages
    parts = (one.get("content") for one in messages or () if isinstance(one, Mapping))
    return "\n".join(one for one in parts if isinstance(one, str))


def _build_client(llm: Any) -> None:
    """Raises what the first call of CrewAI's own classes raises without a key: they put their client off till then."""
    build = getattr(llm, "_get_sync_client", None)
    if build is not None and type(llm).__module__.startswith("crewai."):
        build()


def _replace(cls: type, methods: Mapping[str, Callable[..., Any]]) -> None:
    for name, method in methods.items():
        setattr(cls, name, method)


def _below(cls: type[Any]) -> Iterator[type[Any]]:
    one: type[Any]
    for one in cls.__subclasses__():
        yield one
        yield from _below(one)
