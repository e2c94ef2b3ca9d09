"""Flows that return no text: a model of many kinds of fields, one that is a list, a dict, a list, a number, nothing."""

import datetime
import decimal
import enum
from typing import Any

from crewai.flow.flow import Flow, start
from pydantic import BaseModel, RootModel


class Kind(enum.Enum):
    SOUP = "soup"


class Dish(BaseModel):
    kind: Kind
    day: datetime.date
    takes: datetime.timedelta = datetime.timedelta(seconds=90)
    price: decimal.Decimal = decimal.Decimal("12.30")
    tags: set[str] = {"hot"}
    blob: bytes = b"abc"


class Model(Flow[dict[str, Any]]):
    @start()
    def give(self) -> Dish:
        return Dish(kind=Kind.SOUP, day=datetime.date(2026, 1, 2))


class ListModel(Flow[dict[str, Any]]):
    @start()
    def give(self) -> RootModel[list[Kind]]:
        self.state["seen"] = True
        return RootModel[list[Kind]]([Kind.SOUP])


class Dict(Flow[dict[str, Any]]):
    @start()
    def give(self) -> dict[str, Any]:
        return {"dish": Dish(kind=Kind.SOUP, day=datetime.date(2026, 1, 2)), "text": "grün"}


class List(Flow[dict[str, Any]]):
    @start()
    def give(self) -> list[Any]:
        return [1, "two", {"three": 3.5}]


class Number(Flow[dict[str, Any]]):
    @start()
    def give(self) -> int:
        return 42


class Nothing(Flow[dict[str, Any]]):
    @start()
    def give(self) -> None:
        self.state["seen"] = True
