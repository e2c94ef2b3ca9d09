"""The lines of a file of memories: what is written is read, and what was not written so is refused."""

import hashlib
import json

import numpy as np
import pytest

from crew_runtime.memory.records import Record
from crew_runtime.moving import lines
from crew_runtime.moving.items import Item, fingerprint
from crew_runtime.moving.lines import BadLineError, Sum
from crew_runtime.moving.places import About

VECTOR = np.array([0.1, -2.5, 3e-7], "<f4").tobytes()
FULL = Record(
    "it's-1", 'half of a pair \ud800, "quotes" and\nlines', "/crew/x", ("a", "ä"), {"n": 1, "deep": [{"x": None}]},
    0.25, 1795838606.696879, 1795838606.7, "ada", True, VECTOR,
)  # fmt: skip
VALUE = {
    "id": "a", "content": "text", "scope": "/", "session": None, "categories": [], "metadata": {}, "importance": 0.5,
    "created": 1.0, "accessed": 1.0, "source": None, "private": False, "vector": "",
}  # fmt: skip


def signed(kind: str, body: bytes) -> bytes:
    """As a forger would make it: the checksum holds."""
    digest = hashlib.blake2b(body, digest_size=16).hexdigest().encode()
    return b'{"sum":"%b","%b":%b}\n' % (digest, kind.encode(), body)


@pytest.mark.parametrize("item", [Item(FULL, "room/214"), Item(FULL), Item(Record("b", "", ""))])
def test_what_is_written_is_read(item):
    line = lines.record(item)
    assert line.isascii()
    assert json.loads(line)["record"]["id"] == item.record.id
    kind, value = lines.read(line)
    assert (kind, lines.to_item(value, 3)) == (lines.RECORD, item)
    assert fingerprint(lines.to_item(value, 3)) == fingerprint(item)


def test_a_header_is_read():
    line = lines.header(About("here", "openai/x", 3, 7), "2026-11-28T00:00:00+00:00")
    kind, value = lines.read(line)
    assert (kind, lines.to_about(value, "there")) == (lines.HEADER, About("there", "openai/x", 3, 7))


@pytest.mark.parametrize(
    "value",
    [
        {"format": "crew-memory/2", "embedder": "", "dimension": 3, "count": 1},
        {"format": "crew-memory/1", "embedder": "", "dimension": 10**9, "count": 1},
        {"format": "crew-memory/1", "embedder": "", "dimension": True, "count": 1},
        {"format": "crew-memory/1", "embedder": "", "dimension": 3, "count": -1},
        {"format": "crew-memory/1", "embedder": 5, "dimension": 3, "count": 1},
        {},
    ],
)
def test_a_header_that_cannot_be_is_refused(value):
    with pytest.raises(BadLineError):
        lines.to_about(value, "there")


def test_a_line_with_one_bit_changed_is_refused():
    line = lines.record(Item(FULL, "room"))
    for at in range(len(line)):
        with pytest.raises(BadLineError):
            lines.read(line[:at] + bytes([line[at] ^ 1]) + line[at + 1 :])


@pytest.mark.parametrize(
    "line",
    [b"", b"\n", b"{}\n", b'{"sum":"","record":{}}\n', b"\x00" * 100 + b"\n", lines.record(Item(FULL)).rstrip(),
     signed("record", b"[]"), signed("record", b"[" * 100_000), signed("record", b'{"importance": NaN}'),
     signed("record", b'{"n": ' + b"9" * 10_000 + b"}"), signed("record", b"\xff\xfe"), signed("other", b"{}")],
)  # fmt: skip
def test_what_is_no_line_is_refused(line):
    with pytest.raises(BadLineError):
        lines.read(line)


@pytest.mark.parametrize(
    ("name", "value"),
    [
        ("id", ""), ("id", 5), ("id", "x" * 1025), ("content", None), ("scope", ["/"]), ("session", ""), ("session", 1),
        ("session", "x" * 257), ("categories", "a"), ("categories", [1]), ("metadata", []), ("importance", 1.5),
        ("importance", True), ("created", "2026"), ("created", 1e300), ("accessed", None), ("source", 1),
        ("private", 0), ("vector", "not base64"), ("vector", "AAAA"), ("vector", None), ("vector", "AADAfwAAAAAAAAAA"),
    ],
)  # fmt: skip
def test_a_field_that_cannot_be_is_named(name, value):
    assert lines.to_item(VALUE, 3)
    with pytest.raises(BadLineError, match=name):
        lines.to_item({**VALUE, name: value}, 3)
    with pytest.raises(BadLineError, match=name):
        lines.to_item({key: one for key, one in VALUE.items() if key != name} | {name: value}, 3)


def test_a_memory_that_would_be_too_long_to_read_is_not_written(monkeypatch):
    monkeypatch.setattr(lines, "MOST", 500)
    assert lines.record(Item(Record("a", "short", "/")))
    with pytest.raises(BadLineError, match="the memory a takes"):
        lines.record(Item(Record("a", "long" * 200, "/")))


def test_a_trailer_counts_and_sums():
    total = Sum()
    total.add(b"one\n")
    _, value = lines.read(lines.trailer(1, total))
    lines.check_trailer(value, 1, total.text)
    with pytest.raises(BadLineError, match="had 1 records when it was written, and has 2"):
        lines.check_trailer(value, 2, total.text)
    with pytest.raises(BadLineError, match="checksum of the whole file"):
        lines.check_trailer(value, 1, Sum().text)
