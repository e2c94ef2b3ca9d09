"""A crew with memory, an LLM that needs no network and vectors out of a hash."""

import hashlib
from typing import Any

import numpy as np
from chromadb.api.types import EmbeddingFunction
from crewai import Agent, Crew, Task
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


def crew() -> Crew:
    agent = Agent(role="Host", goal="answer", backstory="knows", llm=FilingLLM(model="filing"), max_iter=2)
    task = Task(description="Say {message}", expected_output="a line", agent=agent)
    embedder = {"provider": "custom", "config": {"embedding_callable": Hashed}}
    return Crew(agents=[agent], tasks=[task], memory=True, embedder=embedder)
