"""Search by the server's own index (FT.*): exact, FLAT, one HASH a record.

FLAT and not HNSW: at 10,000 records it is as fast, saves four times as fast, and is there 2 s after a restart where the
graph of HNSW needs 57 s for 100,000 records (Redis 8.2).
"""

import json
import time
from collections import Counter
from collections.abc import Sequence
from typing import Any

import redis

from crew_runtime import redis_client
from crew_runtime.contract.replica_reasons import BackendReason
from crew_runtime.errors import BackendError, StoreMismatchError
from crew_runtime.memory import records, vectors
from crew_runtime.memory.filters import Filter, query
from crew_runtime.memory.plain import PlainSearch
from crew_runtime.memory.records import FOUND_FIELDS, Record
from crew_runtime.memory.search import Summary
from crew_runtime.memory.store import Store
from crew_runtime.redis_client import Client

INDEXING_DEADLINE = 60.0
"""Seconds that a new index may need for the records that are there: 100,000 took 2 s."""
PAGE = 10_000
"""Ids read at once for a deletion."""
BESIDE = ("TAG", "SORTABLE", "UNF", "NOINDEX")
"""A field that is kept as it is beside the index and is not searched: the scopes of 10,000 records are counted in 4.4
ms, and in 12 when each has to be read out of its record; LanceDB takes 9 (RediSearch 2.10)."""
SERVER_PATIENCE = 3
"""FT's own time limit, in units of ours: FT answers in part when it expires, so ours has to expire first."""


