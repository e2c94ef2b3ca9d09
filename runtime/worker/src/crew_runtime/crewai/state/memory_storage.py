"""CrewAI's StorageBackend on the shared store.

In: CrewAI's calls with logical scopes, from several threads. Out: calls of `memory`, with the scopes that the running
session may see. Source of the contract: crewai/memory/storage/backend.py (1.15.30).
"""

import asyncio
import time
from collections.abc import Sequence
from datetime import UTC, datetime, timedelta
from typing import Any, NamedTuple

from crewai.memory.types import MemoryRecord, ScopeInfo

from crew_runtime.contract import keys
from crew_runtime.crewai.embedders import identity
from crew_runtime.errors import InvalidMetadataError, InvalidVectorError
from crew_runtime.guard.call import Guard
from crew_runtime.guard.edge import told
from crew_runtime.memory import filters, ladder, values, vectors
from crew_runtime.memory.filters import Filter
from crew_runtime.memory.records import Record
from crew_runtime.memory.search import Search, Summary
from crew_runtime.memory.store import Store, Target
from crew_runtime.sessions import areas, binding, sharing
from crew_runtime.sessions.areas import Areas
from crew_runtime.settings import Settings

RENEW_EVERY = 0.1
"""Of a session's time to live: how far its end may lag behind its last use."""
NOTE_EVERY = 60.0
"""Seconds: how exactly the last use of a session is known that lives for ever."""
BINDINGS = 256
"""Pieces of work at once in one process whose session is remembered as noted."""


_EPOCH = datetime(1970, 1, 1)


