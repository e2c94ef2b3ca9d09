"""The crews that the bench runs: two agents, two tasks, an LLM of 50 ms a call; once plain, once with memory."""

import hashlib
import os
import time
from typing import Any

import numpy as np
from chromadb.api.types import EmbeddingFunction
from crewai import Agent, Crew, Process, Task
from crewai.llms.base_llm import BaseLLM
from crewai.rag.core.types import Documents, Embeddings
from crewai.rag.embeddings.providers.custom.embedding_callable import CustomEmbeddingFunction

DIMENSION = 384
LLM_SECONDS = float(os.environ.get("BENCH_LLM_SECONDS", "0.05"))


class SleepingLLM(BaseLLM):
    """Answers after LLM_SECONDS, in the shape that was asked for."""

    def call(self, messages: Any, *_: Any, response_model: Any = None, **__: Any) -> Any:
        """The final answer of an agent, or an instance of `response_model` built from its defaults."""
        time.sleep(LLM_SECONDS)
        if response_model is None:
            return "Thought: I know.\nFinal Answer: the terrace opens at seven"
        fields = response_model.model_fields
        if "memories" in fields:
            return response_model(memories=["The terrace opens at seven."])
        if "suggested_scope" in fields:
            return response_model(suggested_scope="/hotel", categories=["hours"], importance=0.5)
        return response_model()

    def supports_function_calling(self) -> bool:
        """So that CrewAI's memory asks with a response model."""
        return True


class HashEmbedder(CustomEmbeddingFunction, EmbeddingFunction[Documents]):
    """Unit vectors out of a hash: no model's time in the figures."""

    def __call__(self, input: Documents) -> Embeddings:  # noqa: A002 - the base class' name for it
        """A float32 array of DIMENSION a text."""
        return [_vector(text) for text in input]


def _vector(text: str) -> "np.ndarray[Any, np.dtype[np.float32]]":
    raw = np.frombuffer(hashlib.shake_128(text.encode()).digest(DIMENSION * 2), dtype=np.uint16)
    values = raw.astype(np.float32) / 32768 - 1
    return values / np.linalg.norm(values)


def _crew(**options: Any) -> Crew:
    llm = SleepingLLM(model="sleeping")
    agents = [
        Agent(role=role, goal="answer guests", backstory="has worked here for years", llm=llm, max_iter=2)
        for role in ("Listener", "Concierge")
    ]
    tasks = [
        Task(description=f"{verb} {{message}}", expected_output="one sentence", agent=agent)
        for verb, agent in zip(("Note", "Answer"), agents, strict=True)
    ]
    return Crew(agents=agents, tasks=tasks, process=Process.sequential, verbose=False, **options)


def plain() -> Crew:
    """Two LLM calls a kickoff."""
    return _crew()


def remembering() -> Crew:
    """The same with memory on."""
    return _crew(memory=True, embedder={"provider": "custom", "config": {"embedding_callable": HashEmbedder}})


def concierge() -> Crew:
    """The example's, with its own offline LLM and its embedder, which loads a model."""
    from concierge.crew import Concierge

    made: Crew = Concierge().crew()
    return made
