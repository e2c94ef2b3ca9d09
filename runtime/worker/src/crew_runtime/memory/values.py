"""What a user's code gives as metadata -> the same in JSON's types, so that it can be kept, compared and found. Pure.

CrewAI takes any object, and its LanceDB storage refuses a record that `json.dumps` does (1.15.30): the save is
lost, with an event that nobody reads. Here it is kept as what it says.
"""

import json
import math
from collections.abc import Mapping
from datetime import date, datetime, time
from enum import Enum
from typing import Any

from crew_runtime.errors import InvalidMetadataError

DEEPEST = 64
"""Levels: whatever is nested deeper holds itself."""


def metadata(given: Mapping[str, Any] | None) -> dict[str, Any]:
    """The metadata of a record or of a search. Raises InvalidMetadataError."""
    return {_key(key): plain(value) for key, value in (given or {}).items()}


def plain(value: Any, depth: int = 0) -> Any:
    """Keys as JSON spells them, no number that JSON has not, sets as sorted lists, times in ISO 8601, models by their
    fields, others as text."""
    if depth > DEEPEST:
        raise InvalidMetadataError(DEEPEST)
    if isinstance(value, Enum):
        return plain(value.value, depth + 1)
    if isinstance(value, float):
        return value if math.isfinite(value) else None
    if value is None or isinstance(value, bool | int | str):
        return value
    if isinstance(value, Mapping):
        return {_key(key): plain(one, depth + 1) for key, one in value.items()}
    if isinstance(value, list | tuple):
        return [plain(one, depth + 1) for one in value]
    if isinstance(value, set | frozenset):
        return sorted((plain(one, depth + 1) for one in value), key=canonical)
    if isinstance(value, datetime | date | time):
        return value.isoformat()
    if callable(dump := getattr(value, "model_dump", None)):  # of pydantic, which this room does not import
        return plain(dump(mode="json"), depth + 1)
    if callable(items := getattr(value, "tolist", None)):  # of numpy, scalars too
        return plain(items(), depth + 1)
    return str(value)


def canonical(value: Any) -> str:
    """Equal texts for equal plain values."""
    return json.dumps(value, sort_keys=True)


def _key(key: Any) -> str:
    if isinstance(key, str):
        return key
    return json.dumps(key) if key is None or isinstance(key, bool | int | float) else str(key)
