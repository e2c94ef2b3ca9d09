"""A CrewDeployment as the API server gives it -> the frozen model, or all that is wrong with it at once."""

import dataclasses
import typing
from collections.abc import Mapping
from enum import Enum, EnumMeta
from typing import Any

from crew_operator.api import fields, names
from crew_operator.api.fields import FieldInfo, Limits
from crew_operator.api.spec import CrewDeployment, Spec
from crew_operator.errors import InvalidSpecError, Problem

_MISSING = object()
_MAX_DEPTH = 32
"""Levels of a piece of Kubernetes' own API; the deepest, an affinity, has twelve."""
_MAX_TEXT = 131_072
"""Characters of a text in it, unless the field says otherwise: Linux starts no program with a longer variable, and
nothing else that Kubernetes takes comes near."""
_MAX_KEY = 100
"""Characters of a key that are shown."""
_OF_JSON: Mapping[str, type] = {"string": str, "object": Mapping, "array": list}
"""A schema's type -> what a value of it is here."""


def crew_deployment(manifest: Mapping[str, Any]) -> CrewDeployment:
    """The model of a CrewDeployment.

    Fields that the models do not know are passed over: a newer CRD may have them.

    Raises:
        InvalidSpecError: with every problem, not just the first.
    """
    metadata = manifest["metadata"]
    problems: list[Problem] = []
    _check_name(str(metadata["name"]), problems)
    spec = _model(Spec, manifest.get("spec"), "spec", problems)
    if problems:
        raise InvalidSpecError(tuple(problems))
    return CrewDeployment(
        namespace=str(metadata["namespace"]),
        name=str(metadata["name"]),
        uid=str(metadata.get("uid", "")),
        generation=int(metadata.get("generation", 0)),
        spec=spec,
    )


def _check_name(name: str, problems: list[Problem]) -> None:
    if len(name) > names.MAX_NAME or not fields.matches(names.NAME_PATTERN, name):
        says = (
            f"take a name of at most {names.MAX_NAME} lower-case letters, digits and '-' that begins with a letter: "
            "Services and pods are called like it"
        )
        problems.append(Problem("metadata.name", says))


def _model(model: type, value: Any, path: str, problems: list[Problem]) -> Any:
    if not isinstance(value, Mapping):
        problems.append(Problem(path, f"write an object, not {_show(value)}"))
        return None
    before = len(problems)
    arguments = {}
    for info in fields.of(model):
        arguments[info.attribute] = _field(info, value.get(info.name, _MISSING), f"{path}.{info.name}", problems)
    if len(problems) > before:
        return None
    made = model(**arguments)
    problems += (
        Problem(f"{path}.{rule.at}" if rule.at else path, rule.message)
        for rule in fields.rules(model)
        if rule.holds is not None and not rule.holds(made)
    )
    return made


def _field(info: FieldInfo, value: Any, path: str, problems: list[Problem]) -> Any:
    if value is _MISSING or value is None:
        if info.required:
            problems.append(Problem(path, f"add it: it is required{_hint(info.limits)}"))
        return info.default
    return _value(info.type, info.limits, value, path, problems)


def _value(type_: Any, limits: Limits, value: Any, path: str, problems: list[Problem]) -> Any:
    if dataclasses.is_dataclass(type_):
        return _model(typing.cast("type", type_), value, path, problems)
    if isinstance(type_, EnumMeta):
        return _choice(typing.cast("type[Enum]", type_), value, path, problems)
    origin = typing.get_origin(type_)
    if origin is tuple:
        return _sequence(type_, limits, value, path, problems)
    if origin is Mapping or type_ is Mapping:
        return _mapping(type_, limits, value, path, problems)
    return _scalar(type_, limits, value, path, problems)


def _choice(choices: type[Enum], value: Any, path: str, problems: list[Problem]) -> Any:
    words = [str(one.value) for one in choices]
    if value not in words:
        problems.append(Problem(path, f"write {' or '.join(words)}, not {_show(value)}"))
        return None
    return choices(value)


