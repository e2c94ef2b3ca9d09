"""Proof that CrewAI's own Memory reaches the shared store from this process: a nonce is remembered, found, forgotten.

In an area of its own that no recall of a crew ever sees; without an LLM; with vectors out of a hash, so that the
user's embedder is not asked (and paid) every few minutes.
"""

import hashlib
from typing import Any

import numpy as np
from crewai.memory.unified_memory import Memory

from crew_runtime.crewai import seams
from crew_runtime.errors import CrewRuntimeError
from crew_runtime.sessions import binding

SCOPE = "/crewops/proof"
CATEGORY = "crewops-proof"
LIMIT = 50
"""Proofs at once; each is forgotten after it was read."""


class NotSharedError(CrewRuntimeError):
    """CrewAI's factory does not give the shared storage."""


class Prover:
    """Writes, reads and forgets nonces."""

    def __init__(self, loaded: Any = None) -> None:
        self._memory: Memory | None = None
        self._dimension: int | None = None

    def write(self, nonce: str) -> None:
        """Remember the nonce."""
        with binding.bind_proof():
            self._remembering().remember(
                nonce, scope=SCOPE, categories=[CATEGORY], importance=0.5, metadata={"nonce": nonce}
            )

    def read(self, nonce: str) -> tuple[bool, str]:
        """(whether it is found, how: `recall` by vector, or `list` while the store has no dimension yet)."""
        with binding.bind_proof():
            memory = self._remembering()
            if self._dimension is None:
                return any(one.content == nonce for one in memory.list_records(scope=SCOPE, limit=LIMIT)), "list"
            matches = memory.recall(nonce, scope=SCOPE, categories=[CATEGORY], limit=LIMIT, depth="shallow")
            return any(one.record.content == nonce for one in matches), "recall"

    def forget(self, nonce: str) -> None:
        """Remove it again."""
        with binding.bind_proof():
            self._remembering().forget(scope=SCOPE, metadata_filter={"nonce": nonce})

    def _remembering(self) -> Memory:
        storage = seams.storage()
        if storage is None:
            raise NotSharedError(
                "CrewAI's memory does not go to the shared store: the crew's code replaced the factory"
            )
        dimension = storage.dimension
        if self._memory is None or dimension != self._dimension:
            self._dimension = dimension
            self._memory = Memory(embedder=_Embedder(dimension or 0), llm="none", consolidation_threshold=1.0)
        return self._memory


class _Embedder:
    """Unit vectors out of a hash; none at all while the store has no dimension."""

    def __init__(self, dimension: int) -> None:
        self._dimension = dimension

    def __call__(self, texts: list[str]) -> list[list[float]]:
        """One vector a text."""
        return [self._vector(text) for text in texts]

    def _vector(self, text: str) -> list[float]:
        if not self._dimension:
            return []
        raw = np.frombuffer(hashlib.shake_128(text.encode()).digest(self._dimension * 2), dtype=np.uint16)
        values = raw.astype(np.float32) / 32768 - 1
        return [float(one) for one in values / np.linalg.norm(values)]
