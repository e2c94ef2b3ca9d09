"""CrewAI's knowledge on the shared store: chunks of the crew's sources, embedded once for all replicas.

CrewAI saves every source again whenever a Crew is made; here a chunk that is there already, of the same collection and
the same embedder, is neither embedded nor written. It belongs to the crew and to no session. A chunk that a source no
longer has stays until the collection is reset, as with CrewAI's own store. Source of the contract:
crewai/knowledge/storage/base_knowledge_storage.py and knowledge_storage.py (1.15.30).
"""

import asyncio
import hashlib
import json
import time
from collections.abc import Mapping, Sequence
from typing import Any, ClassVar
from urllib.parse import quote

import numpy as np
from crewai.knowledge.storage.base_knowledge_storage import BaseKnowledgeStorage
from crewai.rag.chromadb.config import ChromaDBConfig
from crewai.rag.embeddings.factory import build_embedder
from crewai.rag.types import SearchResult
from pydantic import Field, PrivateAttr

from crew_runtime.contract import keys
from crew_runtime.contract.replica_reasons import MemoryFailure
from crew_runtime.errors import CrewRuntimeError, InvalidVectorError
from crew_runtime.guard import ledger
from crew_runtime.guard.call import Guard
from crew_runtime.memory import ladder, values, vectors
from crew_runtime.memory.filters import Filter
from crew_runtime.memory.records import Record
from crew_runtime.memory.search import Search
from crew_runtime.memory.store import Store, Target
from crew_runtime.settings import Settings

_NAMES = ("model", "model_name", "model_id", "deployment_id")
"""How the providers' configurations call the model."""


class Shelves:
    """The chunks of one crew, one store for each length of vectors: two collections may have different embedders."""

    def __init__(self, guard: Guard, settings: Settings) -> None:
        self._guard = guard
        self._settings = settings
        self._prefix = settings.key_prefix
        self._stores: dict[int, tuple[Store, Search]] = {}

    def of(self, dimension: int) -> tuple[Store, Search]:
        """The store of vectors of that length, and how it is searched."""
        if dimension not in self._stores:
            root, kept = keys.knowledge(self._prefix, dimension), self._settings.vector_type
            store = Store(self._guard, self._prefix, root, kept)
            self._stores[dimension] = store, ladder.choose(store, self._settings.backend_deadline)
        return self._stores[dimension]

    def all(self) -> list[tuple[Store, Search]]:
        """Those that were written to, by anybody."""
        found = self._guard.call("knowledge", lambda client: client.smembers(keys.knowledge_dimensions(self._prefix)))
        return [self.of(int(one)) for one in sorted(found)]

    def save(self, dimension: int, chunks: Sequence[Record]) -> None:
        """Write chunks below their collection."""
        self._guard.call("knowledge", lambda client: client.sadd(keys.knowledge_dimensions(self._prefix), dimension))
        store, search = self.of(dimension)
        if store.save(chunks, Target((chunks[0].scope,))):
            search.ensure()


