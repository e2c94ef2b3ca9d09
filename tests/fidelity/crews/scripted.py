"""What the crews of the corpus share: an LLM that does what its task's text says, and notes of what was seen.

A task's text gives orders, one a line: `Say X` is the answer; `Use TOOL {json}` calls a tool first, then answers with
what it gave; `Repeat the context` adds what other tasks gave; `Fail with X` raises. Everything else is as any user's
code: this module knows nothing of who kicks off.
"""

import fcntl
import hashlib
import json
import os
import re
from pathlib import Path
from typing import Any

from chromadb.api.types import EmbeddingFunction
from crewai import Agent, Task
from crewai.llms.base_llm import BaseLLM
from crewai.rag.core.types import Documents, Embeddings
from crewai.rag.embeddings.providers.custom.embedding_callable import CustomEmbeddingFunction
from pydantic import BaseModel

DIMENSION = 32
CONTEXT = "This is the context you're working with:"


def note(what: Any) -> None:
    """A line in the kickoff's notes: what the crew did, beside what it returned."""
    with Path(os.environ["FIDELITY_NOTES"]).open("a") as file:
        fcntl.flock(file, fcntl.LOCK_EX)
        file.write(json.dumps(what, sort_keys=True, default=str) + "\n")


class Scripted(BaseLLM):
    """Does what the text says. Its name is in its notes, so one sees which of several was asked."""

    quiet: bool = False
    """No notes of its calls."""

    def call(
        self,
        messages: Any,
        tools: Any = None,
        callbacks: Any = None,
        available_functions: Any = None,
        from_task: Any = None,
        from_agent: Any = None,
        response_model: Any = None,
    ) -> Any:
        if not self.quiet:
            note(f"{self.model} was asked")
        self._track_token_usage_internal({"prompt_tokens": 10, "completion_tokens": 5, "total_tokens": 15})
        if isinstance(messages, str):
            messages = [{"role": "user", "content": messages}]
        if response_model is not None:
            return self.filled(response_model, messages)
        return self.answer(messages)

    def filled(self, model: type[BaseModel], messages: Any) -> Any:
        """An object of the model that is asked for."""
        return model(**{name: FILLED[name] for name in model.model_fields if name in FILLED})

    def answer(self, messages: list[dict[str, Any]]) -> str:
        """In the form of an agent's reply."""
        texts = [_text(one) for one in messages]
        asked = [text for text, one in zip(texts, messages, strict=True) if one.get("role") != "system"] or texts
        task = next((one for one in asked if _orders(one)), asked[-1])
        orders = _orders(task)
        failure = [rest for word, rest in orders if word == "Fail with"]
        if failure:
            raise ConnectionError(failure[0])
        uses = [rest for word, rest in orders if word == "Use"]
        seen = [part for text in texts for part in re.findall(r"^Observation: ?(.*)", text, re.MULTILINE)]
        seen = [one for one in seen if one != "the result of the action"]  # of the prompt that explains the form
        if len(seen) < len(uses):
            tool, _, given = uses[len(seen)].partition(" ")
            return f"Thought: I need it.\nAction: {tool}\nAction Input: {given or '{}'}"
        said = [rest for word, rest in orders if word == "Say"] + seen[-1:]
        if any(word == "Repeat the context" for word, _ in orders):
            said.append(f"given ({_flat(task.partition(CONTEXT)[2]) or 'nothing'})")
        for text in asked:
            said += [f"after {_flat(one)}" for one in re.findall(r"Previous attempt failed validation: (.*)", text)]
            said += [f"heard {one.strip()}" for one in re.findall(r"User feedback: (.*)", text)]
            said += [f"minding {_flat(one)}" for one in re.findall(r"follow these instructions: ?\n?([^#]*)", text)]
        return f"Thought: I know.\nFinal Answer: {' | '.join(said) or 'nothing'}"

    def supports_function_calling(self) -> bool:
        return False

    def get_context_window_size(self) -> int:
        return 100_000

    def get_input_tokens_count(self, *_: Any, **__: Any) -> int:
        return 1


FILLED: dict[str, Any] = {
    "memories": ["a fact worth keeping"],
    "suggested_scope": "/facts",
    "categories": ["facts"],
    "importance": 0.5,
    "extracted_metadata": {},
    "keywords": ["fact"],
    "suggested_scopes": [],
    "complexity": "simple",
    "recall_queries": ["fact"],
    "insert_new": True,
    "actions": [],
}


class Fixed(Scripted):
    """Always the same answer."""

    says: str = "nothing"

    def filled(self, model: type[BaseModel], messages: Any) -> Any:
        return model.model_validate_json(self.says) if self.says.startswith("{") else super().filled(model, messages)

    def answer(self, messages: Any) -> str:
        return self.says if self.says.startswith("{") else f"Thought: I know.\nFinal Answer: {self.says}"


class Hashed(CustomEmbeddingFunction, EmbeddingFunction[Documents]):
    """Vectors out of a text's words: texts that share words are near to each other."""

    def __call__(self, input: Documents) -> Embeddings:  # noqa: A002 - the base class' name for it
        import numpy as np

        vectors = []
        for text in input:
            vector = np.full(DIMENSION, 0.01, dtype=np.float32)
            for word in re.findall(r"\w+", text.lower()):
                vector[hashlib.sha256(word.encode()).digest()[0] % DIMENSION] += 1
            vectors.append(vector / np.linalg.norm(vector))
        return vectors


EMBEDDER: Any = {"provider": "custom", "config": {"embedding_callable": Hashed}}


def agent(role: str = "Clerk", llm: Any = None, **more: Any) -> Agent:
    return Agent(
        **{"role": role, "goal": "work", "backstory": "works", "llm": llm or Scripted(model="scripted"), "max_iter": 6}
        | more
    )


def task(text: str, who: Agent | None = None, **more: Any) -> Task:
    return Task(**{"description": text, "expected_output": "a line", "agent": who} | more)


def _text(message: dict[str, Any]) -> str:
    content = message.get("content")
    if isinstance(content, list):
        return "\n".join(str(part.get("text", "")) for part in content)
    return str(content or "")


def _orders(text: str) -> list[tuple[str, str]]:
    mine = text.partition(CONTEXT)[0]
    found = re.findall(r"(?:^|Task: |query is: )(Say|Use|Fail with|Repeat the context)\b[ .]*(.*)", mine, re.MULTILINE)
    return [(word, rest.strip()) for word, rest in found]


def _flat(text: str) -> str:
    cut = re.split(r"\n\s*\n(?:Begin!|Provide your|# )|Provide your complete response", text)[0]
    return re.sub(r"\s+", " ", cut).strip()
