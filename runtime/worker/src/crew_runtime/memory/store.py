"""Records in Redis: written by atomic scripts, read by id. Searching is `indexed` and `plain`."""

import re
from collections.abc import Sequence
from dataclasses import dataclass
from functools import partial
from typing import Any, TypeVar

import redis

from crew_runtime import redis_client
from crew_runtime.contract import keys
from crew_runtime.contract.scripts import Argument
from crew_runtime.contract.sessions import LOG_LENGTH, SWEEP, end
from crew_runtime.errors import (
    BackendError,
    DimensionMismatchError,
    ErasedSessionError,
    ForeignRecordError,
    InvalidVectorError,
    StoreMismatchError,
)
from crew_runtime.guard.call import Guard
from crew_runtime.memory import records, scripts, vectors
from crew_runtime.memory.records import FOUND_FIELDS, Record
from crew_runtime.redis_client import Client

Item = TypeVar("Item")

SCHEMA = 1
BATCH = 1_000
"""Records a script or a pipeline: a longer one keeps other clients waiting for over 20 ms."""


@dataclass(frozen=True, slots=True)
class Change:
    """One entry of the change log."""

    position: str
    revision: int
    """Counts without gaps."""
    record_id: str
    put: bool
    """Written; else deleted."""


@dataclass(frozen=True, slots=True)
class Target:
    """Where records are written."""

    roots: tuple[str, ...]
    """A record that is there already is only replaced below one of these stored scopes."""
    session: str = ""
    """Its segment; empty: what is written is no session's."""
    mark: str = ""
    """Of the session's last erasure when the work began."""


@dataclass(frozen=True, slots=True)
class _Holds:
    """What the vectors of a store are."""

    dimension: int
    vector_type: str


class _OtherTypeError(Exception):
    """Not a failure: the store keeps its vectors otherwise than was thought."""


