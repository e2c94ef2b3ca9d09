"""Structural schemas: what a field is, unknown fields, defaults, types. A schema is OpenAPI as JSON, references linked.

Built-in kinds and custom ones are described alike, so pruning, server-side apply and patches have one code path.
"""

import copy
import re
from collections.abc import Mapping
from datetime import datetime
from typing import Any

from localcluster.apiserver.status import Cause

Node = Mapping[str, Any]
UNKNOWN: Node = {}
"""The schema of what no schema describes: maps are merged by key, lists are replaced whole."""
_TYPES: dict[str, tuple[type, ...]] = {
    "string": (str,),
    "integer": (int,),
    "number": (int, float),
    "boolean": (bool,),
    "array": (list,),
    "object": (dict,),
}
_METADATA: Node = {"type": "object", "x-kubernetes-preserve-unknown-fields": True}
_DURATION = re.compile(r"(\d+(\.\d+)?\s*(ns|us|µs|ms|s|m|h|d|w))+")


def link(schemas: Mapping[str, Any]) -> dict[str, dict[str, Any]]:
    """Replace every `$ref` by the schema it names; recursion becomes a cycle, which Python does not mind."""
    linked: dict[str, dict[str, Any]] = {name: {} for name in schemas}

    def resolve(node: Any) -> Any:
        if isinstance(node, list):
            return [resolve(item) for item in node]
        if not isinstance(node, dict):
            return node
        if isinstance(node.get("$ref"), str):
            return linked[node["$ref"].rsplit("/", 1)[1]]
        whole = node.get("allOf")
        if isinstance(whole, list) and len(whole) == 1 and "$ref" in whole[0]:
            target = schemas[whole[0]["$ref"].rsplit("/", 1)[1]]
            if "properties" not in target:  # a scalar such as Quantity: small enough to copy with its own extras
                return {**resolve(target), **{key: value for key, value in node.items() if key != "allOf"}}
            extras = {key: value for key, value in node.items() if key.startswith("x-kubernetes-")}
            found = linked[whole[0]["$ref"].rsplit("/", 1)[1]]
            return _Linked(found, extras) if extras else found
        return {key: resolve(value) for key, value in node.items()}

    for name, node in schemas.items():
        linked[name].update(resolve(node))
    return linked


class _Linked(dict[str, Any]):
    """A reference with extensions of its own: reads through to its target, which may still be being linked."""

    def __init__(self, target: dict[str, Any], extras: dict[str, Any]) -> None:
        super().__init__(extras)
        self._target = target

    def __missing__(self, key: str) -> Any:
        return self._target[key]

    def get(self, key: str, default: Any = None) -> Any:
        return super().get(key) if super().__contains__(key) else self._target.get(key, default)

    def __contains__(self, key: object) -> bool:
        return super().__contains__(key) or key in self._target


def child(node: Node, key: str) -> Node:
    """The schema of a field or of a map's value; `UNKNOWN` where there is none."""
    properties = node.get("properties")
    if properties and key in properties:
        found: Node = properties[key]
        return found
    extra = node.get("additionalProperties")
    return extra if isinstance(extra, Mapping) else UNKNOWN


def items(node: Node) -> Node:
    """The schema of a list's items."""
    found = node.get("items")
    return found if isinstance(found, Mapping) else UNKNOWN


def map_keys(node: Node) -> tuple[str, ...]:
    """The fields that tell items of an associative list apart; empty for other lists."""
    return tuple(node.get("x-kubernetes-list-map-keys") or ()) if node.get("x-kubernetes-list-type") == "map" else ()


def is_set(node: Node) -> bool:
    """Whether a list is a set of scalars."""
    return node.get("x-kubernetes-list-type") == "set"


def is_atomic_map(node: Node) -> bool:
    """Whether an object has one owner as a whole."""
    return node.get("x-kubernetes-map-type") == "atomic"


def item_key(node: Node, item: Any) -> tuple[tuple[str, Any], ...]:
    """The key of an item of an associative list, defaults (such as `protocol: TCP`) filled in."""
    fields = items(node)
    return tuple(
        (key, item.get(key, child(fields, key).get("default")) if isinstance(item, dict) else None)
        for key in sorted(map_keys(node))
    )


def keeps_unknown(node: Node) -> bool:
    """Whether fields that the schema does not name are kept."""
    return bool(node.get("x-kubernetes-preserve-unknown-fields")) or (
        "properties" not in node and "additionalProperties" not in node
    )


