"""The lines of a file of memories, each with a checksum. Pure.

    {"sum":"<hex>","header":{"format":"crew-memory/1","embedder":"openai/...","dimension":1536,"count":1200,"made":"..."}}
    {"sum":"<hex>","record":{"id":"...","content":"...","scope":"/crew/x","vector":"<base64 of float32>", ...}}
    {"sum":"<hex>","trailer":{"records":1200,"sum":"<hex>"}}

`sum` is BLAKE2b with 16 bytes over the very bytes behind it: the value of `header`, `record` or `trailer`. The
trailer's own is that of all lines before it, so that a file whose end is missing, or a line of it, is no file. They
guard against accidents and not against a forger.
"""

import base64
import binascii
import hashlib
import json
import math
from collections.abc import Mapping
from typing import Any, Final, NoReturn

import numpy as np

from crew_runtime.memory.records import Record
from crew_runtime.moving.items import Item
from crew_runtime.moving.places import About

FORMAT: Final = "crew-memory/1"
MOST: Final = 32 * 1024 * 1024
"""Bytes of a line: nobody's memory is that long, and a reader holds one at a time."""
LONGEST_ID: Final = 1024
LONGEST_SESSION: Final = 256
"""Characters, as the HTTP API takes them."""
HEADER, RECORD, TRAILER = "header", "record", "trailer"


class BadLineError(ValueError):
    """What is wrong with a line."""


class Sum:
    """Of all lines so far."""

    def __init__(self) -> None:
        self._made = hashlib.blake2b(digest_size=16)

    def add(self, line: bytes) -> None:
        """The line with its end."""
        self._made.update(line)

    @property
    def text(self) -> str:
        """Hex."""
        return self._made.hexdigest()


def header(about: About, made: str) -> bytes:
    """`made`: when, ISO 8601."""
    told = {
        "format": FORMAT,
        "source": about.where,
        "embedder": about.embedder,
        "dimension": about.dimension,
        "count": about.count,
        "made": made,
    }
    return _line(HEADER, told)


def record(item: Item) -> bytes:
    """Raises BadLineError on one that is too long to be read again."""
    one = item.record
    told: dict[str, Any] = {
        "id": one.id,
        "content": one.content,
        "scope": one.scope,
        "session": item.session,
        "categories": list(one.categories),
        "metadata": dict(one.metadata),
        "importance": one.importance,
        "created": one.created,
        "accessed": one.accessed,
        "source": one.source,
        "private": one.private,
        "vector": base64.b64encode(one.vector).decode(),
    }
    line = _line(RECORD, told)
    if len(line) > MOST:
        raise BadLineError(f"the memory {one.id} takes {len(line)} bytes, and a line may have {MOST}")
    return line


def trailer(records: int, total: Sum) -> bytes:
    """The last line."""
    return _line(TRAILER, {"records": records, "sum": total.text})


def read(line: bytes) -> tuple[str, dict[str, Any]]:
    """What kind a line is of, and its value. Raises BadLineError."""
    if not line.endswith(b"\n"):
        raise BadLineError("the line has no end" if len(line) < MOST else f"the line has over {MOST} bytes")
    for kind in (RECORD, HEADER, TRAILER):
        start = b'{"sum":"%b","%b":' % (line[8:40], kind.encode())
        if line.startswith(start) and line.endswith(b"}\n"):
            body = line[len(start) : -2]
            if _digest(body) != line[8:40]:
                raise BadLineError("its checksum does not hold: it was changed or damaged")
            return kind, _object(body)
    raise BadLineError("this is no line of a file of memories")


def to_about(value: Mapping[str, Any], where: str) -> About:
    """Of a header's value. Raises BadLineError."""
    if value.get("format") != FORMAT:
        raise BadLineError(f"its format is {str(value.get('format'))[:40]!r}, and this version reads {FORMAT}")
    dimension, count, embedder = value.get("dimension"), value.get("count"), value.get("embedder")
    if not (dimension is None or _whole(dimension, 1, 65_536)) or not (count is None or _whole(count, 0, 2**53)):
        raise BadLineError("the header has no dimension or count that could be")
    if not isinstance(embedder, str) or len(embedder) > LONGEST_ID:
        raise BadLineError("the header's embedder is no name")
    return About(where, embedder, dimension, count)