def _sequence(type_: Any, limits: Limits, value: Any, path: str, problems: list[Problem]) -> tuple[Any, ...]:
    if not isinstance(value, list | tuple):
        problems.append(Problem(path, f"write a list, not {_show(value)}"))
        return ()
    if limits.max_items is not None and len(value) > limits.max_items:
        problems.append(Problem(path, f"write at most {limits.max_items} items, not {len(value)}"))
        return ()
    if limits.unique:
        problems += (
            Problem(f"{path}[{index}]", f"remove it: {_show(one)} is there already")
            for index, one in enumerate(value)
            if one in value[:index]
        )
    item, item_limits = fields.item_of(type_)
    return tuple(_value(item, item_limits, one, f"{path}[{index}]", problems) for index, one in enumerate(value))


def _mapping(type_: Any, limits: Limits, value: Any, path: str, problems: list[Problem]) -> Mapping[str, Any]:
    if not isinstance(value, Mapping):
        problems.append(Problem(path, f"write an object, not {_show(value)}"))
        return {}
    if limits.max_items is not None and len(value) > limits.max_items:
        problems.append(Problem(path, f"write at most {limits.max_items} entries, not {len(value)}"))
        return {}
    if _too_deep(value):
        problems.append(Problem(path, f"write at most {_MAX_DEPTH} levels of objects and lists"))
        return {}
    problems += (
        Problem(f"{path}.{name}", "add it: it is required")
        for name in limits.schema.get("required", ())
        if not value.get(name) or not isinstance(value[name], _OF_JSON[limits.schema["properties"][name]["type"]])
    )
    if typing.get_args(type_)[1] is str:
        problems += (
            Problem(f"{path}.{name[:_MAX_KEY]}", says)
            for name, one in value.items()
            if (says := _no_text(one, limits.max_length)) is not None
        )
    else:
        problems += _too_long(value, path, limits.max_length or _MAX_TEXT)
    if limits.check is not None:
        problems += (Problem(f"{path}{below}", says) for below, says in limits.check(value))
    return dict(value)


def _no_text(value: Any, most: int | None) -> str | None:
    if not isinstance(value, str):
        return f"write a text in quotes, not {_show(value)}"
    if most is not None and len(value) > most:
        return f"write at most {most} characters, not {len(value)}"
    return None


def _too_deep(value: Any) -> bool:
    """Level by level and not by recursion, which is what the depth is to be kept from."""
    level = [value]
    for _ in range(_MAX_DEPTH):
        level = [inner for one in level for inner in _inside(one)]
        if not level:
            return False
    return True


def _too_long(value: Any, path: str, most: int) -> typing.Iterator[Problem]:
    """Each text of it, names too. What is too deep was refused before."""
    if isinstance(value, str):
        if len(value) > most:
            yield Problem(path, f"write at most {most} characters, not {len(value)}")
    elif isinstance(value, Mapping):
        for name, one in value.items():
            below = f"{path}.{name[:_MAX_KEY]}"
            yield from _too_long(name, below, most)
            yield from _too_long(one, below, most)
    elif isinstance(value, list | tuple):
        for index, one in enumerate(value):
            yield from _too_long(one, f"{path}[{index}]", most)


def _inside(value: Any) -> typing.Iterable[Any]:
    if isinstance(value, Mapping):
        return value.values()
    return value if isinstance(value, list | tuple) else ()


def _scalar(type_: Any, limits: Limits, value: Any, path: str, problems: list[Problem]) -> Any:
    kind = {str: "a text", int: "a whole number", bool: "true or false"}[type_]
    wanted = limits.says or kind
    if not isinstance(value, type_) or (type_ is int and isinstance(value, bool)) or not _within(limits, value):
        problems.append(Problem(path, f"write {wanted}, not {_show(value)}"))
    return value


def _within(limits: Limits, value: Any) -> bool:
    return not (
        (limits.max_length is not None and len(value) > limits.max_length)  # first: a pattern may take its time
        or (limits.pattern is not None and not fields.matches(limits.pattern, value))
        or (limits.minimum is not None and value < limits.minimum)
        or (limits.maximum is not None and value > limits.maximum)
    )


def _hint(limits: Limits) -> str:
    return f", {limits.says}" if limits.says else ""


def _show(value: Any) -> str:
    """Short: it stands in a condition. What may be large or deep is not written out to be cut off then."""
    if isinstance(value, Mapping):
        return "an object"
    if isinstance(value, list | tuple):
        return "a list"
    if isinstance(value, int) and abs(value) > 10**60:
        return "so large a number"
    text = repr(value[:60] if isinstance(value, str) else value)
    return text if len(text) <= 60 else f"{text[:57]}..."
