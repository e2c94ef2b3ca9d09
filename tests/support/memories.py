"""Memory records for tests, and an embedder that needs no model."""

import hashlib
from datetime import UTC, datetime, timedelta
from typing import Any

import numpy as np
from crewai.memory.types import MemoryRecord

DIMENSION = 16


def direction(text: str, dimension: int = DIMENSION) -> list[float]:
    """The same unit vector for the same words in any order; near ones for texts that share words."""
    total = np.zeros(dimension)
    for word in text.lower().split():
        seed = int.from_bytes(hashlib.sha256(word.encode("utf-8", "surrogatepass")).digest()[:8], "big")
        total += np.random.default_rng(seed).standard_normal(dimension)
    norm = np.linalg.norm(total)
    return list(total / norm) if norm else list(total)


def embed(texts: list[str]) -> list[list[float]]:
    """What Memory(embedder=...) takes."""
    return [direction(text) for text in texts]


_texts: list[str] = []


def embedded() -> int:
    """How many texts the embedders of `counting_embedder` were given in this process."""
    return len(_texts)


def counting_embedder(dimension: int = DIMENSION) -> type:
    """A class for `{"provider": "custom", "config": {"embedding_callable": ...}}`."""
    from chromadb.api.types import EmbeddingFunction
    from crewai.rag.embeddings.providers.custom.embedding_callable import CustomEmbeddingFunction

    class Counting(CustomEmbeddingFunction, EmbeddingFunction):
        def __call__(self, input):  # noqa: A002 - the base class' name for it
            _texts.extend(input)
            return [np.array(direction(text, dimension), np.float32) for text in input]

    return Counting


def record(content: str = "a fact", scope: str = "/", *, age: float = 0, **fields: Any) -> MemoryRecord:
    """A record with its embedding; `age` in seconds."""
    created = datetime.now(UTC).replace(tzinfo=None) - timedelta(seconds=age)
    given = {"embedding": direction(content), "created_at": created, "last_accessed": created, **fields}
    return MemoryRecord(content=content, scope=scope, **given)


def contents(found: Any) -> list[str]:
    """Of records, or of (record, score) pairs."""
    return [(one[0] if isinstance(one, tuple) else one).content for one in found]
