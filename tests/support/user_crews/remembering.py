"""A crew with memory, an LLM that needs no network and vectors out of a hash."""

import hashlib
import json
import re
from typing import Any

import numpy as np
from chromadb.api.types import EmbeddingFunction
from crewai import Agent, Crew, Task
from crewai.knowledge.source.string_knowledge_source import StringKnowledgeSource
from crewai.rag.core.types import Documents, Embeddings
from crewai.rag.embeddings.providers.custom.embedding_callable import CustomEmbeddingFunction

from support.user_crews.plain import EchoLLM

_FIELDS: dict[str, Any] = {"memories": ["a guest spoke"], "suggested_scope": "/", "categories": [], "importance": 0.5}


class FilingLLM(EchoLLM):
    """Also answers what CrewAI's memory asks."""

    def call(self, messages: Any, *_: Any, response_model: Any = None, **__: Any) -> Any:
        if response_model is None:
            return super().call(messages).partition("Final Answer: ")[2]
        return response_model(**{key: value for key, value in _FIELDS.items() if key in response_model.model_fields})

    def supports_function_calling(self) -> bool:
        return True


class Hashed(CustomEmbeddingFunction, EmbeddingFunction[Documents]):
    def __call__(self, input: Documents) -> Embeddings:  # noqa: A002 - the base class' name for it
        digests = [hashlib.sha256(text.encode()).digest() for text in input]
        return [np.frombuffer(one, dtype=np.uint8).astype(np.float32) / 255 for one in digests]


class Otherwise(Hashed):
    """Vectors of the same dimension that mean something else."""

    def __call__(self, input: Documents) -> Embeddings:  # noqa: A002
        return super().__call__([f"otherwise {text}" for text in input])


class Unreachable(Hashed):
    """An embedder whose service is down."""

    def __call__(self, input: Documents) -> Embeddings:  # noqa: A002
        raise ConnectionError("the embedder's service refused the connection")


class Unfiling(FilingLLM):
    """Does the agents' work and has no answer for the memory's own questions."""

    def call(self, messages: Any, *rest: Any, response_model: Any = None, **named: Any) -> Any:
        if response_model is not None:
            raise ConnectionError("the analysis model refused the connection")
        return super().call(messages, *rest, **named)


def without_embedder() -> Crew:
    return crew(embedder=Unreachable)


def with_another_embedder() -> Crew:
    return crew(embedder=Otherwise)


def without_knowledge() -> Crew:
    """Its sources cannot be embedded: CrewAI prints that, and makes the crew."""
    agent = Agent(role="Host", goal="answer", backstory="knows", llm=FilingLLM(model="filing"), max_iter=2)
    task = Task(description="Say {message}", expected_output="a line", agent=agent)
    source = StringKnowledgeSource(content="The pool opens at seven.")
    config = {"provider": "custom", "config": {"embedding_callable": Unreachable}}
    return Crew(agents=[agent], tasks=[task], knowledge_sources=[source], embedder=config)


def without_analysis() -> Crew:
    return crew(llm=Unfiling)


def crew(embedder: type = Hashed, llm: type = FilingLLM) -> Crew:
    agent = Agent(role="Host", goal="answer", backstory="knows", llm=llm(model="filing"), max_iter=2)
    task = Task(description="Say {message}", expected_output="a line", agent=agent)
    config = {"provider": "custom", "config": {"embedding_callable": embedder}}
    return Crew(agents=[agent], tasks=[task], memory=True, embedder=config)


class Misfiling(FilingLLM):
    """Suggests for each memory a scope that, passed by the crew's own code, would share it with all sessions."""

    def call(self, messages: Any, *rest: Any, response_model: Any = None, **named: Any) -> Any:
        found = super().call(messages, *rest, response_model=response_model, **named)
        if "memories" in getattr(response_model, "model_fields", ()):
            found.memories = [f"{_said(str(messages))} spoke"]
        if "suggested_scope" in getattr(response_model, "model_fields", ()):
            found.suggested_scope = "/@crew/x"
        return found


def _said(text: str) -> str:
    return re.findall(r"Say (\w+)", text)[0]


def telling() -> Crew:
    """Its code shares a line from each kickoff; its output is all that the kickoff's memory then holds, as JSON."""
    made = crew(llm=Misfiling)

    def tell(output: Any) -> None:
        memory: Any = made._memory
        memory.drain_writes()
        memory.remember(
            f"{_said(output.description)} told", scope="/@crew/house", categories=[], metadata={}, importance=0.5
        )
        output.raw = json.dumps(sorted(one.content for one in memory.list_records()))

    made.tasks[0].callback = tell
    return made
