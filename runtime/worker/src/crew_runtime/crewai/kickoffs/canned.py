"""A kickoff that touches no network, no store and no code of the user's.

CrewAI imports hundreds of modules and starts its bus in its first kickoff; a slot does that before it says that it is
ready, and the trial child to learn which modules these are.
"""

from collections.abc import Sequence
from typing import Any

from crewai import Agent, Crew, Task
from crewai.llms.base_llm import BaseLLM
from crewai.memory.types import MemoryRecord, ScopeInfo
from crewai.memory.unified_memory import Memory

_ANSWER = "Thought: I now can give a great answer\nFinal Answer: ready"

_FIELDS: dict[str, Any] = {"memories": ["ready"], "suggested_scope": "/", "categories": [], "importance": 0.5}
"""What CrewAI's memory asks an LLM for, when it files a record."""


class _StubLLM(BaseLLM):
    """Answers at once: text, or the defaults of the model that was asked for."""

    def call(self, messages: Any, *_: Any, response_model: Any = None, **__: Any) -> Any:
        if response_model is None:
            return _ANSWER
        return response_model(**{key: value for key, value in _FIELDS.items() if key in response_model.model_fields})

    def get_input_tokens_count(self, *_: Any, **__: Any) -> int:
        return 1

    def supports_function_calling(self) -> bool:
        return True

    def get_context_window_size(self) -> int:
        return 100_000


class _Nowhere:
    """A StorageBackend that holds nothing."""

    def save(self, records: list[MemoryRecord]) -> None:
        pass

    def search(self, query_embedding: list[float], *_: Any, **__: Any) -> list[tuple[MemoryRecord, float]]:
        return []

    def delete(self, *_: Any, **__: Any) -> int:
        return 0

    def update(self, record: MemoryRecord) -> None:
        pass

    def get_record(self, record_id: str) -> MemoryRecord | None:
        return None

    def list_records(self, *_: Any, **__: Any) -> list[MemoryRecord]:
        return []

    def get_scope_info(self, scope: str) -> ScopeInfo:
        return ScopeInfo(path=scope)

    def list_scopes(self, parent: str = "/") -> list[str]:
        return []

    def list_categories(self, scope_prefix: str | None = None) -> dict[str, int]:
        return {}

    def count(self, scope_prefix: str | None = None) -> int:
        return 0

    def reset(self, scope_prefix: str | None = None) -> None:
        pass

    async def asave(self, records: list[MemoryRecord]) -> None:
        pass

    async def asearch(self, query_embedding: list[float], *_: Any, **__: Any) -> list[tuple[MemoryRecord, float]]:
        return []

    async def adelete(self, *_: Any, **__: Any) -> int:
        return 0


class _NoOutputs:
    """A storage of task outputs that keeps none."""

    def add(self, *_: Any, **__: Any) -> None:
        pass

    def update(self, *_: Any, **__: Any) -> None:
        pass

    def load(self) -> list[dict[str, Any]]:
        return []

    def delete_all(self) -> None:
        pass


def _embed(texts: Sequence[str]) -> list[list[float]]:
    return [[1.0, 0.0] for _ in texts]


def kickoff(*, memory: bool) -> None:
    """Run it; with the paths of CrewAI's memory when the crew uses that."""
    llm = _StubLLM(model="crewops-canned")
    agent = Agent(role="warm-up", goal="be ready", backstory="starts the process", llm=llm, max_iter=1)
    task = Task(description="Say {word}.", expected_output="a word", agent=agent)
    remembers = Memory(storage=_Nowhere(), llm=llm, embedder=_embed) if memory else False
    crew = Crew(agents=[agent], tasks=[task], memory=remembers, verbose=False)
    crew._task_output_handler.storage = _NoOutputs()  # type: ignore[assignment]
    crew.kickoff(inputs={"word": "ready"})
    if isinstance(remembers, Memory):
        remembers.close()
