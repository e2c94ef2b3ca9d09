"""A quick crew that remembers one fact of each kickoff, and notes in a file what it did: each line a side effect."""

import hashlib
import os
import re
import time
from pathlib import Path
from typing import Any

import numpy as np
from chromadb.api.types import EmbeddingFunction
from crewai import Agent, Crew, Process, Task
from crewai.llms.base_llm import BaseLLM
from crewai.memory.analyze import ConsolidationPlan, ExtractedMemories, MemoryAnalysis, QueryAnalysis
from crewai.rag.embeddings.providers.custom.embedding_callable import CustomEmbeddingFunction

DIMENSION = 64
FILE = "LEDGER_FILE"
"""The variable with the path of the file; without it nothing is noted."""
THINKS = 0.5
"""Seconds of each task: long enough that a fault finds some of them in the middle."""
_FACT = re.compile(r"fact [0-9a-f]{32}")


class Words(CustomEmbeddingFunction, EmbeddingFunction):  # type: ignore[type-arg]
    """The same vector for the same text, and nearly orthogonal ones for different texts."""

    def __init__(self) -> None:
        """CrewAI makes it without arguments."""

    @staticmethod
    def name() -> str:
        return "words"

    def get_config(self) -> dict[str, Any]:
        return {}

    def __call__(self, input: Any) -> Any:  # noqa: A002 - CrewAI passes it by this name
        return [_vector(text) for text in input]


def _vector(text: str) -> Any:
    seed = int.from_bytes(hashlib.sha256(text.encode()).digest()[:8], "big")
    made = np.random.default_rng(seed).standard_normal(DIMENSION)
    return (made / np.linalg.norm(made)).astype(np.float32)


class LedgerLLM(BaseLLM):
    """Repeats the fact of its prompt, and answers the questions of CrewAI's memory."""

    llm_type: str = "ledger"

    def call(self, messages: Any, *_: Any, response_model: Any = None, **__: Any) -> Any:
        text = messages if isinstance(messages, str) else "\n".join(str(one.get("content") or "") for one in messages)
        found = _FACT.findall(text)
        if response_model is ExtractedMemories:
            return ExtractedMemories(memories=found[-1:] if "Kept: " in text else [])
        if response_model is MemoryAnalysis:
            return MemoryAnalysis(suggested_scope="/facts", categories=[], importance=0.5)
        if response_model is ConsolidationPlan:
            return ConsolidationPlan(actions=[], insert_new=True)
        if response_model is QueryAnalysis:
            return QueryAnalysis(keywords=[], complexity="simple", recall_queries=found[-1:] or ["fact"])
        time.sleep(THINKS)
        return f"Kept: {found[0]}" if "Keep this" in text and found else "Done."

    def supports_function_calling(self) -> bool:
        return True

    def get_context_window_size(self) -> int:
        return 128_000


def crew() -> Crew:
    llm = LedgerLLM(model="ledger")
    keeper = Agent(role="Keeper", goal="keep facts", backstory="forgets nothing", llm=llm, max_iter=2)
    keep = Task(name="keep", description="Keep this: {fact}", expected_output="a line", agent=keeper, callback=_note)
    confirm = Task(name="confirm", description="Say that it is done.", expected_output="a line", agent=keeper)
    return Crew(
        agents=[keeper],
        tasks=[keep, confirm],
        process=Process.sequential,
        memory=True,
        embedder={"provider": "custom", "config": {"embedding_callable": Words}},
    )


def _note(output: Any) -> None:
    """One write of one line, so that lines of several processes do not mix."""
    if path := os.environ.get(FILE):
        with Path(path).open("a") as file:
            file.write(f"{_FACT.findall(str(output.raw))[0]}\n")
