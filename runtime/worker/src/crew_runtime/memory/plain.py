"""Search without FT.*: a copy of the records in this process, kept up to date by the change log, and numpy.

Exact and always current: each search first reads what the log has new, one round trip. For Redis and Valkey without the
search module.
"""

import threading
from collections import Counter, defaultdict

import numpy as np

from crew_runtime.memory import records, vectors
from crew_runtime.memory.filters import Filter
from crew_runtime.memory.records import NEVER, Record
from crew_runtime.memory.search import Summary
from crew_runtime.memory.store import Change, Store

ROOM = 256
"""Rows at first; doubled when they are full."""
CHANGES = 5_000
"""Entries of the log read at once."""


class PlainSearch:
    """The cache of one process; safe for its threads."""

    mode = "plain"

    def __init__(self, store: Store) -> None:
        self._store = store
        self._lock = threading.Lock()
        self._cache = _Cache()
        self._position = ""
        """Id of the last entry of the log that the cache holds; empty: not loaded."""
        self._revision = 0

    def nearest(self, wanted: Filter, vector: bytes, limit: int) -> list[tuple[Record, float]]:
        """All distances at once."""
        with self._lock:
            self._catch_up("search")
            return self._cache.nearest(wanted, vectors.unpack(vector), limit)

    def newest(self, wanted: Filter, limit: int, offset: int) -> list[Record]:
        """Sorted here."""
        with self._lock:
            self._catch_up("list")
            found = sorted(self._cache.matching(wanted), key=lambda one: (-one.created, one.id))
        return found[offset : offset + limit]

    def ids(self, wanted: Filter) -> list[str]:
        """Of all that match."""
        with self._lock:
            self._catch_up("list")
            return [one.id for one in self._cache.matching(wanted)]

    def summary(self, wanted: Filter) -> Summary:
        """Counted here."""
        with self._lock:
            self._catch_up("list")
            found = self._cache.matching(wanted)
        categories: Counter[str] = Counter()
        for one in found:
            categories.update(one.categories)
        times = [one.created for one in found]
        scopes = Counter(one.scope for one in found)
        return Summary(scopes, categories, min(times, default=None), max(times, default=None))

    def ensure(self) -> None:
        """Nothing has to be made."""

    # -- the change log -------------------------------------------------------------------------------------------

    def _catch_up(self, op: str) -> None:
        if not self._position:
            self._load(op)
            return
        while True:
            entries, revision = self._store.changes(op, self._position, CHANGES)
            # A server that lost its end is behind us; one that trimmed its log has a gap.
            if revision < self._revision or not self._follow(entries):
                self._load(op)
                return
            if len(entries) < CHANGES:
                return

    def _follow(self, entries: list[Change]) -> bool:
        """Take the changes over. False when some are missing."""
        changed: dict[str, bool] = {}
        for entry in entries:
            if entry.revision != self._revision + 1:
                return False
            self._revision, self._position = entry.revision, entry.position
            changed[entry.record_id] = entry.put
        written = [record_id for record_id, put in changed.items() if put]
        for record_id, record in zip(written, self._store.read(written, with_vectors=True), strict=True):
            self._cache.put(record_id, record)
        for record_id, put in changed.items():
            if not put:
                self._cache.put(record_id, None)
        return True

    def _load(self, op: str) -> None:
        self._position, self._revision = self._store.log_end(op)
        cache = _Cache()
        ids = self._store.all_ids()
        for record_id, record in zip(ids, self._store.read(ids, with_vectors=True), strict=True):
            cache.put(record_id, record)
        self._cache = cache


