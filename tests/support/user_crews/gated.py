"""A crew with memory that stops where a test wants it to, and whose embedder and analysis LLM fail on demand.

In the folder that GATED_FOLDER names: `NAME.at` is written by the kickoff of the message "NAME" when it has recalled
and not yet saved, and it goes on when there is a `NAME.go`; `embedder` holds `down` or another dimension, `analysis` is
there while the memory's own LLM is down.
"""

import hashlib
import os
import time
from pathlib import Path
from typing import Any

import numpy as np
from crewai import Agent, Crew, Task
from crewai.rag.core.types import Documents, Embeddings

from support.user_crews.remembering import FilingLLM, Hashed

FOLDER = Path(os.environ.get("GATED_FOLDER", "."))
PATIENCE = 120.0
"""Seconds: a test that failed leaves nobody at the gate."""
DIMENSION = 32


class Switched(Hashed):
    """Down, or of another dimension, as the test says."""

    def __call__(self, input: Documents) -> Embeddings:  # noqa: A002 - the base class' name for it
        told = _told("embedder")
        if told == "down":
            raise ConnectionError("the embedder's service refused the connection")
        length = int(told or DIMENSION)
        digests = [hashlib.blake2b(text.encode(), digest_size=length).digest() for text in input]
        return [np.frombuffer(one, dtype=np.uint8).astype(np.float32) / 255 for one in digests]


class GatedLLM(FilingLLM):
    """Waits at its first answer as an agent; its tasks say "NAME first" and "NAME second"."""

    def call(self, messages: Any, *rest: Any, response_model: Any = None, **named: Any) -> Any:
        if response_model is not None and _told("analysis"):
            raise ConnectionError("the analysis model refused the connection")
        answer = super().call(messages, *rest, response_model=response_model, **named)
        if response_model is None and str(answer).endswith(" first"):
            _wait(str(answer).split()[0])
        return answer


def _wait(name: str) -> None:
    begun = time.time()
    (FOLDER / f"{name}.at").write_text(repr(begun))
    while not (FOLDER / f"{name}.go").exists() and time.time() < begun + PATIENCE:
        time.sleep(0.02)


def _told(what: str) -> str:
    path = FOLDER / what
    return path.read_text() if path.exists() else ""


def crew() -> Crew:
    llm = GatedLLM(model="gated")
    agents = [Agent(role=role, goal="answer", backstory="knows", llm=llm, max_iter=2) for role in ("First", "Second")]
    tasks = [
        Task(description=f"Say {{message}} {which}", expected_output="a line", agent=one)
        for which, one in zip(("first", "second"), agents, strict=True)
    ]
    embedder = {"provider": "custom", "config": {"embedding_callable": Switched}}
    return Crew(agents=agents, tasks=tasks, memory=True, embedder=embedder)
