"""What a replica answered -> a report or a step of a proof. Pure, and strict: a replica may run anybody's image.

Each value has the type that its field has, numbers are finite, texts are cut and fit to be shown, lists are cut.
"""

import dataclasses
import math
import types
import typing
from collections.abc import Hashable, Mapping
from dataclasses import dataclass
from functools import cache
from typing import Any, Final, TypeVar

from crew_operator.words import quoted
from crew_runtime.contract.report import Report

LONGEST_TEXT: Final = 1000
"""Characters: as long as the server half lets a failure be."""
MOST_ITEMS: Final = 200
"""Of one list."""
T = TypeVar("T")


class NotAReportError(Exception):
    """The answer has another shape. Its text is ours, with names of our own fields only."""


@dataclass(frozen=True)
class Step:
    """What a replica answered to a step of a proof."""

    ok: bool
    found: bool = False
    error: str | None = None


def report(data: object) -> Report:
    """Unknown keys are ignored, missing ones take the default. Raises NotAReportError."""
    return _record(Report, data, "report")


def step(data: object) -> Step:
    """Raises NotAReportError."""
    return _record(Step, data, "proof")


def _record(cls: type[T], data: object, path: str) -> T:
    if not isinstance(data, Mapping):
        raise NotAReportError(f"{path} is no object")
    kinds = _kinds(typing.cast("Hashable", cls))
    found = {name: _value(kinds[name], data[name], name) for name in kinds.keys() & data.keys()}
    try:
        return cls(**found)
    except TypeError:
        raise NotAReportError(f"{path} lacks a field") from None


@cache
def _kinds(cls: Any) -> dict[str, Any]:
    """The fields of a dataclass with their types."""
    hints = typing.get_type_hints(cls)
    return {one.name: hints[one.name] for one in dataclasses.fields(cls)}


def _value(kind: Any, value: object, path: str) -> Any:
    if isinstance(kind, types.UnionType):
        if value is None:
            return None
        return _value(next(one for one in typing.get_args(kind) if one is not types.NoneType), value, path)
    if typing.get_origin(kind) is tuple:
        if not isinstance(value, list):
            raise NotAReportError(f"{path} is no list")
        return tuple(_value(typing.get_args(kind)[0], one, path) for one in value[:MOST_ITEMS])
    if dataclasses.is_dataclass(kind):
        return _record(typing.cast("type[Any]", kind), value, path)
    return _plain(kind, value, path)


def _plain(kind: Any, value: object, path: str) -> Any:
    if kind is str and isinstance(value, str):
        return quoted(value, LONGEST_TEXT, lines=True)
    if kind is bool and isinstance(value, bool):
        return value
    if kind is int and isinstance(value, int) and not isinstance(value, bool) and abs(value) < 2**53:
        return value
    if kind is float and isinstance(value, int | float) and not isinstance(value, bool):
        if abs(value) < 2**53 and math.isfinite(value):
            return float(value)
        raise NotAReportError(f"{path} is no number that can be")
    raise NotAReportError(f"{path} is no {kind.__name__}")
