"""An embedder as CrewAI's `custom` provider takes it."""

import numpy as np
from chromadb.api.types import EmbeddingFunction
from crewai.rag.core.types import Documents, Embeddings
from crewai.rag.embeddings.providers.custom.embedding_callable import CustomEmbeddingFunction

from support.rehearsed.effects import note


class Own(CustomEmbeddingFunction, EmbeddingFunction[Documents]):
    """Built in a rehearsal, and not called."""

    def __call__(self, input: Documents) -> Embeddings:  # noqa: A002 - chromadb's name
        note("embedder")
        return [np.array([1.0, 0.0], dtype=np.float32) for _ in input]