class _Cache:
    """Records with their vectors in the rows of one matrix, and which rows carry which tag."""

    def __init__(self) -> None:
        self._rows: dict[str, int] = {}
        self._records: list[Record | None] = []
        self._free: list[int] = []
        self._tags: dict[tuple[str, str], set[int]] = defaultdict(set)
        self._unsearchable: set[int] = set()
        self._mortal: set[int] = set()
        """Rows that expire."""
        self._matrix = np.zeros((0, 0), np.float32)
        self._norms = np.zeros(0, np.float32)

    def put(self, record_id: str, record: Record | None) -> None:
        """Take over what a record is now; None: it is gone."""
        row = self._rows.get(record_id)
        if row is not None:
            self._forget(record_id, row)
        if record is not None:
            self._add(record)

    def matching(self, wanted: Filter) -> list[Record]:
        """In no order."""
        rows = self._candidates(wanted)
        every = self._records if rows is None else [self._records[row] for row in rows]
        return [one for one in every if one is not None and _alive(one, wanted)]

    def nearest(self, wanted: Filter, vector: vectors.Matrix, limit: int) -> list[tuple[Record, float]]:
        """Squared L2, nearest first."""
        if not self._matrix.size:
            return []
        rows = self._candidates(wanted)
        if (
            rows is None
            and not self._free
            and not self._unsearchable
            and not self._mortal
            and wanted.older_than is None
        ):
            chosen = np.arange(len(self._records))
            matrix, norms = self._matrix[: len(chosen)], self._norms[: len(chosen)]
        else:
            searched = range(len(self._records)) if rows is None else rows
            chosen = np.fromiter((row for row in searched if self._searchable(row, wanted)), np.intp)
            if not len(chosen):
                return []
            matrix, norms = self._matrix[chosen], self._norms[chosen]
        order, distances = vectors.nearest(matrix, norms, vector, limit)
        found = [(self._records[chosen[at]], float(distance)) for at, distance in zip(order, distances, strict=True)]
        return [(record, distance) for record, distance in found if record is not None]

    def _searchable(self, row: int, wanted: Filter) -> bool:
        record = self._records[row]
        return record is not None and row not in self._unsearchable and _alive(record, wanted)

    def _candidates(self, wanted: Filter) -> set[int] | None:
        """Rows that carry the tags; None: all rows do."""
        rows: set[int] | None = None
        for name, tags in wanted.tags():
            carrying = set().union(*(self._tags.get((name, one), set()) for one in tags))
            rows = carrying if rows is None else rows & carrying
        if rows is not None and len(rows) == len(self._rows):
            return None
        return rows

    def _add(self, record: Record) -> None:
        row = self._free.pop() if self._free else len(self._records)
        if row == len(self._records):
            self._records.append(None)
        self._rows[record.id] = row
        self._records[row] = records.with_vector(record, b"")
        for key in _tags_of(record):
            self._tags[key].add(row)
        if record.expires < NEVER:
            self._mortal.add(row)
        if not record.vector:
            self._unsearchable.add(row)
            return
        vector = vectors.unpack(record.vector)
        if row >= len(self._matrix) or not self._matrix.size:
            self._grow(row, len(vector))
        self._matrix[row] = vector
        self._norms[row] = float(vector @ vector)

    def _grow(self, row: int, dimension: int) -> None:
        room = max(ROOM, 2 * (row + 1))
        matrix, norms = np.zeros((room, dimension), np.float32), np.zeros(room, np.float32)
        if self._matrix.size:
            matrix[: len(self._matrix)], norms[: len(self._norms)] = self._matrix, self._norms
        self._matrix, self._norms = matrix, norms

    def _forget(self, record_id: str, row: int) -> None:
        record = self._records[row]
        if record is not None:
            for key in _tags_of(record):
                self._tags[key].discard(row)
        del self._rows[record_id]
        self._records[row] = None
        self._unsearchable.discard(row)
        self._mortal.discard(row)
        self._free.append(row)


def _alive(record: Record, wanted: Filter) -> bool:
    return (not wanted.now or record.expires > wanted.now) and (
        wanted.older_than is None or record.created < wanted.older_than
    )


def _tags_of(record: Record) -> list[tuple[str, str]]:
    found = [("anc", one) for one in records.ancestor_tags(record.scope).split(",")]
    found += [("cat", records.tag(one)) for one in record.categories]
    return found + [("md", one) for one in records.metadata_tags(record.metadata)]
