"""A JSON schema -> a small value that is valid for it, as a stand-in for an LLM's structured answer. Pure."""

from collections.abc import Mapping
from typing import Any

from pydantic import BaseModel

MOST_LEVELS = 12
"""Nesting; a model that needs itself has no finite value."""
_FORMATS = {
    "date-time": "2025-01-01T00:00:00Z",
    "date": "2025-01-01",
    "time": "00:00:00Z",
    "duration": "PT1S",
    "uuid": "00000000-0000-4000-8000-000000000000",
    "email": "nobody@example.com",
    "uri": "https://example.com/",
    "ipv4": "192.0.2.1",
    "ipv6": "2001:db8::1",
    "json-string": "{}",
    "binary": "",
    "base64": "",
    "path": "rehearsal.txt",
}
Schema = Mapping[str, Any]


class NoSampleError(ValueError):
    """Its own validators refuse what the schema alone would allow."""


def of_model(model: type[BaseModel], text: str) -> BaseModel:
    """An instance. Raises NoSampleError."""
    try:
        return model.model_validate(of_schema(model.model_json_schema(), text))
    except Exception as error:
        raise NoSampleError(f"no value for {model.__name__} could be made up: {error}") from error


def of_schema(schema: Schema, text: str) -> Any:
    """A value in JSON's types. `text` stands where any text may."""
    return _value(schema, schema.get("$defs", {}), text, 0)


def _value(schema: Any, defs: Schema, text: str, level: int) -> Any:
    if not isinstance(schema, Mapping) or level > MOST_LEVELS:
        return None
    if "$ref" in schema:
        return _value(defs.get(str(schema["$ref"]).rpartition("/")[2], {}), defs, text, level + 1)
    if "default" in schema:
        return schema["default"]
    if "const" in schema:
        return schema["const"]
    if schema.get("enum"):
        return schema["enum"][0]
    for many in ("anyOf", "oneOf"):
        if schema.get(many):
            return _value(_simplest(schema[many]), defs, text, level + 1)
    if schema.get("allOf"):
        merged: dict[str, Any] = {}
        for one in schema["allOf"]:
            merged |= defs.get(str(one["$ref"]).rpartition("/")[2], {}) if "$ref" in one else one
        return _value(merged, defs, text, level + 1)
    return _of_type(schema, defs, text, level)


def _of_type(schema: Schema, defs: Schema, text: str, level: int) -> Any:
    kind = schema.get("type", "object" if "properties" in schema else "string")
    if isinstance(kind, list):
        kind = kind[0]
    if kind == "object":
        fields = schema.get("properties", {})
        return {name: _value(fields.get(name, {}), defs, text, level + 1) for name in schema.get("required", ())}
    if kind == "array":
        return _items(schema, defs, text, level)
    if kind in ("integer", "number"):
        return _number(schema, kind == "integer")
    if kind == "string":
        return _text(schema, text)
    return True if kind == "boolean" else None


def _simplest(choices: Any) -> Any:
    return next((one for one in choices if isinstance(one, Mapping) and one.get("type") == "null"), choices[0])


def _items(schema: Schema, defs: Schema, text: str, level: int) -> list[Any]:
    made = [_value(one, defs, text, level + 1) for one in schema.get("prefixItems", ())]
    while len(made) < int(schema.get("minItems", 0)):
        # Numbered: they may have to differ.
        made.append(_value(schema.get("items", {}), defs, f"{text} {len(made) + 1}", level + 1))
    return made


def _number(schema: Schema, whole: bool) -> float:
    low, high = schema.get("minimum"), schema.get("maximum")
    above, below = schema.get("exclusiveMinimum"), schema.get("exclusiveMaximum")
    step = schema.get("multipleOf") or (1 if whole else None)
    if above is not None and (low is None or above >= low):
        low = above + (step or _between(above, below if below is not None else high))
    if low is None and below is not None:
        high = below - (step or 1) if high is None else min(high, below - (step or 1))
    value: float = low if low is not None else (0 if high is None or high >= 0 else high)
    if step:
        value = step * -(-value // step) if low is not None else step * (value // step)
    return int(value) if whole else value


def _between(low: float, high: float | None) -> float:
    return 1 if high is None else (high - low) / 2


def _text(schema: Schema, text: str) -> str:
    made = _FORMATS.get(str(schema.get("format", "")), text)
    least, most = int(schema.get("minLength", 0)), schema.get("maxLength")
    made = made.ljust(least, ".")
    return made if most is None else made[: int(most)]
