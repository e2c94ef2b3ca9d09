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
        seed = int.from_bytes(hashlib.sha256(word.encode()).digest()[:8], "big")
        total += np.random.default_rng(seed).standard_normal(dimension)
    norm = np.linalg.norm(total)
    return list(total / norm) if norm else list(total)


def embed(texts: list[str]) -> list[list[float]]:
    """What Memory(embedder=...) takes."""
    return [direction(text) for text in texts]


def record(content: str = "a fact", scope: str = "/", *, age: float = 0, **fields: Any) -> MemoryRecord:
    """A record with its embedding; `age` in seconds."""
    created = datetime.now(UTC).replace(tzinfo=None) - timedelta(seconds=age)
    given = {"embedding": direction(content), "created_at": created, "last_accessed": created, **fields}
    return MemoryRecord(content=content, scope=scope, **given)


def contents(found: Any) -> list[str]:
    """Of records, or of (record, score) pairs."""
    return [(one[0] if isinstance(one, tuple) else one).content for one in found]
