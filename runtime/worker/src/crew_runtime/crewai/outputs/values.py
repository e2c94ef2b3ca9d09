"""Any Python value -> JSON's types, as pydantic's JSON mode writes it. Never raises.

Where pydantic gives up, this goes on: bytes that are no UTF-8, an object that it does not know and a model whose
serializer raises become text, and only the part that they are. Numbers that JSON has not become null.
"""

import math
from collections.abc import Mapping, Set
from enum import Enum
from typing import Any

from pydantic import BaseModel
from pydantic_core import to_jsonable_python

MAX_DEPTH = 100
"""Levels. Python's JSON encoder and most parsers stop at about 1,000; what is nested deeper becomes text."""
_MAX_INT_BITS = 14_000
"""Python refuses to write an integer of more than 4,300 digits (`sys.get_int_max_str_digits`)."""
_Path = tuple[int, ...]
"""The ids of the containers that a value lies in: one that holds itself has no end otherwise."""


def plain(value: Any) -> Any:
    """The value in JSON's types; what has no place there as text."""
    return _plain(value, ())


def text(value: Any) -> str:
    """`str()`, also of an object whose own raises."""
    try:
        return str(value)
    except Exception:  # noqa: BLE001 - the user's __str__
        return object.__repr__(value)


def _plain(value: Any, above: _Path) -> Any:
    # An enum may be an int or a str as well.
    if isinstance(value, Enum):
        return _plain(value.value, above)
    if value is None or isinstance(value, bool | str):
        return value
    if isinstance(value, int):
        return int(value) if value.bit_length() <= _MAX_INT_BITS else hex(value)
    if isinstance(value, float):
        return float(value) if math.isfinite(value) else None
    if id(value) in above or len(above) >= MAX_DEPTH:
        return f"<{type(value).__name__}>"
    inside = (*above, id(value))
    if isinstance(value, BaseModel):
        return _plain(_dumped(value), inside)
    if isinstance(value, Mapping):
        return {_key(key): _plain(one, inside) for key, one in value.items()}
    if isinstance(value, list | tuple | Set):
        return [_plain(one, inside) for one in value]
    if isinstance(value, bytes | bytearray):
        return bytes(value).decode("utf-8", "backslashreplace")
    if hasattr(value, "__next__"):
        # pydantic would use it up, however long it is.
        return text(value)
    return _leaf(value, inside)


def _dumped(model: BaseModel) -> Any:
    """By its own serializers, as far as these work."""
    for mode in ("json", "python"):
        try:
            return model.model_dump(mode=mode, warnings=False)
        except Exception:  # noqa: BLE001, S112 - a field that JSON does not know, or a serializer of the user's
            continue
    return {**model.__dict__, **(model.__pydantic_extra__ or {})}


def _leaf(value: Any, inside: _Path) -> Any:
    """Dates, UUIDs, decimals, paths, URLs, secrets, dataclasses, ..."""
    try:
        made = to_jsonable_python(value, by_alias=False)
    except Exception:  # noqa: BLE001 - pydantic does not know it, or the user's code in it raises
        return text(value)
    return made if isinstance(made, str) else _plain(made, inside)


def _key(key: Any) -> str:
    if isinstance(key, str) and not isinstance(key, Enum):
        return key
    try:
        (made,) = to_jsonable_python({key: None}, by_alias=False)
    except Exception:  # noqa: BLE001 - as above
        return text(key)
    return made if isinstance(made, str) else text(made)
