"""Label and field selectors: text or object -> a predicate over manifests."""

import re
from collections.abc import Callable
from typing import Any

from localcluster.apiserver.status import bad_request

Predicate = Callable[[dict[str, Any]], bool]
_REQUIREMENT = re.compile(
    r"\s*(?:(?P<absent>!)\s*(?P<name0>[\w./-]+)"
    r"|(?P<name1>[\w./-]+)\s+(?P<op>in|notin)\s*\((?P<values>[^)]*)\)"
    r"|(?P<name2>[\w./-]+)\s*(?P<eq>==|=|!=|>|<)\s*(?P<value>[\w./-]*)"
    r"|(?P<name3>[\w./-]+))\s*(?:,|$)"
)


def labels_of(manifest: dict[str, Any]) -> dict[str, str]:
    """The labels, or none."""
    return (manifest.get("metadata") or {}).get("labels") or {}


def by_labels(text: str) -> Predicate:
    """A label selector as in `kubectl -l`: `a=b,c!=d,e in (f,g),h,!i`."""
    tests: list[Callable[[dict[str, str]], bool]] = []
    at = 0
    while at < len(text):
        found = _REQUIREMENT.match(text, at)
        if not found:
            raise bad_request(f"unable to parse requirement: {text[at:]!r}")
        tests.append(_label_test(found))
        at = found.end()
    return lambda manifest: all(test(labels_of(manifest)) for test in tests)


def _label_test(found: re.Match[str]) -> Callable[[dict[str, str]], bool]:
    if found["absent"]:
        return lambda labels: found["name0"] not in labels
    if found["op"]:
        values = {value.strip() for value in found["values"].split(",")}
        if found["op"] == "in":
            return lambda labels: labels.get(found["name1"]) in values
        return lambda labels: labels.get(found["name1"]) not in values
    if found["eq"]:
        name, operator, value = found["name2"], found["eq"], found["value"]
        if operator == "!=":
            return lambda labels: labels.get(name) != value
        if operator in "<>":
            return lambda labels: _compares(labels.get(name), operator, value)
        return lambda labels: labels.get(name) == value
    return lambda labels: found["name3"] in labels


def _compares(have: str | None, operator: str, value: str) -> bool:
    try:
        return have is not None and (int(have) > int(value) if operator == ">" else int(have) < int(value))
    except ValueError:
        return False


def by_selector(selector: dict[str, Any] | None) -> Predicate:
    """A `LabelSelector` object. None selects nothing, an empty one everything."""
    if selector is None:
        return lambda manifest: False
    wanted = selector.get("matchLabels") or {}
    expressions = selector.get("matchExpressions") or ()

    def matches(manifest: dict[str, Any]) -> bool:
        labels = labels_of(manifest)
        return all(labels.get(key) == value for key, value in wanted.items()) and all(
            _expression(labels, one) for one in expressions
        )

    return matches


def _expression(labels: dict[str, str], one: dict[str, Any]) -> bool:
    have = labels.get(one["key"])
    match one["operator"]:
        case "In":
            return have in one.get("values", ())
        case "NotIn":
            return have not in one.get("values", ())
        case "Exists":
            return one["key"] in labels
        case _:
            return one["key"] not in labels


def by_fields(text: str) -> Predicate:
    """A field selector as in `kubectl --field-selector`: `metadata.name=a,status.phase!=Running`."""
    tests: list[tuple[list[str], bool, str]] = []
    for part in filter(None, text.split(",")):
        found = re.fullmatch(r"\s*([\w.\[\]/-]+?)\s*(==|=|!=)\s*(.*?)\s*", part)
        if not found:
            raise bad_request(f"invalid field selector {part!r}")
        tests.append((found[1].split("."), found[2] != "!=", found[3]))

    def matches(manifest: dict[str, Any]) -> bool:
        return all((_field(manifest, path) == value) is equal for path, equal, value in tests)

    return matches


def _field(manifest: Any, path: list[str]) -> str:
    for part in path:
        manifest = manifest.get(part) if isinstance(manifest, dict) else None
    if isinstance(manifest, bool):
        return str(manifest).lower()
    return "" if manifest is None else str(manifest)
