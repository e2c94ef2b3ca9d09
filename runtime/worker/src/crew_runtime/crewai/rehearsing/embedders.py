"""A stand-in for embedders: they are built as for a kickoff, and their vectors come out of a hash."""

import hashlib
from collections.abc import Callable, Sequence
from types import SimpleNamespace
from typing import Any

import numpy as np
from crewai.memory import encoding_flow, recall_flow, types, unified_memory

from crew_runtime.crewai.state import knowledge

DIMENSION = 64
MOST_CHUNKS = 8
"""Of a knowledge source: enough to be found, and no work to speak of."""


def install(stands_in: Callable[[Any], bool] = lambda _: True) -> None:
    """In CrewAI's memories and in our knowledge. `stands_in(embedder)`: whether this one is replaced."""
    embed_texts = types.embed_texts

    def texts(embedder: Any, wanted: list[str]) -> list[list[float]]:
        return vectors(wanted) if stands_in(embedder) else embed_texts(embedder, wanted)

    def text(embedder: Any, wanted: str) -> list[float]:
        found = texts(embedder, [wanted])
        return found[0] if found else []

    for module in (types, unified_memory, encoding_flow, recall_flow):
        for name, made in (("embed_texts", texts), ("embed_text", text)):
            if hasattr(module, name):
                setattr(module, name, made)
    _in_knowledge(stands_in)


def _in_knowledge(stands_in: Callable[[Any], bool]) -> None:
    named: Any = knowledge
    storage = named.RedisKnowledgeStorage
    build, default, save = named.build_embedder, named.ChromaDBConfig, storage.save

    def chosen(made: Any) -> Any:
        return vectors if stands_in(made) else made

    def few(self: Any, documents: list[str]) -> None:
        save(self, documents[:MOST_CHUNKS])

    named.build_embedder = lambda embedder: chosen(build(embedder))
    named.ChromaDBConfig = lambda: SimpleNamespace(embedding_function=chosen(default().embedding_function))
    storage.save = few


def vectors(texts: Sequence[str]) -> list[list[float]]:
    """One direction a text."""
    return [_direction(text) for text in texts]


def _direction(text: str) -> list[float]:
    seed = int.from_bytes(hashlib.sha256(text.encode("utf-8", "replace")).digest()[:8], "big")
    vector = np.random.default_rng(seed).standard_normal(DIMENSION)
    return list((vector / np.linalg.norm(vector)).tolist())
