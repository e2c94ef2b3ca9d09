"""CEL rules of custom resources (`x-kubernetes-validations`): (schema, value, old value) -> causes.

The evaluator is cel-rust by `common-expression-language`; Kubernetes' own functions that rules of schemas use are added
here. It knows no optional syntax (`a.?b`): `unsupported` tells, so that an author is warned and not fooled.
"""

import functools
import re
from collections.abc import Callable, Iterator, Mapping
from typing import Any

import cel

from localcluster.apiserver import fields, quantity, schema
from localcluster.apiserver.schema import Node
from localcluster.apiserver.status import Cause

_RESERVED = frozenset(
    (
        *("true", "false", "null", "in", "as", "break", "const", "continue", "else", "for", "function", "if", "import"),
        *("let", "loop", "package", "namespace", "return", "var", "void", "while"),
    )
)
_REASONS = {"FieldValueInvalid", "FieldValueForbidden", "FieldValueRequired", "FieldValueDuplicate"}


def _is_quantity(text: Any) -> bool:
    try:
        quantity.parse(text)
    except ValueError:
        return False
    return True


def _compare(left: Any, right: Any) -> int:
    return int(left > right) - int(left < right)


FUNCTIONS: Mapping[str, Callable[..., Any]] = {
    "quantity": quantity.milli,  # compared as numbers, which is all that rules do with it
    "isQuantity": _is_quantity,
    "compareTo": _compare,
    "isGreaterThan": lambda left, right: left > right,
    "isLessThan": lambda left, right: left < right,
    "lowerAscii": lambda text: text.lower(),
    "upperAscii": lambda text: text.upper(),
    "trim": lambda text: text.strip(),
    "replace": lambda text, old, new: text.replace(old, new),
    "split": lambda text, by: text.split(by),
    "join": lambda values, by="": by.join(values),
    "substring": lambda text, start, end=None: text[start:end],
    "indexOf": lambda where, what: where.index(what) if what in where else -1,
    "find": lambda text, pattern: found[0] if (found := re.search(pattern, text)) else "",
    "findAll": lambda text, pattern: [found[0] for found in re.finditer(pattern, text)],
    "isSorted": lambda values: list(values) == sorted(values),
    "sum": lambda values: sum(values),
}


@functools.lru_cache(maxsize=1024)
def _program(rule: str) -> Any:
    return cel.compile(rule)


def unsupported(rule: str) -> str | None:
    """Why this evaluator cannot take a rule, or None when it can."""
    try:
        _program(rule)
    except (ValueError, RuntimeError) as error:
        return str(error).splitlines()[-1].strip() or str(error)
    return None


def rules(node: Node, at: str = "", seen: frozenset[int] = frozenset()) -> Iterator[tuple[str, str]]:
    """Every rule within a schema, with the path of its schema."""
    if id(node) in seen:
        return
    for one in node.get("x-kubernetes-validations") or ():
        yield at, one["rule"]
    inside = seen | {id(node)}
    for key, inner in (node.get("properties") or {}).items():
        yield from rules(inner, f"{at}.{key}", inside)
    for key in ("items", "additionalProperties"):
        if isinstance(node.get(key), Mapping):
            yield from rules(node[key], f"{at}[]", inside)


def _value(value: Any) -> Any:
    """The value as CEL sees it: reserved words as field names are wrapped in underscores."""
    if isinstance(value, dict):
        return {f"__{key}__" if key in _RESERVED else key: _value(inner) for key, inner in value.items()}
    if isinstance(value, list):
        return [_value(inner) for inner in value]
    return value


def _evaluate(rule: str, variables: dict[str, Any]) -> Any:
    context = cel.Context(variables)
    for name, function in FUNCTIONS.items():
        context.add_function(name, function)
    return _program(rule).execute(context)


def violations(node: Node, value: Any, old: Any, at: str = "") -> list[Cause]:
    """The rules that `value` breaks. `old` is None on creation: rules on `oldSelf` do not speak then."""
    if value is None:
        return []
    found = [
        cause
        for one in node.get("x-kubernetes-validations") or ()
        if (cause := _violation(one, value, old, at)) is not None
    ]
    if isinstance(value, dict):
        before = old if isinstance(old, dict) else {}
        for key, inner in value.items():
            inner_node = schema.child(node, key)
            mapped = key not in (node.get("properties") or {})
            where = f"{at}[{key}]" if mapped else f"{at}.{key}" if at else key
            found += violations(inner_node, inner, before.get(key), where)
    elif isinstance(value, list):
        same: dict[str, Any] = {}
        if schema.map_keys(node) and isinstance(old, list):
            same = {fields.element(node, item): item for item in old}
        for index, inner in enumerate(value):
            before_item = same.get(fields.element(node, inner)) if same else None
            found += violations(schema.items(node), inner, before_item, f"{at}[{index}]")
    return found


def _violation(one: Mapping[str, Any], value: Any, old: Any, at: str) -> Cause | None:
    rule = one["rule"]
    if unsupported(rule) or (re.search(r"\boldSelf\b", rule) and old is None):
        return None
    variables = {"self": _value(value), "oldSelf": _value(old)}
    try:
        if _evaluate(rule, variables) is True:
            return None
        message = one.get("message") or f"failed rule: {rule.strip()}"
        if one.get("messageExpression") and not unsupported(one["messageExpression"]):
            message = str(_evaluate(one["messageExpression"], variables))
    except (RuntimeError, ValueError, TypeError, KeyError, AttributeError) as error:
        message = f"rule evaluation error: {rule}: {error}"
    reason = one.get("reason", "FieldValueInvalid")
    field = at + (one.get("fieldPath") or "")
    field = field.removeprefix(".") or "<nil>"
    return Cause(field, f"Invalid value: {message}", reason if reason in _REASONS else "FieldValueInvalid")


def shown(value: Any) -> str:
    """A value as Kubernetes' messages show it: objects and lists only by their type."""
    if isinstance(value, dict):
        return '"object"'
    if isinstance(value, list):
        return '"array"'
    if isinstance(value, bool):
        return str(value).lower()
    return f'"{value}"' if isinstance(value, str) else str(value)
