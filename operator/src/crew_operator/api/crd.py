"""The models of `spec` -> the CustomResourceDefinition. `python -m crew_operator.api.crd` prints it as YAML."""

import ast
import dataclasses
import inspect
import itertools
import sys
import typing
from collections.abc import Mapping
from enum import Enum, EnumMeta
from functools import cache
from typing import Any

import yaml

from crew_operator.api import fields, names
from crew_operator.api import spec as spec_module
from crew_operator.api.fields import FieldInfo, Limits, Rule
from crew_operator.api.spec import Spec
from crew_operator.api.status_schema import STATUS
from crew_runtime.contract.resource import ConditionType

_HEADER = "# Made from operator/src/crew_operator/api by `make crds`; do not edit.\n"

_NAME_RULE = Rule(
    f"size(self.metadata.name) <= {names.MAX_NAME} && self.metadata.name.matches('{names.NAME_PATTERN}')",
    f"the name must have at most {names.MAX_NAME} lower-case letters, digits and '-' and begin with a letter: Services "
    "and pods are called like it",
)


def manifest() -> dict[str, Any]:
    """The CustomResourceDefinition."""
    plural = f"{names.PLURAL}.{names.GROUP}"
    return {
        "apiVersion": "apiextensions.k8s.io/v1",
        "kind": "CustomResourceDefinition",
        "metadata": {"name": plural},
        "spec": {
            "group": names.GROUP,
            "scope": "Namespaced",
            "names": {
                "kind": names.KIND,
                "listKind": f"{names.KIND}List",
                "plural": names.PLURAL,
                "singular": names.SINGULAR,
                "shortNames": list(names.SHORT_NAMES),
                "categories": [names.CATEGORY],
            },
            "versions": [_version()],
        },
    }


def to_yaml() -> str:
    """What stands in crds/crewdeployments.yaml."""
    return _HEADER + yaml.safe_dump(manifest(), sort_keys=False, width=120, allow_unicode=True)


def _version() -> dict[str, Any]:
    return {
        "name": names.VERSION,
        "served": True,
        "storage": True,
        "additionalPrinterColumns": _columns(),
        "subresources": {
            "status": {},
            "scale": {
                "specReplicasPath": ".spec.replicas",
                "statusReplicasPath": ".status.replicas",
                "labelSelectorPath": ".status.selector",
            },
        },
        "schema": {
            "openAPIV3Schema": {
                "description": "A CrewAI crew that runs as replicas which share one memory.",
                "type": "object",
                "required": ["spec"],
                "properties": {
                    "apiVersion": {"type": "string", "description": "crewops.dev/v1alpha1"},
                    "kind": {"type": "string", "description": "CrewDeployment"},
                    "metadata": {"type": "object"},
                    "spec": {"description": _doc(Spec), **_object(Spec)},
                    "status": STATUS,
                },
                "x-kubernetes-validations": [_validation(_NAME_RULE)],
            }
        },
    }


def _columns() -> list[dict[str, Any]]:
    def condition(name: str, type_: ConditionType, *, part: str = "status", priority: int = 0) -> dict[str, Any]:
        path = f'.status.conditions[?(@.type=="{type_.value}")].{part}'
        return {"name": name, "type": "string", "jsonPath": path, "priority": priority}

    return [
        condition("Ready", ConditionType.READY),
        condition("Memory", ConditionType.MEMORY_READY),
        condition("Shared", ConditionType.MEMORY_SHARED),
        {"name": "Replicas", "type": "integer", "jsonPath": ".spec.replicas"},
        {"name": "Up", "type": "integer", "jsonPath": ".status.readyReplicas"},
        condition("Reason", ConditionType.READY, part="reason"),
        {"name": "CrewAI", "type": "string", "jsonPath": ".status.crew.crewaiVersion", "priority": 1},
        {"name": "Endpoint", "type": "string", "jsonPath": ".status.endpoint", "priority": 1},
        {"name": "Age", "type": "date", "jsonPath": ".metadata.creationTimestamp"},
    ]