class RedisStorage:
    """One crew's memory; shared by all Memory objects of the process."""

    def __init__(self, settings: Settings, guard: Guard) -> None:
        self._settings = settings
        self._guard = guard
        self._store = Store(guard, settings.key_prefix, vector_type=settings.vector_type)
        self._chosen: Search | None = None
        self._uses: dict[int, _Use] = {}

    def __deepcopy__(self, memo: dict[int, Any]) -> "RedisStorage":
        """CrewAI copies crews and their memories; the copies share what lies in Redis anyway."""
        return self

    # -- what the report and the proof ask ------------------------------------------------------------------------

    @property
    def search_mode(self) -> str:
        """`index` or `plain`."""
        return self._search.mode

    @property
    def dimension(self) -> int | None:
        """Of the stored vectors; None while there is none."""
        return self._store.dimension()

    @property
    def vector_type(self) -> str:
        """`FLOAT32` or `FLOAT16`."""
        return self._store.vector_type

    def check(self) -> None:
        """Refuse a store that does not fit the settings, and make its index. Raises BackendError."""
        self._store.check(self._settings.dimension)
        self._search.ensure()

    def embedder_mismatch(self, used: str) -> str:
        """What to say when the memories were made with another embedder than this one, else ``. Raises BackendError."""
        stored = self._store.made_with(used)
        return identity.mismatch(stored, used, keys.meta(self._settings.key_prefix))

    # -- StorageBackend -------------------------------------------------------------------------------------------

    @told
    def save(self, records: list[MemoryRecord]) -> None:
        """Insert the records, all or none, in one round trip."""
        if records:
            seen = self._areas()
            into = areas.reached(seen, sharing.asking())
            self._insert([self._to_store("save", one, areas.to_store(into, one.scope)) for one in records], into, seen)

    @told
    def search(
        self,
        query_embedding: list[float],
        scope_prefix: str | None = None,
        categories: list[str] | None = None,
        metadata_filter: dict[str, Any] | None = None,
        limit: int = 10,
        min_score: float = 0.0,
    ) -> list[tuple[MemoryRecord, float]]:
        """The nearest records with their score `1/(1+L2^2)`, best first."""
        if limit < 1:
            return []
        vector = self._pack("search", query_embedding)
        self._store.fits("search", vectors.dimension(vector))
        compared = areas.reached(self._areas(), sharing.asking())
        wanted = self._filter(areas.seen_roots(compared, scope_prefix), categories, metadata_filter)
        found = self._search.nearest(wanted, vector, limit)
        scored = ((record, vectors.score(distance)) for record, distance in found)
        return [(_to_crewai(record), score) for record, score in scored if score >= min_score]

    @told
    def delete(
        self,
        scope_prefix: str | None = None,
        categories: list[str] | None = None,
        record_ids: list[str] | None = None,
        older_than: datetime | None = None,
        metadata_filter: dict[str, Any] | None = None,
    ) -> int:
        """Delete what fulfils every demand; the answer is how many there were.

        Named records may be any that the session sees, when the crew's own code names them. Without names a session
        deletes its own only: what all share is not one guest's to forget, unless the crew's own code asks for it.
        """
        seen, asking, prefix = self._areas(), sharing.asking(), scope_prefix or "/"
        if record_ids is None:
            roots: tuple[str, ...] = (areas.to_store(areas.reached(seen, asking), prefix),)
        else:
            roots = areas.seen_roots(areas.changed(seen, asking), prefix)
        wanted = self._filter(roots, categories, metadata_filter, older_than)
        ids: Sequence[str]
        if record_ids is not None and not (categories or metadata_filter or older_than):
            ids = record_ids
        else:
            ids = self._search.ids(wanted)
            if record_ids is not None:
                named = set(record_ids)
                ids = [one for one in ids if one in named]
        return self._store.delete(ids, roots)

    @told
    def update(self, record: MemoryRecord) -> None:
        """Replace the record of the same id; one that was deleted meanwhile stays deleted.

        Its source, and that it is private, stay: nothing of CrewAI's changes them, and its consolidation drops both, so
        that a private record would be recalled for everybody (1.15.30).
        """
        asking = sharing.asking()
        seen = areas.changed(self._areas(), asking)
        stored = self._store.read([record.id])[0]
        if stored is None or not areas.visible(seen, stored.scope):
            return
        # It stays in the area that it is in, unless the crew's own code shares it: an update is no way into a session.
        area = next(root for root in seen.seen if areas.within(stored.scope, root))
        if asking and asking.shares and areas.CREW.own in seen.seen:
            area = areas.CREW.own
        changed = self._to_store("update", record, areas.join(area, record.scope))._replace(
            source=record.source or stored.source, private=record.private or stored.private
        )
        self._store.update(changed, seen.seen)

    @told
    def get_record(self, record_id: str) -> MemoryRecord | None:
        """One record, with its vector; None when there is none that this session sees."""
        found = self._store.read([record_id], with_vectors=True)[0]
        seen = areas.reached(self._areas(), sharing.asking())
        if found is None or not areas.visible(seen, found.scope):
            return None
        return _to_crewai(found)

    @told
    def list_records(self, scope_prefix: str | None = None, limit: int = 200, offset: int = 0) -> list[MemoryRecord]:
        """Newest first; nothing of a page that cannot be, as LanceDB's."""
        if limit < 1 or offset < 0:
            return []
        return [_to_crewai(one) for one in self._search.newest(self._seen(scope_prefix), limit, offset)]

    @told
    def get_scope_info(self, scope: str) -> ScopeInfo:
        """Counts, categories, the span of time and the immediate children of a scope, in the asker's words."""
        path, asked = areas.path(scope), areas.asked(scope)
        found = self._summary(scope)
        return ScopeInfo(
            path=asked,
            record_count=found.count,
            categories=sorted(found.categories),
            oldest_record=None if found.oldest is None else _naive(found.oldest),
            newest_record=None if found.newest is None else _naive(found.newest),
            child_scopes=[areas.asked(f"{asked}/{_below(one, path)}") for one in _children(found, path)],
        )

    @told
    def list_scopes(self, parent: str = "/") -> list[str]:
        """The immediate children. CrewAI shows them to LLMs: the crew's segment is in none."""
        return _children(self._summary(parent), areas.path(parent))

    @told
    def list_categories(self, scope_prefix: str | None = None) -> dict[str, int]:
        """Records by category."""
        return dict(self._summary(scope_prefix).categories)

    @told
    def count(self, scope_prefix: str | None = None) -> int:
        """Records in the scope and below."""
        return self._search.count(self._seen(scope_prefix))

    @told
    def reset(self, scope_prefix: str | None = None) -> None:
        """Delete all below the scope; a session its own only."""
        self.delete(scope_prefix)

    @told
    def touch_records(self, record_ids: list[str]) -> None:
        """Note that they were recalled just now."""
        if record_ids:
            self._store.touch(record_ids, _now())

    async def asave(self, records: list[MemoryRecord]) -> None:
        """In a thread."""
        await asyncio.to_thread(self.save, records)

    async def asearch(
        self,
        query_embedding: list[float],
        scope_prefix: str | None = None,
        categories: list[str] | None = None,
        metadata_filter: dict[str, Any] | None = None,
        limit: int = 10,
        min_score: float = 0.0,
    ) -> list[tuple[MemoryRecord, float]]:
        """In a thread."""
        return await asyncio.to_thread(
            self.search, query_embedding, scope_prefix, categories, metadata_filter, limit, min_score
        )

    async def adelete(
        self,
        scope_prefix: str | None = None,
        categories: list[str] | None = None,
        record_ids: list[str] | None = None,
        older_than: datetime | None = None,
        metadata_filter: dict[str, Any] | None = None,
    ) -> int:
        """In a thread."""
        return await asyncio.to_thread(self.delete, scope_prefix, categories, record_ids, older_than, metadata_filter)

    def close(self) -> None:
        """Nothing: CrewAI closes the storage of one Memory, and this one is shared by all of the process."""

    # -- inside ---------------------------------------------------------------------------------------------------

    @property
    def _search(self) -> Search:
        if self._chosen is None:
            self._chosen = ladder.choose(self._store, self._settings.backend_deadline)
        return self._chosen

    def _areas(self) -> Areas:
        """What the running work sees; using a session keeps it alive."""
        seen = binding.current(self._settings.isolation)
        if seen.session is not None:
            self._use(seen)
        return seen

    def _use(self, seen: Areas) -> "_Use":
        """The use of a session by the piece of work that `seen` was bound for, noted when that is due."""
        ttl, now, known = self._settings.session_ttl, _now(), self._uses.get(id(seen))
        if known is not None and now - known.at <= (NOTE_EVERY if ttl is None else ttl * RENEW_EVERY):
            return known
        mark = self._store.use(_segment(seen), ttl)
        # The mark stays the one that the work began with: a session erased since then takes nothing from it.
        noted = _Use(seen, now, mark if known is None else known.mark)
        self._uses = {**dict(list(self._uses.items())[-BINDINGS:]), id(seen): noted}
        return noted

    def _seen(
        self,
        scope_prefix: str | None,
        categories: Sequence[str] | None = None,
        metadata: dict[str, Any] | None = None,
    ) -> Filter:
        """What the running work sees below a logical scope."""
        return self._filter(areas.seen_roots(self._areas(), scope_prefix), categories, metadata)

    def _filter(
        self,
        roots: tuple[str, ...],
        categories: Sequence[str] | None = None,
        metadata: dict[str, Any] | None = None,
        older_than: datetime | None = None,
    ) -> Filter:
        return Filter(
            roots=roots,
            categories=tuple(categories or ()),
            metadata=self._plain("search", metadata),
            older_than=None if older_than is None else _epoch(older_than),
        )

    def _summary(self, scope_prefix: str | None) -> Summary:
        return self._search.summary(self._seen(scope_prefix))

    def _to_store(self, op: str, one: MemoryRecord, scope: str) -> Record:
        return Record(
            id=one.id,
            content=one.content,
            scope=scope,
            categories=tuple(one.categories),
            metadata=self._plain(op, one.metadata),
            importance=one.importance,
            created=_epoch(one.created_at),
            accessed=_epoch(one.last_accessed),
            source=one.source,
            private=one.private,
            vector=self._pack(op, one.embedding),
        )

    def _plain(self, op: str, metadata: dict[str, Any] | None) -> dict[str, Any]:
        try:
            return values.metadata(metadata)
        except InvalidMetadataError as error:
            self._guard.refuse(op, error)

    def _pack(self, op: str, vector: Sequence[float] | None) -> bytes:
        if vector is None or len(vector) == 0:
            return b""
        try:
            return vectors.pack(vector)
        except InvalidVectorError as error:
            self._guard.refuse(op, error)

    def _insert(self, new: Sequence[Record], where: Areas, seen: Areas) -> None:
        # The use is that of the work, which `seen` was bound for: `where` is made anew for each call.
        target = Target((where.own,))
        if where.session is not None:
            target = Target((where.own,), _segment(where), self._use(seen).mark)
        if self._store.save(new, target):
            self._search.ensure()  # the first vectors: now an index can be made


