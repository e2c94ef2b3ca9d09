"""An LLM that needs no network and invents nothing: what it answers stands in its prompt, or it says "I don't know".

It serves this crew's two tasks and the four questions that CrewAI's memory asks of an LLM, so that CrewAI's real memory
runs: extract memories from a result, file them, merge them with what is known, and plan what to search for.
"""

import re
from collections.abc import Callable
from typing import Any

from crewai.llms.base_llm import BaseLLM
from crewai.memory.analyze import (
    ConsolidationAction,
    ConsolidationPlan,
    ExtractedMemories,
    MemoryAnalysis,
    QueryAnalysis,
)
from pydantic import BaseModel

from concierge import reading

NOTED = "Noted: "
NOTHING = "Nothing to note."
UNKNOWN = "I don't know: nobody has told me."
_MESSAGE = re.compile(r"<message>(.*?)</message>", re.DOTALL)
_NOTED = re.compile(rf"^ *{NOTED}(.+)$", re.MULTILINE)
_EXISTING = re.compile(r"^- id=(\S+) .*\n  content: (.*)$", re.MULTILINE)


class OfflineLLM(BaseLLM):
    """Deterministic: the same prompt gets the same answer."""

    llm_type: str = "concierge-offline"

    def call(
        self,
        messages: str | list[Any],
        tools: list[dict[str, Any]] | None = None,
        callbacks: list[Any] | None = None,
        available_functions: dict[str, Any] | None = None,
        from_task: Any = None,
        from_agent: Any = None,
        response_model: type[BaseModel] | None = None,
    ) -> Any:
        """The answer to the last user message, as `response_model` when one is asked for."""
        prompt = _user_text(messages)
        if response_model is not None:
            if response_model not in _STRUCTURED:
                raise ValueError(f"the offline LLM cannot answer as {response_model.__name__}: set OPENAI_API_KEY")
            return _STRUCTURED[response_model](prompt)
        if "Note what the guest tells us." in prompt:
            return note(prompt)
        if "Answer the guest" in prompt:
            return reply(prompt)
        if "Relevant memory excerpts:" in prompt:
            return _explore(prompt)
        raise ValueError("the offline LLM knows the concierge's tasks only: set OPENAI_API_KEY for another crew")

    async def acall(self, *args: Any, **kwargs: Any) -> Any:
        return self.call(*args, **kwargs)

    def supports_function_calling(self) -> bool:
        """Structured answers are asked for by `response_model`."""
        return True

    def supports_stop_words(self) -> bool:
        return False

    def get_context_window_size(self) -> int:
        return 128_000

    def get_input_tokens_count(self, messages: Any, tools: Any = None, response_model: Any = None) -> int:
        return len(_user_text(messages)) // 4


def note(prompt: str) -> str:
    """The first task: a line for each thing that the message states."""
    return "\n".join(NOTED + one for one in reading.statements(_message(prompt))) or NOTHING


def reply(prompt: str) -> str:
    """The second task: questions are answered from the memories in the prompt, statements are confirmed."""
    message = _message(prompt)
    known = reading.memories(prompt)
    parts = [_answer(question, known) for question in reading.questions(message)]
    if told := reading.statements(message):
        parts.append(f"Thank you, I have noted: {' '.join(told)}")
    return " ".join(parts) or "How can I help you?"


def _answer(question: str, known: list[str]) -> str:
    found = reading.answer(question, known)
    return f"You told us: {' '.join(found)}" if found else UNKNOWN


def _explore(prompt: str) -> str:
    query, _, excerpts = prompt.partition("Relevant memory excerpts:\n")
    asked = reading.questions(_message(query))
    found = [fact for question in asked for fact in reading.answer(question, excerpts.split("\n---\n"))]
    return " ".join(found) or "The answer is missing."


def _extract(prompt: str) -> ExtractedMemories:
    """CrewAI shows the task, its agent and its result; only what was noted is worth keeping."""
    _, _, result = prompt.rpartition("\nResult:")
    return ExtractedMemories(memories=[reading.as_memory(one) for one in _NOTED.findall(result)])


def _plan_search(prompt: str) -> QueryAnalysis:
    message = _message(prompt)
    about = reading.subject(message)
    queries = [message, f"On {about}: {message}"] if about else [message]
    return QueryAnalysis(keywords=[about] if about else [], complexity="simple", recall_queries=queries)


def _file(prompt: str) -> MemoryAnalysis:
    content = prompt.partition("Content to store:\n")[2].partition("\n\nExisting scopes:")[0]
    about = reading.subject(content)
    slug = (about or "other").removeprefix("the ")
    weight = 0.9 if slug == "food" else 0.5  # an allergy outweighs a wish
    return MemoryAnalysis(suggested_scope=f"/guest/{slug}", categories=[slug], importance=weight)


def _consolidate(prompt: str) -> ConsolidationPlan:
    """The same said again adds nothing; the same with other numbers replaces what was said before."""
    content = prompt.partition("New content to consider storing:\n")[2].partition("\n\nExisting similar memories:")[0]
    actions, insert = [], True
    for record_id, existing in _EXISTING.findall(prompt):
        if _words(existing) == _words(content):
            insert = False
        elif _words(re.sub(r"\d+", "", existing)) == _words(re.sub(r"\d+", "", content)):
            actions.append(ConsolidationAction(action="delete", record_id=record_id, reason="told anew"))
    return ConsolidationPlan(actions=actions, insert_new=insert)


_STRUCTURED: dict[type[BaseModel], Callable[[str], BaseModel]] = {
    ExtractedMemories: _extract,
    QueryAnalysis: _plan_search,
    MemoryAnalysis: _file,
    ConsolidationPlan: _consolidate,
}


def _message(prompt: str) -> str:
    """What the guest said; a query without the mark is a message itself."""
    if found := _MESSAGE.search(prompt):
        return found[1].strip()
    return prompt.partition("Query: ")[2].partition("\n\nAvailable scopes:")[0].strip()


def _words(text: str) -> list[str]:
    return re.findall(r"\w+", text.lower())


def _user_text(messages: Any) -> str:
    if isinstance(messages, str):
        return messages
    return "\n".join(str(one.get("content") or "") for one in messages if one.get("role") == "user")
