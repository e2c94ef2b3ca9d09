"""The vocabulary in which `spec` declares a field once, for both the parser and the CRD."""

import dataclasses
import functools
import re
import types
import typing
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, field
from typing import Any


@dataclass(frozen=True)
class Limits:
    """What a value must be beyond its type. Rides in `Annotated`."""

    says: str = ""
    """In words, to end "write ...": `a duration such as 30m or 720h`."""
    pattern: str | None = None
    minimum: int | None = None
    maximum: int | None = None
    max_length: int | None = None
    """Characters of a text; of an object of any shape, each text in it."""
    max_items: int | None = None
    """Items of a list, entries of an object."""
    unique: bool = False
    """No item of a list twice."""
    schema: Mapping[str, Any] = field(default_factory=dict, hash=False)
    """More OpenAPI keywords, as they are."""
    check: Callable[[Any], Iterator[tuple[str, str]]] | None = None
    """What the type and the schema cannot say: gives (path below the field, what to write) for all that is wrong."""


@dataclass(frozen=True)
class Named:
    """The field's JSON name, where it is not the camelCase of its own. Rides in `Annotated`."""

    name: str


@dataclass(frozen=True)
class Rule:
    """What must hold between the fields of one object, or between its old and new self."""

    cel: str
    message: str
    holds: Callable[[Any], bool] | None = None
    """The same in Python, for servers without CEL; None for a rule on `oldSelf`."""
    at: str = ""
    """JSON name of the field that the problem is shown at."""


@dataclass(frozen=True)
class FieldInfo:
    """One field of a model, taken apart."""

    attribute: str
    name: str
    """In JSON."""
    type: Any
    """Without Annotated and without `| None`."""
    limits: Limits
    default: Any
    """dataclasses.MISSING when the field is required."""

    @property
    def required(self) -> bool:
        """A spec without it is refused."""
        return self.default is dataclasses.MISSING


def matches(pattern: str, text: str) -> bool:
    """As the API server has it: to Python alone `$` is also what comes before a newline at the end."""
    return _compiled(pattern).search(text) is not None


@functools.cache
def _compiled(pattern: str) -> re.Pattern[str]:
    return re.compile(f"{pattern[:-1]}\\Z" if pattern.endswith("$") else pattern)


def camel(name: str) -> str:
    """`kickoff_timeout` -> `kickoffTimeout`."""
    head, *tail = name.split("_")
    return head + "".join(word.capitalize() for word in tail)


def one_of(first: str, second: str) -> Rule:
    """Exactly one of two attributes is set."""
    names = camel(first), camel(second)
    return Rule(
        f"has(self.{names[0]}) != has(self.{names[1]})",
        f"set one of {names[0]} and {names[1]}",
        lambda made: (getattr(made, first) is None) != (getattr(made, second) is None),
    )


def of(model: type) -> Iterator[FieldInfo]:
    """The fields of a model in their order."""
    hints = typing.get_type_hints(model, include_extras=True)
    for one in dataclasses.fields(model):
        type_, extras = _unwrap(hints[one.name])
        limits = next((extra for extra in extras if isinstance(extra, Limits)), Limits())
        named = next((extra.name for extra in extras if isinstance(extra, Named)), camel(one.name))
        default = one.default_factory() if one.default_factory is not dataclasses.MISSING else one.default
        yield FieldInfo(one.name, named, type_, limits, default)


def rules(model: type) -> tuple[Rule, ...]:
    """The rules that a model declares as `RULES`."""
    return typing.cast("tuple[Rule, ...]", getattr(model, "RULES", ()))


def item_of(sequence: Any) -> tuple[Any, Limits]:
    """Item type and item limits of `tuple[X, ...]`."""
    type_, extras = _unwrap(typing.get_args(sequence)[0])
    return type_, next((extra for extra in extras if isinstance(extra, Limits)), Limits())


def _unwrap(hint: Any) -> tuple[Any, tuple[Any, ...]]:
    """Takes `Annotated` and `| None` off, whatever their nesting."""
    extras: tuple[Any, ...] = ()
    while True:
        origin = typing.get_origin(hint)
        if origin is typing.Annotated:
            hint, *more = typing.get_args(hint)
            extras += tuple(more)
        elif origin in (types.UnionType, typing.Union):
            (hint,) = (one for one in typing.get_args(hint) if one is not type(None))
        else:
            return hint, extras
