"""Any value as JSON holds it: what pydantic's JSON mode writes, and text where that would raise."""

import dataclasses
import json
import math
import uuid
from datetime import UTC, date, datetime, time, timedelta
from decimal import Decimal
from enum import Enum, IntEnum, StrEnum
from pathlib import Path
from typing import Any

import pytest
from pydantic import BaseModel, Field, SecretStr, computed_field, field_serializer

from crew_runtime.crewai.outputs import values


class Urgency(Enum):
    HIGH = "high"


class Level(IntEnum):
    TWO = 2


class Kind(StrEnum):
    TABLE = "table"


class Guest(BaseModel):
    name: str
    born: date


@dataclasses.dataclass
class Seat:
    row: Decimal
    guest: Guest


SEAT = Seat(Decimal(7), Guest(name="Bo", born=date(1999, 1, 1)))


class Booking(BaseModel):
    urgency: Urgency = Urgency.HIGH
    level: Level = Level.TWO
    at: datetime = datetime(2026, 1, 2, 3, 4, 5, tzinfo=UTC)
    day: date = date(2026, 1, 2)
    hour: time = time(3, 4)
    stay: timedelta = timedelta(days=1, seconds=5)
    id: uuid.UUID = uuid.UUID(int=7)
    price: Decimal = Decimal("1.50")
    tags: set[str] = {"quiet"}
    seal: bytes = "grün".encode()
    guests: list[Guest] = [Guest(name="Ann", born=date(2000, 1, 1))]
    by_urgency: dict[Urgency, date] = {Urgency.HIGH: date(2026, 1, 2)}
    seat: Seat = SEAT
    secret: SecretStr = SecretStr("hidden")
    total: float = Field(default=1.5, alias="sum")
    code: int = 255

    @field_serializer("code")
    def _hex(self, code: int) -> str:
        return f"{code:x}"

    @computed_field
    @property
    def nights(self) -> int:
        return 1


def test_a_model_is_what_pydantics_json_mode_makes_of_it():
    booking = Booking()
    assert values.plain(booking) == booking.model_dump(mode="json")
    assert values.plain(booking)["code"] == "ff"
    assert values.plain(booking)["urgency"] == "high"


@pytest.mark.parametrize(
    ("value", "told"),
    [
        (Urgency.HIGH, "high"),
        (Level.TWO, 2),
        (Kind.TABLE, "table"),
        (datetime(2026, 1, 2, tzinfo=UTC), "2026-01-02T00:00:00Z"),
        (timedelta(days=1, seconds=5), "P1DT5S"),
        (uuid.UUID(int=7), "00000000-0000-0000-0000-000000000007"),
        (Decimal("1.50"), "1.50"),
        (Path("a/b"), "a/b"),
        ((1, 2), [1, 2]),
        (frozenset({1}), [1]),
        (b"abc", "abc"),
        (SEAT, {"row": "7", "guest": {"name": "Bo", "born": "1999-01-01"}}),
        ({Urgency.HIGH: 1, date(2026, 1, 2): 2, None: 3}, {"high": 1, "2026-01-02": 2, "None": 3}),
        ({(1, 2): 4, 5: 6, True: 7, 1.5: 8}, {"1,2": 4, "5": 6, "true": 7, "1.5": 8}),
        ([True, None, 3, 2.5], [True, None, 3, 2.5]),
        ({"a": math.nan, "b": [math.inf]}, {"a": None, "b": [None]}),
        (Booking.model_construct(total=math.nan), {"total": None}),
    ],
)  # fmt: skip
def test_values_that_json_mode_knows(value: Any, told: Any):
    found = values.plain(value)
    if isinstance(value, Booking):
        found = {name: found[name] for name in told}
    assert found == told


class _Mute:
    def __str__(self) -> str:
        raise RuntimeError("no words")


class _Stubborn(BaseModel):
    name: str = "x"
    thing: Any = None

    @field_serializer("name")
    def _refuse(self, name: str) -> str:
        raise RuntimeError("not serialisable")


def _circle() -> Any:
    one: dict[str, Any] = {"name": "loop"}
    one["self"] = one
    return one


def _deep(levels: int) -> Any:
    one: Any = "bottom"
    for _ in range(levels):
        one = [one]
    return one


@pytest.mark.parametrize(
    ("value", "told"),
    [
        (object, "<class 'object'>"),
        (_Mute(), lambda found: found.startswith("<") and "_Mute" in found),
        ({"a": _Mute(), "b": 1}, lambda found: found["b"] == 1),
        (b"\xff\x00ok", "\\xff\x00ok"),
        (_Stubborn(thing=Urgency.HIGH), {"name": "x", "thing": "high"}),
        (_circle(), {"name": "loop", "self": "<dict>"}),
        (_deep(5000), lambda found: isinstance(found, list)),
        pytest.param(10**5000, lambda found: found.startswith("0x"), id="an integer of 5,001 digits"),
        ((one for one in range(3)), lambda found: "generator" in found),
        ({_Mute(): 1}, lambda found: list(found.values()) == [1]),
    ],
)
def test_what_no_json_knows_is_text_and_never_an_exception(value: Any, told: Any):
    found = json.loads(json.dumps(values.plain(value), allow_nan=False))
    assert told(found) if callable(told) else found == told


def test_a_part_that_cannot_be_written_leaves_the_rest_of_a_model_as_it_is():
    class Mixed(BaseModel):
        model_config = {"arbitrary_types_allowed": True}
        when: date = date(2026, 1, 2)
        tool: Any = _deep

    found = values.plain(Mixed())
    assert found["when"] == "2026-01-02"
    assert "_deep" in found["tool"]


def test_objects_that_hold_each_other_are_told_once():
    class Node(BaseModel):
        name: str
        other: Any = None

    one, two = Node(name="one"), Node(name="two")
    one.other, two.other = two, one
    assert json.dumps(values.plain(one))