class RedisKnowledgeStorage(BaseKnowledgeStorage):
    """One collection. Raises BackendError, which the guard has recorded."""

    collection_name: str | None = None
    embedder: Any = Field(default=None, exclude=True)
    shelves: ClassVar[Shelves | None] = None
    """Set by `registration`; of the process."""
    _embed: Any = PrivateAttr(default=None)

    def save(self, documents: list[str]) -> None:
        """Embed and keep what is not there yet."""
        chunks = {self._id(text): text for text in documents if text.strip()}
        shelves = self._shelves()
        for store, _ in shelves.all():
            for known in store.existing(list(chunks)):
                del chunks[known]
        if not chunks:
            return
        now = time.time()
        packed = self._vectors(list(chunks.values()))
        new = [
            Record(one, text, self._scope(), created=now, accessed=now, vector=vector)
            for (one, text), vector in zip(chunks.items(), packed, strict=True)
        ]
        shelves.save(vectors.dimension(packed[0]), new)

    def search(
        self,
        query: list[str],
        limit: int = 5,
        metadata_filter: dict[str, Any] | None = None,
        score_threshold: float = 0.6,
    ) -> list[SearchResult]:
        """The nearest chunks with a score of at least the threshold, best first: `(1 + cosine) / 2`, as CrewAI's."""
        if not query:
            raise ValueError("Query cannot be empty")
        (wanted,) = self._vectors([" ".join(query)])
        store, search = self._shelves().of(vectors.dimension(wanted))
        if store.dimension() is None:
            return []
        found = search.nearest(Filter((self._scope(),), metadata=values.metadata(metadata_filter)), wanted, limit)
        # Of unit vectors: the squared L2 distance is 2 - 2 cosine.
        scored = ((record, max(0.0, 1.0 - distance / 4)) for record, distance in found)
        return [
            SearchResult(id=record.id, content=record.content, metadata=dict(record.metadata), score=score)
            for record, score in scored
            if score >= score_threshold
        ]

    def reset(self) -> None:
        """Forget the collection, whichever embedder it was made with."""
        below = (self._root(),)
        for store, search in self._shelves().all():
            store.delete(search.ids(Filter(below)), below)

    async def asave(self, documents: list[str]) -> None:
        """In a thread."""
        await asyncio.to_thread(self.save, documents)

    async def asearch(
        self,
        query: list[str],
        limit: int = 5,
        metadata_filter: dict[str, Any] | None = None,
        score_threshold: float = 0.6,
    ) -> list[SearchResult]:
        """In a thread."""
        return await asyncio.to_thread(self.search, query, limit, metadata_filter, score_threshold)

    async def areset(self) -> None:
        """In a thread."""
        await asyncio.to_thread(self.reset)

    # -- inside ---------------------------------------------------------------------------------------------------

    def _shelves(self) -> Shelves:
        if self.shelves is None:
            raise CrewRuntimeError("knowledge has no store yet: call crew_runtime.install() first")
        return self.shelves

    def _root(self) -> str:
        return f"/{quote(self.collection_name or '', safe='', errors='surrogatepass') or '-'}"

    def _scope(self) -> str:
        return f"{self._root()}/{quote(_identity(self.embedder), safe='')}"

    def _id(self, text: str) -> str:
        said = json.dumps([self._scope(), text]).encode()
        return hashlib.blake2b(said, digest_size=16).hexdigest()

    def _vectors(self, texts: list[str]) -> list[bytes]:
        """Unit vectors. Raises what the embedder raises, recorded: CrewAI prints it at most, and answers without."""
        try:
            if self._embed is None:
                self._embed = build_embedder(self.embedder) if self.embedder else ChromaDBConfig().embedding_function
            return [_unit(one) for one in self._embed(texts)]
        except Exception as error:
            ledger.record(ledger.Failure("knowledge", MemoryFailure.EMBEDDER, f"{type(error).__name__}: {error}"))
            raise


def _unit(vector: Any) -> bytes:
    found = np.asarray(vector, dtype=np.float32)
    length = float(np.linalg.norm(found))
    if not length or not np.isfinite(length):
        raise InvalidVectorError
    return vectors.pack(found / length)


def storage(embedder: Any, collection_name: str | None) -> RedisKnowledgeStorage:
    """What CrewAI's factory of knowledge storages takes."""
    return RedisKnowledgeStorage(embedder=embedder, collection_name=collection_name)


def _identity(embedder: Any) -> str:
    """Equal for two embedders whose vectors may be compared, as far as their configuration tells; holds no secret."""
    if not isinstance(embedder, Mapping):
        kind = embedder if isinstance(embedder, type) else type(embedder)
        model = next((str(getattr(embedder, name)) for name in _NAMES if getattr(embedder, name, None)), "")
        return f"{kind.__qualname__}:{model}" if embedder is not None else "default"
    config = embedder.get("config") or {}
    model = next((str(config[name]) for name in _NAMES if config.get(name)), "")
    made = config.get("embedding_callable")
    return f"{embedder.get('provider', '')}:{model or getattr(made, '__qualname__', '')}"
