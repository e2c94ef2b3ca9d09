"""A memory record as it lies in Redis, and the hash that holds it. Pure.

The HASH `m:<id>`: `d` JSON of all that does not change by itself, `scope` (stored, see `sessions.areas`) and `cats`
(JSON list) for scripts and counts, `anc` `cat` `md` hashed tags for filters, `ts` (created) `la` `exp` epoch seconds,
`rev` the change that wrote it, `dg` its `digest`, `v` the vector. Times are UTC; CrewAI's are naive. `d` has the time
of creation too: the server's index rounds it.
"""

import hashlib
import json
from collections.abc import Mapping
from types import MappingProxyType
from typing import Any, NamedTuple

from crew_runtime.contract.sessions import NEVER
from crew_runtime.memory import values


class Record(NamedTuple):
    """One memory. A tuple: a search makes ten of them, and a frozen dataclass costs three times as much."""

    id: str
    content: str
    scope: str
    """As stored."""
    categories: tuple[str, ...] = ()
    metadata: Mapping[str, Any] = MappingProxyType({})
    """In JSON's types: see `values`."""
    importance: float = 0.5
    created: float = 0.0
    """Epoch seconds."""
    accessed: float = 0.0
    source: str | None = None
    private: bool = False
    vector: bytes = b""
    """Little-endian float32; empty: the record can be listed and not searched."""


FOUND_FIELDS = ("d", "la")
"""What `from_fields` needs of a record: the fewer, the less redis-py has to parse."""


def to_fields(record: Record, *, over: bool = False) -> list[str | bytes]:
    """Field, value, field, value ... of the hash; `over`: of one that exists, whose every field has to be replaced."""
    document: dict[str, Any] = {
        "c": record.content, "i": record.importance, "t": record.created, "s": record.scope
    }  # fmt: skip
    if record.categories:
        document["k"] = record.categories
    if record.metadata:
        document["m"] = record.metadata
    if record.source is not None:
        document["o"] = record.source
    if record.private:
        document["p"] = True
    fields: list[str | bytes] = [
        "d", json.dumps(document, ensure_ascii=False).encode("utf-8", "surrogatepass"),
        "scope", record.scope,
        "anc", ancestor_tags(record.scope),
        "ts", repr(record.created),
        "la", repr(record.accessed),
        "exp", repr(NEVER),  # an older version compares with it
    ]  # fmt: skip
    if record.categories or over:
        fields += ["cats", json.dumps(record.categories, ensure_ascii=False).encode("utf-8", "surrogatepass")]
        fields += ["cat", ",".join(map(tag, record.categories))]
    if record.metadata or over:
        fields += ["md", ",".join(metadata_tags(record.metadata))]
    if record.vector:
        fields += ["v", record.vector]
    return fields


def from_fields(record_id: str, document: bytes | None, accessed: bytes | None) -> Record | None:
    """The record of FOUND_FIELDS' values; None when the hash is gone."""
    if document is None:
        return None
    read = json.loads(document.decode("utf-8", "surrogatepass"))
    return Record(
        id=record_id,
        content=read["c"],
        scope=read["s"],
        categories=tuple(read.get("k", ())),
        metadata=read.get("m", {}),
        importance=read["i"],
        created=read["t"],
        accessed=float(accessed or 0),
        source=read.get("o"),
        private=read.get("p", False),
    )


def with_vector(record: Record, vector: bytes) -> Record:
    """The same record with its vector."""
    return record._replace(vector=vector)


def digest(record: Record) -> str:
    """Equal for two records that say the same of the same, whoever saved them and when. 128 bits, as hex."""
    said = [
        record.content,
        record.scope,
        sorted(record.categories),
        dict(record.metadata),
        record.source,
        record.private,
    ]
    return hashlib.blake2b(values.canonical(said).encode(), digest_size=16).hexdigest()


def tag(text: str) -> str:
    """A tag that needs no escaping, is found at any length and keeps case: 64 bits, as hex.

    Source: RediSearch does not find TAG values over 4096 characters and trims blanks (2.10).
    """
    return hashlib.blake2b(text.encode("utf-8", "surrogatepass"), digest_size=8).hexdigest()


def ancestor_tags(scope: str) -> str:
    """Tags of the scope and of every path above it, so that one tag finds a whole subtree and nothing beside it."""
    parts = scope.strip("/").split("/")
    return ",".join(tag("/" + "/".join(parts[:depth])) for depth in range(1, len(parts) + 1))


def metadata_tags(metadata: Mapping[str, Any]) -> list[str]:
    """One tag for each key with its exact value."""
    return [tag(f"{key}={values.canonical(value)}") for key, value in metadata.items()]
