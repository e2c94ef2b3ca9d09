"""Search without FT.*: a copy of the records in this process, kept up to date by the change log, and numpy.

Exact and always current: each search first reads what the log has new, one round trip. For Redis and Valkey without the
search module.
"""

import threading
from collections import Counter

import numpy as np

from crew_runtime.memory import records, vectors
from crew_runtime.memory.filters import Filter
from crew_runtime.memory.records import Record
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
            self._store.fits("search", vectors.dimension(vector))
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

    def count(self, wanted: Filter) -> int:
        """Of all that match."""
        return len(self.ids(wanted))

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
                break
        if self._revision < revision:  # somebody emptied the log
            self._load(op)

    def _follow(self, entries: list[Change]) -> bool:
        """Take the changes over. False when some are missing."""
        changed: dict[str, bool] = {}
        for revision, entry in enumerate(entries, self._revision + 1):
            if entry.revision != revision:
                return False
            changed[entry.record_id] = entry.put
        written = [record_id for record_id, put in changed.items() if put]
        for record_id, record in zip(written, self._store.read(written, with_vectors=True), strict=True):
            self._cache.put(record_id, record)
        for record_id, put in changed.items():
            if not put:
                self._cache.put(record_id, None)
        if entries:  # at the end: a read that failed has to be made good by the next call
            self._revision, self._position = entries[-1].revision, entries[-1].position
        return True

    def _load(self, op: str) -> None:
        self._store.ask_anew()
        position, revision = self._store.log_end(op)
        cache = _Cache()
        ids = self._store.all_ids()
        for record_id, record in zip(ids, self._store.read(ids, with_vectors=True), strict=True):
            cache.put(record_id, record)
        self._cache, self._position, self._revision = cache, position, revision


class _Cache:
    """Records with their vectors in the rows of one matrix, and which rows carry which tag."""

    def __init__(self) -> None:
        self._rows: dict[str, int] = {}
        self._records: list[Record | None] = []
        self._free: list[int] = []
        self._tags: dict[tuple[str, str], set[int]] = {}
        self._matrix = np.zeros((0, 0), np.float32)
        self._norms = np.zeros(0, np.float32)
        self._carries = np.zeros(0, np.bool_)
        """Whether each row has a vector."""

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
        return [one for one in every if one is not None and _old_enough(one, wanted)]

    def nearest(self, wanted: Filter, vector: vectors.Matrix, limit: int) -> list[tuple[Record, float]]:
        """Squared L2, nearest first."""
        if not self._matrix.size:
            return []
        rows = self._candidates(wanted)
        used = len(self._records)
        found = self._carries[:used]
        if rows is None and found.all():
            chosen, matrix, norms = None, self._matrix[:used], self._norms[:used]
        else:
            carrying = np.arange(used) if rows is None else np.fromiter(rows, np.intp, len(rows))
            chosen = carrying[found[carrying]]
            if not len(chosen):
                return []
            matrix, norms = self._matrix[chosen], self._norms[chosen]
        order, distances = vectors.nearest(matrix, norms, vector, limit)
        at = order if chosen is None else chosen[order]
        pairs = zip((self._records[row] for row in at), distances, strict=True)
        return [(record, float(distance)) for record, distance in pairs if record is not None]

    def _candidates(self, wanted: Filter) -> set[int] | None:
        """Rows that carry the tags; None: all rows do."""
        rows: set[int] | None = None
        for name, tags in wanted.tags():
            carrying = [found for one in tags if (found := self._tags.get((name, one)))]
            either = carrying[0] if len(carrying) == 1 else set().union(*carrying)
            if len(either) < len(self._rows):  # else this demand leaves nothing out
                rows = either if rows is None else rows & either
        return rows

    def _add(self, record: Record) -> None:
        row = self._free.pop() if self._free else len(self._records)
        if row == len(self._records):
            self._records.append(None)
        self._rows[record.id] = row
        self._records[row] = records.with_vector(record, b"")
        for key in _tags_of(record):
            self._tags.setdefault(key, set()).add(row)
        vector = vectors.unpack(record.vector)
        if row >= len(self._carries) or (not self._matrix.size and len(vector)):
            self._grow(row, len(vector))
        if len(vector):
            self._matrix[row] = vector
            self._norms[row] = float(vector @ vector)
            self._carries[row] = True

    def _grow(self, row: int, dimension: int) -> None:
        room = max(ROOM, 2 * (row + 1))
        matrix = np.zeros((room, self._matrix.shape[1] or dimension), np.float32)
        norms, carries = np.zeros(room, np.float32), np.zeros(room, np.bool_)
        if self._matrix.size:
            matrix[: len(self._matrix)] = self._matrix
        norms[: len(self._norms)], carries[: len(self._carries)] = self._norms, self._carries
        self._matrix, self._norms, self._carries = matrix, norms, carries

    def _forget(self, record_id: str, row: int) -> None:
        record = self._records[row]
        if record is not None:
            for key in _tags_of(record):
                self._tags[key].discard(row)
                if not self._tags[key]:
                    del self._tags[key]
        del self._rows[record_id]
        self._records[row] = None
        self._carries[row] = False
        self._free.append(row)


def _old_enough(record: Record, wanted: Filter) -> bool:
    return wanted.older_than is None or record.created < wanted.older_than


def _tags_of(record: Record) -> set[tuple[str, str]]:
    found = {("anc", one) for one in records.ancestor_tags(record.scope).split(",")}
    found |= {("cat", records.tag(one)) for one in record.categories}
    return found | {("md", one) for one in records.metadata_tags(record.metadata)}