def to_item(value: Mapping[str, Any], dimension: int | None) -> Item:
    """Of a record's value. Raises BadLineError, with the name of what is wrong."""
    categories, metadata = value.get("categories"), value.get("metadata")
    if not isinstance(categories, list) or not all(isinstance(one, str) for one in categories):
        raise BadLineError("categories is no list of texts")
    if not isinstance(metadata, dict):
        raise BadLineError("metadata is no object")
    session = value.get("session")
    if session is not None and not _text(session, 1, LONGEST_SESSION):
        raise BadLineError(f"session is no text of 1 to {LONGEST_SESSION} characters")
    source = value.get("source")
    if source is not None and not isinstance(source, str):
        raise BadLineError("source is no text")
    if not isinstance(value.get("private"), bool):
        raise BadLineError("private is neither true nor false")
    if not _text(value.get("id"), 1, LONGEST_ID):
        raise BadLineError(f"id is no text of 1 to {LONGEST_ID} characters")
    for name in ("content", "scope"):
        if not isinstance(value.get(name), str):
            raise BadLineError(f"{name} is no text")
    importance = _number(value, "importance")
    if not 0 <= importance <= 1:
        raise BadLineError("importance is not between 0 and 1")
    record = Record(
        id=value["id"],
        content=value["content"],
        scope=value["scope"],
        categories=tuple(categories),
        metadata=metadata,
        importance=importance,
        created=_number(value, "created"),
        accessed=_number(value, "accessed"),
        source=source,
        private=value["private"],
        vector=_vector(value.get("vector"), dimension),
    )
    return Item(record, session)


def check_trailer(value: Mapping[str, Any], records: int, total: str) -> None:
    """`total`: of the lines before, hex. Raises BadLineError when the lines before are not those that were written."""
    if value.get("records") != records:
        raise BadLineError(
            f"the file had {str(value.get('records'))[:20]} records when it was written, and has {records}"
        )
    if value.get("sum") != total:
        raise BadLineError("the checksum of the whole file does not hold: lines were exchanged")


def _line(kind: str, value: Mapping[str, Any]) -> bytes:
    # ASCII: half of a character pair, which a memory may hold, has no UTF-8.
    body = json.dumps(value, separators=(",", ":")).encode()
    return b'{"sum":"%b","%b":%b}\n' % (_digest(body), kind.encode(), body)


def _digest(body: bytes) -> bytes:
    return hashlib.blake2b(body, digest_size=16).hexdigest().encode()


def _object(body: bytes) -> dict[str, Any]:
    try:
        found = json.loads(body, parse_constant=_refuse)
    except (ValueError, RecursionError) as error:
        raise BadLineError(f"it is no JSON that can be read ({type(error).__name__})") from error
    if not isinstance(found, dict):
        raise BadLineError("it is no object")
    return found


def _refuse(constant: str) -> NoReturn:
    raise ValueError(constant)


def _whole(value: Any, least: int, most: int) -> bool:
    return isinstance(value, int) and not isinstance(value, bool) and least <= value <= most


def _text(value: Any, least: int, most: int) -> bool:
    return isinstance(value, str) and least <= len(value) <= most


def _number(value: Mapping[str, Any], name: str) -> float:
    found = value.get(name)
    if isinstance(found, int | float) and not isinstance(found, bool) and abs(found) < 1e12 and math.isfinite(found):
        return float(found)
    raise BadLineError(f"{name} is no number that could be")


def _vector(value: Any, dimension: int | None) -> bytes:
    try:
        packed = base64.b64decode(value, validate=True)
    except (TypeError, ValueError, binascii.Error) as error:
        raise BadLineError("vector is no base64") from error
    if packed and len(packed) != 4 * (dimension or 0):
        raise BadLineError(f"its vector has {len(packed) / 4:g} dimensions, and the header says {dimension}")
    if not np.isfinite(np.frombuffer(packed, "<f4")).all():
        raise BadLineError("its vector has values that are no numbers")
    return packed
