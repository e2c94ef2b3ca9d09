"""A LanceDB folder, as CrewAI's own storage writes it, as a place. The only module that imports lancedb.

Source: crewai/memory/storage/lancedb_storage.py (1.15.30). Its class is not used: opening a folder by it makes an index
and compacts, and nothing of a source is to change.
"""

import json
from collections.abc import Iterator, Sequence
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import lancedb
import numpy as np
import pyarrow as pa

from crew_runtime.errors import InvalidMetadataError
from crew_runtime.memory import values
from crew_runtime.memory.records import Record
from crew_runtime.moving.errors import MovingError
from crew_runtime.moving.items import Item, fingerprint
from crew_runtime.moving.places import About, Written, misfit

TABLE = "memories"
ROWS = 500
"""Read at once."""
_EPOCH = datetime(1970, 1, 1, tzinfo=UTC)
_TEXTS = ("id", "content", "scope", "categories_str", "metadata_str", "created_at", "last_accessed", "source")
_ALL_BUT_THE_VECTOR = [*_TEXTS, "importance", "private"]


class LanceSource:
    """Reads the table as it is now, whatever a crew writes meanwhile."""

    def __init__(self, path: Path, embedder: str) -> None:
        """`embedder`: what somebody says that the vectors were made with; CrewAI does not write it down.

        Raises MovingError when CrewAI has no memories there.
        """
        self._path = path
        self._embedder = embedder
        self._table = _open(path)
        if self._table is None:
            raise MovingError(
                f"{path} has no memories of CrewAI (no {TABLE}.lance in it): name the folder that "
                "Memory(storage=...) has, or run this where the crew runs, with `lancedb:` for CrewAI's own folder"
            )
        self._table.checkout(self._table.version)
        self.notes: list[str] = []
        # A crew that was killed between two writes may have left a record twice: the one that was used last counts.
        self._latest: dict[str, str] = {}
        self._twice: set[str] = set()
        for row in _rows(self._table, ["id", "last_accessed"]):
            record_id, used = row["id"], str(row["last_accessed"] or "")
            if record_id in self._latest:
                self._twice.add(record_id)
            self._latest[record_id] = max(self._latest.get(record_id, ""), used)

    def about(self) -> About:
        """Without asking anything but the table."""
        return About(f"the LanceDB folder {self._path}", self._embedder, _dimension(self._table), len(self._latest))

    def items(self) -> Iterator[Item]:
        """Raises MovingError on a row that CrewAI did not write so."""
        given: set[str] = set()
        bad = 0
        for row in _rows(self._table, None):
            record_id = row["id"]
            if record_id in self._twice:
                if record_id in given or str(row["last_accessed"] or "") != self._latest[record_id]:
                    continue
                given.add(record_id)
            item = _item(row)
            if item.record.vector and not np.isfinite(np.frombuffer(item.record.vector, "<f4")).all():
                bad += 1
                item = item.with_vector(b"")
            yield item
        if self._twice:
            self.notes.append(f"{len(self._twice)} memories were there more than once: what was used last was taken")
        if bad:
            self.notes.append(f"{bad} memories had a vector with NaN or infinite values: they came without one")


class LanceTarget:
    """Writes the table that CrewAI's Memory opens."""

    searchable = True

    def __init__(self, path: Path, *, overwrite: bool, merge_sessions: bool) -> None:
        self.where = f"the LanceDB folder {path}"
        self._path = path
        self._overwrite = overwrite
        self._merge = merge_sessions
        self._table: Any = None
        self._dimension = 0

    def begin(self, about: About) -> None:
        """Raises MovingError when the vectors do not fit."""
        self._table = _open(self._path)
        there = _dimension(self._table) if self._table is not None else about.dimension
        if about.dimension is not None and there != about.dimension:
            raise MovingError(misfit(self.where, there, about))
        self._dimension = there or 0

    def placed(self, item: Item) -> Item:
        """Nobody's. Raises MovingError when it is a session's and may not lose that."""
        if item.session is not None and not self._merge:
            raise MovingError(
                f"the memory {item.record.id} belongs to the session {item.session!r}, and CrewAI's own folder has no "
                "sessions: every kickoff would recall it. Say --merge-sessions if that may be"
            )
        return Item(item.record)

    def write(self, items: Sequence[Item]) -> Written:
        """One commit."""
        if not self._dimension:
            raise MovingError(
                "no memory has a vector, and CrewAI's own folder is made by the first one: embed them anew"
            )
        there = self._read([one.record.id for one in items])
        told, new = Written(), []
        for item in items:
            old = there.get(item.record.id)
            if old is None or self._overwrite or not told.stays(old, item):
                new.append(item)
        if new:
            self._put(new)
        told.written = len(new)
        return told

    def finish(self) -> None:
        """One file instead of one a commit, and the index that CrewAI makes."""
        if self._table is not None:
            self._table.optimize()

    def fingerprints(self, ids: Sequence[str]) -> dict[str, bytes]:
        """Without the sessions that there are not."""
        return {one: fingerprint(item) for one, item in self._read(ids).items()}

    def near(self, item: Item, limit: int) -> list[tuple[str, float]]:
        """As CrewAI searches, by L2."""
        wanted = np.frombuffer(item.record.vector, "<f4")
        rows = self._table.search(wanted).select(["id"]).limit(limit).to_list()
        return [(row["id"], float(row["_distance"])) for row in rows]

    def _read(self, ids: Sequence[str]) -> dict[str, Item]:
        if self._table is None:
            return {}
        found: dict[str, Item] = {}
        for start in range(0, len(ids), ROWS):
            named = ", ".join(f"'{_quoted(one)}'" for one in ids[start : start + ROWS])
            query = self._table.search().where(f"id IN ({named})").select(_ALL_BUT_THE_VECTOR).limit(2 * ROWS)
            found |= {row["id"]: _item(row) for row in query.to_list()}
        return found

    def _put(self, new: Sequence[Item]) -> None:
        schema = pa.schema(
            [
                *(pa.field(name, pa.string()) for name in _TEXTS[:5]),
                pa.field("importance", pa.float64()),
                *(pa.field(name, pa.string()) for name in _TEXTS[5:]),
                pa.field("private", pa.bool_()),
                pa.field("vector", pa.list_(pa.float32(), self._dimension)),
            ]
        )
        table = pa.Table.from_pylist([_row(one.record, self._dimension) for one in new], schema)
        if self._table is None:
            self._path.mkdir(parents=True, exist_ok=True)
            self._table = lancedb.connect(str(self._path)).create_table(TABLE, table)
            return
        merge = self._table.merge_insert("id").when_matched_update_all().when_not_matched_insert_all()
        merge.execute(table)