class _Use(NamedTuple):
    """When a piece of work last noted that it uses its session."""

    seen: Areas
    """Held, so that its `id` stays its own."""
    at: float
    mark: str
    """Of the session's last erasure, when the work began."""


def _segment(of_session: Areas) -> str:
    return of_session.own.rpartition("/")[2]


def _to_crewai(one: Record) -> MemoryRecord:
    # Unvalidated: it was valid when CrewAI gave it to us, and validation costs more than the search.
    return MemoryRecord.model_construct(
        id=one.id,
        content=one.content,
        scope=areas.to_crewai(one.scope),
        categories=list(one.categories),
        metadata=dict(one.metadata),
        importance=one.importance,
        created_at=_naive(one.created),
        last_accessed=_naive(one.accessed),
        embedding=vectors.unpack(one.vector).tolist() if one.vector else None,
        source=one.source,
        private=one.private,
    )


def _children(found: Summary, parent: str) -> list[str]:
    return filters.children([areas.to_crewai(scope) for scope in found.scopes], parent)


def _below(child: str, parent: str) -> str:
    return child[len(parent) :].strip("/")


def _epoch(at: datetime) -> float:
    """CrewAI's times are UTC without saying so."""
    return (at if at.tzinfo else at.replace(tzinfo=UTC)).timestamp()


def _naive(at: float) -> datetime:
    return _EPOCH + timedelta(seconds=at)


def _now() -> float:
    return time.time()