def _object(model: type) -> dict[str, Any]:
    infos = list(fields.of(model))
    docs = _attribute_docs()[model.__name__]
    properties = {info.name: {"description": docs[info.attribute], **_property(info)} for info in infos}
    schema: dict[str, Any] = {"type": "object", "properties": properties}
    if required := [info.name for info in infos if info.required]:
        schema["required"] = required
    if rules := fields.rules(model):
        schema["x-kubernetes-validations"] = [_validation(rule) for rule in rules]
    return schema


def _property(info: FieldInfo) -> dict[str, Any]:
    schema = _schema(info.type, info.limits)
    default = _default(info)
    return schema if default is None else {**schema, "default": default}


def _schema(type_: Any, limits: Limits) -> dict[str, Any]:
    if dataclasses.is_dataclass(type_):
        return _object(typing.cast("type", type_))
    if isinstance(type_, EnumMeta):
        return {"type": "string", "enum": [str(one.value) for one in typing.cast("type[Enum]", type_)]}
    if typing.get_origin(type_) is tuple:
        item, item_limits = fields.item_of(type_)
        return {"type": "array", "items": _schema(item, item_limits), **_keywords(limits)}
    if typing.get_origin(type_) is Mapping:
        return {"type": "object", **_entries(type_, limits), **limits.schema}
    return {"type": {str: "string", int: "integer", bool: "boolean"}[type_], **_keywords(limits)}


def _entries(type_: Any, limits: Limits) -> dict[str, Any]:
    found: dict[str, Any] = {}
    if limits.max_items is not None:
        found["maxProperties"] = limits.max_items
    if typing.get_args(type_)[1] is str:
        length = {"maxLength": limits.max_length} if limits.max_length is not None else {}
        found["additionalProperties"] = {"type": "string", **length}
    return found


def _keywords(limits: Limits) -> dict[str, Any]:
    found = {
        "pattern": limits.pattern,
        "minimum": limits.minimum,
        "maximum": limits.maximum,
        "maxLength": limits.max_length,
        "maxItems": limits.max_items,
        # An array with uniqueItems is refused in a structural schema; a set is the API server's word for it.
        "x-kubernetes-list-type": "set" if limits.unique else None,
    }
    return {name: value for name, value in found.items() if value is not None} | dict(limits.schema)


def _default(info: FieldInfo) -> Any:
    return None if info.required else _json(info.default)


def _json(value: Any) -> Any:
    """A default as JSON, None when there is nothing to say. Complete to the leaves: the API server checks a default
    against the CEL rules before it fills in the defaults inside of it.
    """
    if isinstance(value, Enum):
        return value.value
    if dataclasses.is_dataclass(value):
        parts = {info.name: _json(getattr(value, info.attribute)) for info in fields.of(type(value))}
        return {name: part for name, part in parts.items() if part is not None}
    if isinstance(value, tuple):
        return [_json(one) for one in value] or None
    return None if value == {} else value


def _validation(rule: Rule) -> dict[str, Any]:
    where = {"fieldPath": f".{rule.at}"} if rule.at else {}
    return {"rule": rule.cel, "message": rule.message, **where}


def _doc(model: type) -> str:
    return " ".join((model.__doc__ or "").split())


@cache
def _attribute_docs() -> dict[str, dict[str, str]]:
    """The docstring below each field of each model: Python drops them, hence read from the source."""
    docs: dict[str, dict[str, str]] = {}
    for node in ast.parse(inspect.getsource(spec_module)).body:
        if isinstance(node, ast.ClassDef):
            docs[node.name] = dict(_docs_of(node.body))
    return docs


def _docs_of(body: list[ast.stmt]) -> typing.Iterator[tuple[str, str]]:
    for statement, after in itertools.pairwise(body):
        if isinstance(statement, ast.AnnAssign) and isinstance(statement.target, ast.Name):
            match after:
                case ast.Expr(value=ast.Constant(value=str(text))):
                    yield statement.target.id, " ".join(text.split())


if __name__ == "__main__":
    sys.stdout.write(to_yaml())