def _open(path: Path) -> Any:
    """The table, or None. Makes nothing."""
    if not (path / f"{TABLE}.lance").is_dir():
        return None
    try:
        table = lancedb.connect(str(path)).open_table(TABLE)
    except (OSError, ValueError, RuntimeError) as error:
        raise MovingError(f"{path} cannot be read by lancedb {lancedb.__version__}: {error}") from error
    missing = sorted({*_ALL_BUT_THE_VECTOR, "vector"} - set(table.schema.names))
    if missing or not pa.types.is_fixed_size_list(table.schema.field("vector").type):
        what = f"it has no {', '.join(missing)}" if missing else "its vectors have no fixed length"
        raise MovingError(f"the table {TABLE} in {path} was not written by CrewAI: {what}")
    return table


def _dimension(table: Any) -> int:
    return int(table.schema.field("vector").type.list_size)


def _rows(table: Any, columns: list[str] | None) -> Iterator[dict[str, Any]]:
    query = table.search()
    if columns is not None:
        query = query.select(columns)
    for batch in query.to_batches(ROWS):
        packed = _packed(batch) if columns is None else None
        rows = batch.select([name for name in batch.schema.names if name != "vector"]).to_pylist()
        for at, row in enumerate(rows):
            yield row if packed is None else {**row, "vector": packed[at]}


def _packed(batch: Any) -> list[bytes]:
    """The vectors of a batch; CrewAI writes zeros for what was never embedded."""
    column = batch.column("vector")
    width = column.type.list_size
    flat = column.flatten().to_numpy(zero_copy_only=False).astype("<f4", copy=False).reshape(-1, width)
    return [one.tobytes() if one.any() else b"" for one in flat]


def _item(row: dict[str, Any]) -> Item:
    record_id = str(row["id"])
    try:
        categories = list[Any](json.loads(row["categories_str"] or "[]"))
        metadata = values.metadata(json.loads(row["metadata_str"] or "{}"))
        record = Record(
            id=record_id,
            content=str(row["content"]),
            scope=str(row["scope"]),
            categories=tuple(map(str, categories)),
            metadata=metadata,
            importance=float(row["importance"]),
            created=_epoch(row["created_at"]),
            accessed=_epoch(row["last_accessed"]),
            source=row["source"] or None,
            private=bool(row["private"]),
            vector=row.get("vector", b""),
        )
    except (ValueError, TypeError, AttributeError, KeyError, RecursionError, InvalidMetadataError) as error:
        raise MovingError(f"the memory {record_id} was not written by CrewAI: {error}") from error
    return Item(record)


def _row(one: Record, dimension: int) -> dict[str, Any]:
    vector = np.frombuffer(one.vector, "<f4") if one.vector else np.zeros(dimension, "<f4")
    return {
        "id": one.id,
        "content": one.content,
        "scope": one.scope,
        "categories_str": json.dumps(list(one.categories)),
        "metadata_str": json.dumps(dict(one.metadata)),
        "importance": one.importance,
        "created_at": _written(one.created),
        "last_accessed": _written(one.accessed),
        "source": one.source or "",
        "private": one.private,
        "vector": vector,
    }


def _epoch(text: Any) -> float:
    """CrewAI's times are UTC without saying so."""
    at = datetime.fromisoformat(str(text))
    return (at if at.tzinfo else at.replace(tzinfo=UTC)).timestamp()


def _written(at: float) -> str:
    return (_EPOCH + timedelta(seconds=at)).replace(tzinfo=None).isoformat()


def _quoted(text: str) -> str:
    return text.replace("'", "''")