class Store:
    """The records of one crew: its memories, or what else lies below a `root` of its own in the same way."""

    def __init__(self, guard: Guard, prefix: str, root: str | None = None, vector_type: str = vectors.FLOAT32) -> None:
        self.guard = guard
        self.prefix = prefix
        crew = keys.root(prefix)
        self.root = root or crew
        self.record_root, self.log_key, self.ids_key, self._meta_key, self._revision_key, self._mortal_key = (
            self.root + key[len(crew) :]
            for key in (
                keys.memory(prefix, ""),
                keys.memory_log(prefix),
                keys.memory_ids(prefix),
                keys.meta(prefix),
                keys.revision(prefix),
                keys.mortal(prefix),
            )
        )
        self._new_type = vector_type
        self._holds: _Holds | None = None

    # -- the store as a whole -------------------------------------------------------------------------------------

    def dimension(self) -> int | None:
        """Of the stored vectors; None while there is none. Asked until it is known; it changes only when somebody
        empties Redis, which `ask_anew` is for."""
        if self._holds is None:
            found = self.guard.call("meta", lambda client: client.hmget(self._meta_key, ["dimension", "vector"]))
            self._holds = _holds(*found)
        return self._holds.dimension if self._holds else None

    def ask_anew(self) -> None:
        """Forget what is known of the store: something shows that it was emptied."""
        self._holds = None

    @property
    def vector_type(self) -> str:
        """`FLOAT32` or `FLOAT16`: how vectors are kept; its own once it holds some, else as asked for."""
        self.dimension()
        return self._holds.vector_type if self._holds else self._new_type

    def as_stored(self, op: str, packed: bytes) -> bytes:
        """Packed float32 as this store keeps it. Raises InvalidVectorError, recorded."""
        try:
            return vectors.as_stored(packed, self.vector_type)
        except InvalidVectorError as error:
            self.guard.refuse(op, error)

    def check(self, declared: int | None) -> None:
        """Refuse a store of another schema or dimension; fix the dimension when it is declared and still open.

        Raises StoreMismatchError, DimensionMismatchError.
        """
        schema = self.guard.call("meta", lambda client: client.hget(self._meta_key, "schema"))
        if schema is not None and schema != str(SCHEMA).encode():
            refused = StoreMismatchError(
                f"what lies under the key prefix {self.prefix!r} has schema {schema.decode(errors='replace')}, and "
                f"this version reads {SCHEMA}: use the runtime that wrote it, or another spec.memory.keyPrefix"
            )
            self.guard.refuse("meta", refused)
        if declared is not None:
            self.guard.call("meta", lambda client: self._declare(client, declared))
            self.fits("meta", declared)
        self.keep()

    def made_with(self, embedder: str) -> str:
        """The name of the embedder that the records were made with; this one when none was named before."""
        names = {"meta": self._meta_key, "memory_ids": self.ids_key}
        found = self.guard.call("meta", lambda client: scripts.EMBEDDER(client, names, {"embedder": embedder}))
        return redis_client.text(found)

    def embedder(self) -> str:
        """The name of the embedder that the records were made with; empty when none was named yet."""
        found = self.guard.call("meta", lambda client: client.hget(self._meta_key, "embedder"))
        return redis_client.text(found) if found else ""

    def fits(self, op: str, dimension: int) -> None:
        """Raise DimensionMismatchError, recorded, when vectors of this length cannot be stored or searched."""
        if self.dimension() not in (None, dimension):
            self.ask_anew()
        stored = self.dimension()
        if stored is not None and stored != dimension:
            self.guard.refuse(op, DimensionMismatchError(stored, dimension))

    def _declare(self, client: Client, dimension: int) -> None:
        arguments: dict[str, Argument] = {"dimension": dimension, "vector_type": self._new_type, "schema": SCHEMA}
        scripts.DECLARE(client, {"meta": self._meta_key}, arguments)

    # -- writing --------------------------------------------------------------------------------------------------

    def save(self, new: Sequence[Record], target: Target) -> bool:
        """Insert records, or replace those of the same id. True when this fixed the store's dimension."""
        fixed = [self._write("save", part, target)[1] for part in _parts(new)]
        return any(fixed)

    def bring(self, new: Sequence[Record], target: Target) -> bool:
        """As `save`, for records of another store: also those of them that say the same, each under its own id."""
        fixed = [self._write("bring", part, target)[1] for part in _parts(new)]
        return any(fixed)

    def update(self, record: Record, roots: tuple[str, ...]) -> bool:
        """Replace a record that exists below one of `roots`; its vector stays when the new one has none."""
        return bool(self._write("update", [record], Target(roots))[0])

    def _write(self, mode: str, batch: Sequence[Record], target: Target) -> tuple[int, bool]:
        while True:
            try:
                return self._write_as(self.vector_type, mode, batch, target)
            except _OtherTypeError:
                self.ask_anew()  # another fixed it since we asked

    def _write_as(self, kept: str, mode: str, batch: Sequence[Record], target: Target) -> tuple[int, bool]:
        length = self._one_length(mode, batch)
        arguments: dict[str, Argument] = {
            "records": self.record_root,
            "dimension": length,
            "vector_type": kept,
            "log_length": LOG_LENGTH,
            "mode": mode,
            "mark": target.mark,
            "roots": len(target.roots),
        }
        more: list[Argument] = [*target.roots]
        for one in batch:
            stored = records.with_vector(one, self.as_stored(mode, one.vector)) if one.vector else one
            fields = records.to_fields(stored, over=mode == "update")
            more += [one.id, repr(one.created), records.digest(one), len(fields), *fields]
        names = {"meta": self._meta_key, **self._logged_keys()}
        if target.session:
            names |= self._session_keys(target.session)

        def ask(client: Client) -> tuple[int, bool]:
            try:
                written, fixed = scripts.WRITE(client, names, arguments, more, self.guard.durability)
            except redis.exceptions.ResponseError as error:
                if "VECTOR" in str(error):
                    raise _OtherTypeError from error
                if refusal := _refusal(str(error), length):
                    raise refusal from error
                raise
            return int(written), bool(fixed)

        answer = self.guard.call(mode, ask)
        if length:
            self._holds = _Holds(length, kept)
        return answer

    def _one_length(self, op: str, batch: Sequence[Record]) -> int:
        lengths = {len(one.vector) for one in batch if one.vector}
        if not lengths:
            return 0
        length = lengths.pop() // 4
        if lengths:
            self.guard.refuse(op, DimensionMismatchError(length, lengths.pop() // 4))
        self.fits(op, length)
        return length

    def delete(self, ids: Sequence[str], roots: tuple[str, ...]) -> int:
        """Delete those of the records that lie below one of `roots`; the answer is how many there were."""
        names = self._logged_keys()
        arguments: dict[str, Argument] = {"records": self.record_root, "log_length": LOG_LENGTH, "roots": len(roots)}
        deleted = 0
        for part in _parts(ids):
            more, durability = [*roots, *part], self.guard.durability
            ask = partial(scripts.DELETE, keys=names, arguments=arguments, more=more, durability=durability)
            deleted += int(self.guard.call("delete", ask))
        return deleted

    def touch(self, ids: Sequence[str], at: float) -> None:
        """Note the time of a recall on records that still exist."""
        names = {"meta": self._meta_key}
        arguments: dict[str, Argument] = {"records": self.record_root, "time": repr(at)}
        self.guard.call("touch", lambda client: scripts.TOUCH(client, names, arguments, ids))

    def use(self, session: str, ttl: float | None) -> str:
        """Note that a session is used; the answer is the mark of its last erasure, empty when there was none.

        A session that was not used for `ttl` seconds (None: they live for ever) has ended: it begins anew, without what
        it remembered.
        """
        names = {"meta": self._meta_key, **self._logged_keys(), **self._session_keys(session)}
        arguments: dict[str, Argument] = {
            "root": self.root,
            "segment": session,
            "ttl": int((ttl or 0) * 1000),
            "log_length": LOG_LENGTH,
            "most": SWEEP,
        }
        while True:
            more, mark, mortal = self.guard.call("use", partial(scripts.USE, keys=names, arguments=arguments))
            if not more:
                break
        if mortal:
            self.keep()  # one of an older version is at work beside us
        return mark.decode() if isinstance(mark, bytes) else str(mark)

    def session_ttl(self) -> float | None:
        """Seconds after which the crew says that an idle session ends; None: never, or it has said nothing yet."""
        found = self.guard.call("meta", lambda client: client.hget(self._meta_key, "session_ttl"))
        return int(found or 0) / 1000 or None

    def session_end(self, session: str) -> float | None:
        """When a session ends or ended, Unix seconds; None: never, or nobody has used it."""

        def ask(client: Client) -> list[Any]:
            pipeline = client.pipeline(transaction=False)
            pipeline.hmget(self._meta_key, ["session_ttl", "session_ttl_since"])
            pipeline.hget(keys.session(self.prefix, session), "last")
            answers: list[Any] = pipeline.execute()
            return answers

        (ttl, since), last = self.guard.call("read", ask)
        return end(int(last) / 1000, int(ttl or 0) / 1000, int(since or 0) / 1000) if last else None

    def keep(self) -> None:
        """Records that an older version let expire by themselves do so no more."""
        names = self._logged_keys()
        arguments: dict[str, Argument] = {"root": self.root, "log_length": LOG_LENGTH, "most": BATCH}
        while self.guard.call("keep", partial(scripts.KEEP, keys=names, arguments=arguments)):
            pass

    def _logged_keys(self) -> dict[str, str]:
        """What every script takes that changes which records there are."""
        return {
            "memory_ids": self.ids_key,
            "memory_log": self.log_key,
            "revision": self._revision_key,
            "mortal": self._mortal_key,
        }

    def _session_keys(self, session: str) -> dict[str, str]:
        prefix = self.prefix
        return {
            "session_records": keys.session_records(prefix, session),
            "session": keys.session(prefix, session),
            "sessions": keys.sessions(prefix),
            "idle": keys.idle(prefix),
            "session_erased": keys.session_erased(prefix, session),
        }

    # -- reading --------------------------------------------------------------------------------------------------

    def read(self, ids: Sequence[str], *, with_vectors: bool = False) -> list[Record | None]:
        """Records by id, in that order; None for those that are gone."""
        found: list[Record | None] = []
        wanted = (*FOUND_FIELDS, "v") if with_vectors else FOUND_FIELDS
        kept = self.vector_type if with_vectors else ""
        for part in _parts(ids):
            found += self.guard.call("read", partial(self._read, ids=part, wanted=wanted, kept=kept))
        return found

    def _read(self, client: Client, ids: Sequence[str], wanted: Sequence[str], kept: str) -> list[Record | None]:
        pipeline = client.pipeline(transaction=False)
        for one in ids:
            pipeline.hmget(self.record_root + one, list(wanted))
        read = []
        for record_id, values in zip(ids, pipeline.execute(), strict=True):
            record = records.from_fields(record_id, *values[: len(FOUND_FIELDS)])
            vector = values[len(FOUND_FIELDS)] if record and len(values) > len(FOUND_FIELDS) else None
            if record and vector:
                record = records.with_vector(record, vectors.from_stored(vector, kept))
            read.append(record)
        return read

    def existing(self, ids: Sequence[str]) -> list[str]:
        """Those of the ids that there is a record of."""
        found: list[str] = []
        for part in _parts(ids):
            answers = self.guard.call("read", partial(self._exist, ids=part))
            found += [one for one, there in zip(part, answers, strict=True) if there]
        return found

    def _exist(self, client: Client, ids: Sequence[str]) -> list[Any]:
        pipeline = client.pipeline(transaction=False)
        for one in ids:
            pipeline.exists(self.record_root + one)
        answers: list[Any] = pipeline.execute()
        return answers

    def all_ids(self) -> list[str]:
        """Newest first."""
        found = self.guard.call("list", lambda client: client.zrevrange(self.ids_key, 0, -1))
        return [redis_client.text(one) for one in found]

    def changes(self, op: str, after: str, limit: int) -> tuple[list[Change], int]:
        """What the log has after a position, and the revision that the store was at before; one round trip."""

        def ask(client: Client) -> list[Any]:
            pipeline = client.pipeline(transaction=False)
            pipeline.get(self._revision_key)
            pipeline.xrange(self.log_key, f"({after}", "+", count=limit)
            answers: list[Any] = pipeline.execute()
            return answers

        revision, entries = self.guard.call(op, ask)
        return [_change(*entry) for entry in entries], int(revision or 0)

    def log_end(self, op: str) -> tuple[str, int]:
        """Position and revision of the last entry; `0-0` and the store's own revision when the log is empty."""

        def ask(client: Client) -> list[Any]:
            pipeline = client.pipeline(transaction=False)
            pipeline.get(self._revision_key)
            pipeline.xrevrange(self.log_key, count=1)
            answers: list[Any] = pipeline.execute()
            return answers

        revision, found = self.guard.call(op, ask)
        last = [_change(*entry) for entry in found]
        return (last[0].position, last[0].revision) if last else ("0-0", int(revision or 0))


def _holds(dimension: bytes | None, vector_type: bytes | None) -> _Holds | None:
    if dimension is None:
        return None
    return _Holds(int(dimension), (vector_type or vectors.FLOAT32.encode()).decode())


def _refusal(message: str, length: int) -> BackendError | None:
    """What our own script refused, as an error of ours."""
    if found := re.search(r"DIMENSION (\d+)", message):
        return DimensionMismatchError(int(found[1]), length)
    if found := re.search(r"FOREIGN (.*)", message, re.DOTALL):
        return ForeignRecordError(found[1])
    if "ERASED" in message:
        return ErasedSessionError()
    return None


def _change(position: bytes, entry: dict[bytes, bytes]) -> Change:
    return Change(position.decode(), int(entry[b"r"]), redis_client.text(entry[b"i"]), entry[b"o"] == b"p")


def _parts(items: Sequence[Item]) -> list[Sequence[Item]]:
    return [items[start : start + BATCH] for start in range(0, len(items), BATCH)]