class IndexedSearch:
    """FT.SEARCH and FT.AGGREGATE over one crew's index."""

    mode = "index"

    def __init__(self, store: Store, deadline: float) -> None:
        self._store = store
        self._name = f"{store.root}ix"
        self._timeout = str(int(deadline * 1000 * SERVER_PATIENCE))
        self._before_any_vector = PlainSearch(store)
        self._there = False
        self._whole_at = 0
        """How many connections had been made when the index was last seen whole."""

    def nearest(self, wanted: Filter, vector: bytes, limit: int) -> list[tuple[Record, float]]:
        """KNN by L2, filtered first."""
        if not self._ready():
            return []
        try:
            return self._nearest(wanted, vector, limit)
        except _OtherVectorsError:
            self._store.ask_anew()
            self._store.fits("search", vectors.dimension(vector))
            return self._nearest(wanted, vector, limit)

    def _nearest(self, wanted: Filter, vector: bytes, limit: int) -> list[tuple[Record, float]]:
        stored = self._store.as_stored("search", vector)
        command = ["FT.SEARCH", self._name, f"{query(wanted)}=>[KNN {limit} @v $v AS distance]", "PARAMS", "2", "v",
                   stored, "RETURN", str(len(FOUND_FIELDS) + 1), "distance", *FOUND_FIELDS, "SORTBY", "distance",
                   "LIMIT", "0", str(limit), "TIMEOUT", self._timeout, "DIALECT", "2"]  # fmt: skip
        return [(record, float(fields[b"distance"])) for record, fields in self._found(self._ask("search", command))]

    def newest(self, wanted: Filter, limit: int, offset: int) -> list[Record]:
        """By the sortable time of creation."""
        if not self._ready():
            return self._before_any_vector.newest(wanted, limit, offset)
        command = ["FT.SEARCH", self._name, query(wanted), "RETURN", str(len(FOUND_FIELDS)), *FOUND_FIELDS,
                   "SORTBY", "ts", "DESC", "LIMIT", str(offset), str(limit),
                   "TIMEOUT", self._timeout, "DIALECT", "2"]  # fmt: skip
        return [record for record, _ in self._found(self._ask("list", command))]

    def ids(self, wanted: Filter) -> list[str]:
        """Page by page."""
        if not self._ready():
            return self._before_any_vector.ids(wanted)
        found: list[str] = []
        while True:
            command = ["FT.SEARCH", self._name, query(wanted), "NOCONTENT", "SORTBY", "ts", "LIMIT", str(len(found)),
                       str(PAGE), "TIMEOUT", self._timeout, "DIALECT", "2"]  # fmt: skip
            page = [self._id(key) for key in self._ask("list", command)[1:]]
            found += page
            if len(page) < PAGE:
                return found

    def count(self, wanted: Filter) -> int:
        """Without reading any of them."""
        if not self._ready():
            return self._before_any_vector.count(wanted)
        command = ["FT.SEARCH", self._name, query(wanted), "LIMIT", "0", "0", "TIMEOUT", self._timeout, "DIALECT", "2"]
        return int(self._ask("list", command)[0])

    def summary(self, wanted: Filter) -> Summary:
        """One aggregation: rows of (scope, categories) with their counts and times."""
        if not self._ready():
            return self._before_any_vector.summary(wanted)
        command = ["FT.AGGREGATE", self._name, query(wanted), "LOAD", "3", "@scope", "@cats", "@ts",
                   "GROUPBY", "2", "@scope", "@cats", "REDUCE", "COUNT", "0", "AS", "n",
                   "REDUCE", "MIN", "1", "@ts", "AS", "oldest", "REDUCE", "MAX", "1", "@ts", "AS", "newest",
                   "LIMIT", "0", "1000000", "TIMEOUT", self._timeout, "DIALECT", "2"]  # fmt: skip
        rows = [_pairs(row) for row in self._ask("list", command)[1:]]
        scopes: Counter[str] = Counter()
        categories: Counter[str] = Counter()
        for row in rows:
            number = int(row[b"n"])
            scopes[redis_client.text(row[b"scope"])] += number
            for category in json.loads(row.get(b"cats") or b"[]"):
                categories[category] += number
        return Summary(
            scopes,
            categories,
            min((float(row[b"oldest"]) for row in rows), default=None),
            max((float(row[b"newest"]) for row in rows), default=None),
        )

    def ensure(self) -> None:
        """Make the index when the store knows its dimension and has none; wait until it holds all records.

        Raises StoreMismatchError when an index of that name is made otherwise.
        """
        opened = self._store.guard.opened
        self._store.ask_anew()
        dimension = self._store.dimension()
        if dimension is None:
            self._there = False  # an index that was there has gone with what it held
            return
        try:
            self._check(self._info(), dimension)
        except redis.exceptions.ResponseError:
            self._create(dimension)
        self._wait()
        self._there, self._whole_at = True, opened

    # -- inside ---------------------------------------------------------------------------------------------------

    def _ready(self) -> bool:
        """Whether there is an index; it holds all records then.

        Looked at again after each new connection: a server that was restarted makes its index in the background, and
        answers in part meanwhile, without a word (RediSearch 2.10).
        """
        while not self._there or self._whole_at != self._store.guard.opened:
            self.ensure()
            if not self._there:
                return False
        return True

    def _ask(self, op: str, command: Sequence[Any]) -> list[Any]:
        def ask(client: Client) -> list[Any]:
            try:
                # Not through redis-py's parsers for FT: they are slower and drop bytes that are no text.
                answer: list[Any] = redis_client.command(client, command)
            except redis.exceptions.ResponseError as error:
                if "no such index" in str(error).lower():
                    raise _IndexGoneError from error
                if "vector blob size" in str(error):
                    raise _OtherVectorsError from error
                raise
            return answer

        while True:
            try:
                answer = self._store.guard.call(op, ask)
            except _IndexGoneError:
                self._there = False  # somebody flushed the server
            else:
                if self._whole_at == self._store.guard.opened:
                    return answer
            if not self._ready():
                return [0]

    def _create(self, dimension: int) -> None:
        command = ["FT.CREATE", self._name, "ON", "HASH", "PREFIX", "1", self._store.record_root, "SCHEMA",
                   "anc", "TAG", "SEPARATOR", ",", "cat", "TAG", "SEPARATOR", ",", "md", "TAG", "SEPARATOR", ",",
                   "scope", *BESIDE, "cats", *BESIDE, "ts", "NUMERIC", "SORTABLE", "exp", "NUMERIC",
                   "v", "VECTOR", "FLAT", "6", "TYPE", self._store.vector_type, "DIM", str(dimension),
                   "DISTANCE_METRIC", "L2"]  # fmt: skip

        def ask(client: Client) -> None:
            try:
                client.execute_command(*command)
            except redis.exceptions.ResponseError as error:
                if "already exists" not in str(error).lower():
                    raise

        self._store.guard.call("index", ask)

    def _info(self) -> dict[bytes, Any]:
        def ask(client: Client) -> dict[bytes, Any] | redis.exceptions.ResponseError:
            try:
                return _pairs(redis_client.command(client, ["FT.INFO", self._name]))
            except redis.exceptions.ResponseError as error:
                return error  # there is none yet: not a failure

        found = self._store.guard.call("index", ask)
        if isinstance(found, redis.exceptions.ResponseError):
            raise found
        return found

    def _check(self, info: dict[bytes, Any], dimension: int) -> None:
        attributes = [[_text(part) for part in attribute] for attribute in info[b"attributes"]]
        vector = next((one for one in attributes if "v" in one[:4]), [])
        prefixes = [_text(one) for one in _pairs(info[b"index_definition"])[b"prefixes"]]
        kept = self._store.vector_type
        if prefixes != [self._store.record_root] or str(dimension) not in vector or kept not in vector:
            refused = StoreMismatchError(
                f"the index {self._name!r} was made otherwise (prefixes {prefixes}, vector {vector}, wanted {kept} of "
                f"{dimension} dimensions): drop it by FT.DROPINDEX, which keeps the records, and it is built again"
            )
            self._store.guard.refuse("index", refused)

    def _wait(self) -> None:
        end = time.monotonic() + INDEXING_DEADLINE
        while int(float(self._info().get(b"indexing", 0))):
            if time.monotonic() > end:
                late = BackendError(
                    f"Redis has not indexed the memories in {INDEXING_DEADLINE:.0f} s", BackendReason.TIMEOUT
                )
                self._store.guard.refuse("index", late)
            time.sleep(0.05)

    def _found(self, answer: list[Any]) -> list[tuple[Record, dict[bytes, bytes]]]:
        found = []
        for key, values in zip(answer[1::2], answer[2::2], strict=True):
            fields = _pairs(values or [])
            record = records.from_fields(self._id(key), fields.get(b"d"), fields.get(b"la"))
            if record is not None:  # expired between the search and its answer
                found.append((record, fields))
        return found

    def _id(self, key: bytes) -> str:
        return redis_client.text(key)[len(self._store.record_root) :]


class _IndexGoneError(Exception):
    """Not a failure: it is made anew."""


class _OtherVectorsError(Exception):
    """Not yet a failure: the index is of other vectors than was thought, because somebody made the store anew."""


def _pairs(flat: Sequence[Any]) -> dict[bytes, Any]:
    return dict(zip(flat[::2], flat[1::2], strict=False))


def _text(value: Any) -> str:
    return value.decode() if isinstance(value, bytes) else str(value)
