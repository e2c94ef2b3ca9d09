"""A CrewDeployment as the API server gives it -> the frozen model, or all that is wrong with it at once."""

import dataclasses
import re
import typing
from collections.abc import Mapping
from enum import Enum, EnumMeta
from typing import Any

from crew_operator.api import fields, names
from crew_operator.api.fields import FieldInfo, Limits
from crew_operator.api.spec import CrewDeployment, Spec
from crew_operator.errors import InvalidSpecError, Problem

_MISSING = object()
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
    if len(name) > names.MAX_NAME or re.search(names.NAME_PATTERN, name) is None:
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
        return _sequence(type_, value, path, problems)
    if origin is Mapping or type_ is Mapping:
        return _mapping(type_, limits, value, path, problems)
    return _scalar(type_, limits, value, path, problems)


def _choice(choices: type[Enum], value: Any, path: str, problems: list[Problem]) -> Any:
    words = [str(one.value) for one in choices]
    if value not in words:
        problems.append(Problem(path, f"write {' or '.join(words)}, not {_show(value)}"))
        return None
    return choices(value)


def _sequence(type_: Any, value: Any, path: str, problems: list[Problem]) -> tuple[Any, ...]:
    if not isinstance(value, list | tuple):
        problems.append(Problem(path, f"write a list, not {_show(value)}"))
        return ()
    item, limits = fields.item_of(type_)
    return tuple(_value(item, limits, one, f"{path}[{index}]", problems) for index, one in enumerate(value))


def _mapping(type_: Any, limits: Limits, value: Any, path: str, problems: list[Problem]) -> Mapping[str, Any]:
    if not isinstance(value, Mapping):
        problems.append(Problem(path, f"write an object, not {_show(value)}"))
        return {}
    problems += (
        Problem(f"{path}.{name}", "add it: it is required")
        for name in limits.schema.get("required", ())
        if not value.get(name) or not isinstance(value[name], _OF_JSON[limits.schema["properties"][name]["type"]])
    )
    if typing.get_args(type_)[1] is str:
        problems += (
            Problem(f"{path}.{name}", f"write a text in quotes, not {_show(one)}")
            for name, one in value.items()
            if not isinstance(one, str)
        )
    return dict(value)


def _scalar(type_: Any, limits: Limits, value: Any, path: str, problems: list[Problem]) -> Any:
    kind = {str: "a text", int: "a whole number", bool: "true or false"}[type_]
    wanted = limits.says or kind
    if not isinstance(value, type_) or (type_ is int and isinstance(value, bool)) or not _within(limits, value):
        problems.append(Problem(path, f"write {wanted}, not {_show(value)}"))
    return value


def _within(limits: Limits, value: Any) -> bool:
    return not (
        (limits.pattern is not None and re.search(limits.pattern, value) is None)
        or (limits.max_length is not None and len(value) > limits.max_length)
        or (limits.minimum is not None and value < limits.minimum)
        or (limits.maximum is not None and value > limits.maximum)
    )


def _hint(limits: Limits) -> str:
    return f", {limits.says}" if limits.says else ""


def _show(value: Any) -> str:
    text = repr(value)
    return text if len(text) <= 60 else f"{text[:57]}..."