def unknown_fields(node: Node, value: Any, path: str = "") -> list[str]:
    """Paths of the fields that the schema does not know, e.g. `spec.template.spec.containers[0].imag`."""
    found: list[str] = []
    if isinstance(value, dict):
        properties = node.get("properties") or {}
        extra = node.get("additionalProperties")
        loose = keeps_unknown(node) or bool(extra)
        for key, inner in value.items():
            where = f"{path}.{key}" if path else str(key)
            if key in properties:
                found += unknown_fields(properties[key], inner, where)
            elif isinstance(extra, Mapping):
                found += unknown_fields(extra, inner, where)
            elif not loose:
                found.append(where)
    elif isinstance(value, list) and "items" in node:
        for index, inner in enumerate(value):
            found += unknown_fields(node["items"], inner, f"{path}[{index}]")
    return found


def prune(node: Node, value: Any) -> Any:
    """A copy without fields that the schema does not know, and without nulls where null means absent."""
    if isinstance(value, dict):
        properties = node.get("properties") or {}
        extra = node.get("additionalProperties")
        loose = keeps_unknown(node) or extra is True
        kept: dict[str, Any] = {}
        for key, inner in value.items():
            if key in properties:
                target = properties[key]
                if inner is None and not target.get("nullable") and not keeps_unknown(target):
                    continue
                kept[key] = prune(target, inner)
            elif isinstance(extra, Mapping):
                kept[key] = prune(extra, inner)
            elif loose:
                kept[key] = inner
        return kept
    if isinstance(value, list) and "items" in node:
        return [prune(node["items"], inner) for inner in value]
    return value


def default(node: Node, value: Any) -> Any:
    """A copy with the schema's defaults where fields are absent (custom resources only)."""
    if isinstance(value, dict):
        filled = dict(value)
        for key, inner in (node.get("properties") or {}).items():
            if key not in filled or (filled[key] is None and not inner.get("nullable")):
                if "default" in inner:
                    filled[key] = copy.deepcopy(inner["default"])
                else:
                    filled.pop(key, None)
        return {key: default(child(node, key), inner) for key, inner in filled.items()}
    if isinstance(value, list) and "items" in node:
        return [default(node["items"], inner) for inner in value]
    return value


def custom(root: Node) -> dict[str, Any]:
    """The schema of a custom resource with what every object has: apiVersion, kind, metadata."""
    whole = dict(root)
    if "properties" in root or not root.get("x-kubernetes-preserve-unknown-fields"):
        whole["properties"] = {
            **(root.get("properties") or {}),
            "apiVersion": {"type": "string"},
            "kind": {"type": "string"},
            "metadata": _METADATA,
        }
    whole["type"] = "object"
    return whole


def type_of(value: Any) -> str:
    """The JSON name of a value's type."""
    if isinstance(value, bool):
        return "boolean"
    for name in ("string", "integer", "number", "array", "object"):
        if isinstance(value, _TYPES[name]):
            return name
    return "null"


def matches_type(node: Node, value: Any) -> bool:
    """Whether a value is of the node's type. A whole float is an integer, as in Go."""
    if node.get("x-kubernetes-int-or-string") or node.get("format") == "int-or-string":
        return isinstance(value, (int, str)) and not isinstance(value, bool)
    wanted = node.get("type")
    if not isinstance(wanted, str):
        choices = [one["type"] for one in node.get("oneOf") or () if "type" in one]
        return not choices or any(matches_type({"type": one}, value) for one in choices)
    if isinstance(value, bool):
        return wanted == "boolean"
    if wanted == "integer" and isinstance(value, float):
        return value.is_integer()
    return isinstance(value, _TYPES[wanted])


def matches_format(name: str, value: str) -> bool:
    """Whether a string has the format, for those formats that custom resources use."""
    if name == "date-time":
        try:
            datetime.fromisoformat(value)
        except ValueError:
            return False
    if name == "duration":
        return bool(_DURATION.fullmatch(value))
    return True


def wrong_types(node: Node, value: Any, path: str = "") -> list[Cause]:
    """The fields of a built-in kind whose value has another type than its field."""
    if value is None:
        return []
    if not matches_type(node, value):
        wanted = str(node.get("format") or node.get("type") or "another type")
        return [Cause(path, f"cannot unmarshal {type_of(value)} into field {path} of type {wanted}")]
    found: list[Cause] = []
    if isinstance(value, dict) and not keeps_unknown(node):
        for key, inner in value.items():
            found += wrong_types(child(node, key), inner, f"{path}.{key}" if path else key)
    elif isinstance(value, list) and "items" in node:
        for index, inner in enumerate(value):
            found += wrong_types(node["items"], inner, f"{path}[{index}]")
    return found
