"""What an object must keep to: a custom resource by its schema, a built-in kind by the rules that its users meet.

(old object or None, new object) -> causes, in Kubernetes' words.
"""

import json
import re
from collections.abc import Iterator, Mapping, Sequence
from typing import Any

from localcluster.apiserver import fields, quantity, schema, selectors
from localcluster.apiserver.cel import shown
from localcluster.apiserver.kinds import Resource
from localcluster.apiserver.schema import Node
from localcluster.apiserver.status import Cause

Manifest = dict[str, Any]
_SUBDOMAIN = re.compile(r"[a-z0-9]([-a-z0-9]*[a-z0-9])?(\.[a-z0-9]([-a-z0-9]*[a-z0-9])?)*")
_LABEL = re.compile(r"[a-z0-9]([-a-z0-9]*[a-z0-9])?")
_LABEL_VALUE = re.compile(r"(([A-Za-z0-9][-A-Za-z0-9_.]*)?[A-Za-z0-9])?")
_SUBDOMAIN_RULE = (
    "a lowercase RFC 1123 subdomain must consist of lower case alphanumeric characters, '-' or '.', and must start and"
    " end with an alphanumeric character (e.g. 'example.com', regex used for validation is"
    " '[a-z0-9]([-a-z0-9]*[a-z0-9])?(\\.[a-z0-9]([-a-z0-9]*[a-z0-9])?)*')"
)
_STATEFULSET_MUTABLE = {
    "replicas", "ordinals", "template", "updateStrategy", "revisionHistoryLimit",
    "persistentVolumeClaimRetentionPolicy", "minReadySeconds",
}  # fmt: skip


def by_schema(node: Node, value: Any, at: str = "") -> Iterator[Cause]:
    """What a custom resource's schema forbids: types, required fields, enums, limits, patterns, formats."""
    if value is None and node.get("nullable"):
        return
    if ("type" in node or node.get("x-kubernetes-int-or-string")) and not schema.matches_type(node, value):
        wanted = node.get("type", "integer,string")
        have = schema.type_of(value)
        yield Cause(
            at, f'Invalid value: "{have}": {at} in body must be of type {wanted}: "{have}"', "FieldValueTypeInvalid"
        )
        return
    if "enum" in node and value not in node["enum"]:
        choices = ", ".join(shown(one) for one in node["enum"])
        yield Cause(at, f"Unsupported value: {shown(value)}: supported values: {choices}", "FieldValueNotSupported")
    if isinstance(value, dict):
        yield from _object(node, value, at)
    elif isinstance(value, list):
        yield from _list(node, value, at)
    elif isinstance(value, str):
        yield from _string(node, value, at)
    elif isinstance(value, (int, float)) and not isinstance(value, bool):
        yield from _number(node, value, at)


def _object(node: Node, value: dict[str, Any], at: str) -> Iterator[Cause]:
    for key in node.get("required") or ():
        if key not in value:
            yield Cause(f"{at}.{key}" if at else key, "Required value", "FieldValueRequired")
    if len(value) > node.get("maxProperties", len(value)):
        yield Cause(at, f"Too many: {len(value)}: must have at most {node['maxProperties']} items", "FieldValueTooMany")
    if len(value) < node.get("minProperties", 0):
        yield Cause(
            at, f"Invalid value: {len(value)}: {at} in body should have at least {node['minProperties']} properties"
        )
    for key, inner in value.items():
        known = key in (node.get("properties") or {})
        if known or isinstance(node.get("additionalProperties"), Mapping):
            yield from by_schema(schema.child(node, key), inner, f"{at}.{key}" if at else key)


def _list(node: Node, value: list[Any], at: str) -> Iterator[Cause]:
    if len(value) > node.get("maxItems", len(value)):
        yield Cause(at, f"Too many: {len(value)}: must have at most {node['maxItems']} items", "FieldValueTooMany")
    if len(value) < node.get("minItems", 0):
        yield Cause(at, f"Invalid value: {len(value)}: {at} in body should have at least {node['minItems']} items")
    for index, inner in enumerate(value):
        yield from by_schema(schema.items(node), inner, f"{at}[{index}]")
    if schema.map_keys(node) or schema.is_set(node):
        seen: set[str] = set()
        for index, inner in enumerate(value):
            name = fields.element(node, inner)
            if name in seen:
                yield Cause(f"{at}[{index}]", f"Duplicate value: {name[2:]}", "FieldValueDuplicate")
            seen.add(name)


def _string(node: Node, value: str, at: str) -> Iterator[Cause]:
    if len(value) > node.get("maxLength", len(value)):
        yield Cause(at, f"Too long: may not be more than {node['maxLength']} bytes", "FieldValueTooLong")
    if len(value) < node.get("minLength", 0):
        yield Cause(at, f'Invalid value: "{value}": {at} in body should be at least {node["minLength"]} chars long')
    if "pattern" in node and not re.search(node["pattern"], value):
        yield Cause(at, f"Invalid value: \"{value}\": {at} in body should match '{node['pattern']}'")
    if "format" in node and not schema.matches_format(node["format"], value):
        yield Cause(at, f'Invalid value: "{value}": {at} in body must be of type {node["format"]}: "{value}"')


def _number(node: Node, value: float, at: str) -> Iterator[Cause]:
    if "minimum" in node:
        least, strict = node["minimum"], node.get("exclusiveMinimum")
        if value < least or (strict and value == least):
            words = "greater than" if strict else "greater than or equal to"
            yield Cause(at, f"Invalid value: {value}: {at} in body should be {words} {least}")
    if "maximum" in node:
        most, strict = node["maximum"], node.get("exclusiveMaximum")
        if value > most or (strict and value == most):
            words = "less than" if strict else "less than or equal to"
            yield Cause(at, f"Invalid value: {value}: {at} in body should be {words} {most}")
    if "multipleOf" in node and value % node["multipleOf"]:
        yield Cause(at, f"Invalid value: {value}: {at} in body should be a multiple of {node['multipleOf']}")


def metadata(manifest: Manifest) -> Iterator[Cause]:
    """Names and labels of any object."""
    about = manifest["metadata"]
    name = about.get("name", "")
    strict_name = manifest["kind"] not in ("ClusterRole", "ClusterRoleBinding", "Role", "RoleBinding")
    if strict_name and (not _SUBDOMAIN.fullmatch(name) or len(name) > 253):
        yield Cause("metadata.name", f'Invalid value: "{name}": {_SUBDOMAIN_RULE}')
    for key, value in (about.get("labels") or {}).items():
        if not isinstance(value, str) or len(value) > 63 or not _LABEL_VALUE.fullmatch(value):
            yield Cause(
                "metadata.labels",
                f"Invalid value: {shown(value)}: a valid label must be an empty string or "
                "consist of alphanumeric characters, '-', '_' or '.', and must start and end with an "
                "alphanumeric character, at most 63 of them",
            )
        if not key or len(key.rpartition("/")[2]) > 63:
            yield Cause("metadata.labels", f'Invalid value: "{key}": name part must be 1 to 63 characters')


def builtin(resource: Resource, old: Manifest | None, new: Manifest) -> list[Cause]:
    """The rules of a built-in kind."""
    check = _BUILTIN.get(resource.plural)
    return [] if check is None else list(check(old, new))


def _required(value: Any, at: str) -> Iterator[Cause]:
    if not value:
        yield Cause(at, "Required value", "FieldValueRequired")


def _immutable(value: Any, at: str) -> Cause:
    return Cause(at, f"Invalid value: {shown(value)}: field is immutable")


def _pod_spec(spec: Manifest, at: str, claims: Sequence[str] = ()) -> Iterator[Cause]:
    yield from _required(spec.get("containers"), f"{at}.containers")
    volumes = {*claims, *(volume.get("name") for volume in spec.get("volumes") or ())}
    names: set[str] = set()
    for group in ("initContainers", "containers"):
        for index, container in enumerate(spec.get(group) or ()):
            here = f"{at}.{group}[{index}]"
            name = container.get("name")
            yield from _required(name, f"{here}.name")
            yield from _required(container.get("image"), f"{here}.image")
            if name and not _LABEL.fullmatch(name):
                yield Cause(
                    f"{here}.name",
                    f'Invalid value: "{name}": a lowercase RFC 1123 label must consist of lower'
                    " case alphanumeric characters or '-'",
                )
            if name in names:
                yield Cause(f"{here}.name", f'Duplicate value: "{name}"', "FieldValueDuplicate")
            names.add(name or "")
            for number, mount in enumerate(container.get("volumeMounts") or ()):
                if mount.get("name") not in volumes:
                    where = f"{here}.volumeMounts[{number}].name"
                    yield Cause(where, f'Not found: "{mount.get("name")}"', "FieldValueNotFound")
            yield from _resources(container.get("resources") or {}, f"{here}.resources")


def _resources(resources: Manifest, at: str) -> Iterator[Cause]:
    for part in ("limits", "requests"):
        for name, amount in (resources.get(part) or {}).items():
            try:
                quantity.parse(amount)
            except ValueError as error:
                yield Cause(f"{at}.{part}[{name}]", f'Invalid value: "{amount}": {error}')


def _pod(old: Manifest | None, new: Manifest) -> Iterator[Cause]:
    if old is None:
        yield from _pod_spec(new.get("spec") or {}, "spec")
        return

    def fixed(spec: Manifest) -> Manifest:
        kept = {
            key: value
            for key, value in spec.items()
            if key not in ("activeDeadlineSeconds", "tolerations", "nodeName", "terminationGracePeriodSeconds")
        }
        for group in ("initContainers", "containers"):
            kept[group] = [{k: v for k, v in one.items() if k != "image"} for one in spec.get(group) or ()]
        return kept

    if fixed(old["spec"]) != fixed(new["spec"]):
        yield Cause(
            "spec",
            "Forbidden: pod updates may not change fields other than `spec.containers[*].image`,"
            "`spec.initContainers[*].image`,`spec.activeDeadlineSeconds`,`spec.tolerations` (only additions to"
            " existing tolerations),`spec.terminationGracePeriodSeconds` (allow it to be set to 1 if it was"
            " previously negative)",
            "FieldValueForbidden",
        )


def _claim_names(spec: Manifest) -> list[str]:
    """Volumes that a StatefulSet gives each pod."""
    return [str(one["metadata"].get("name")) for one in spec.get("volumeClaimTemplates") or ()]


def _workload(old: Manifest | None, new: Manifest) -> Iterator[Cause]:
    spec = new.get("spec") or {}
    selector = spec.get("selector")
    yield from _required(selector, "spec.selector")
    template = spec.get("template") or {}
    if selector and not selectors.by_selector(selector)(template):
        labels = template.get("metadata", {}).get("labels") or {}
        yield Cause(
            "spec.template.metadata.labels",
            f"Invalid value: {json.dumps(labels, separators=(',', ':'))}: `selector` does not match template `labels`",
        )
    yield from _pod_spec(template.get("spec") or {}, "spec.template.spec", _claim_names(spec))
    if spec.get("replicas", 1) < 0:
        yield Cause("spec.replicas", f"Invalid value: {spec['replicas']}: must be greater than or equal to 0")
    if old is not None and old["spec"].get("selector") != selector:
        yield _immutable(selector, "spec.selector")


def _stateful_set(old: Manifest | None, new: Manifest) -> Iterator[Cause]:
    strategy = (new.get("spec") or {}).get("updateStrategy") or {}
    if strategy.get("type") == "OnDelete" and strategy.get("rollingUpdate") is not None:
        value = json.dumps(strategy["rollingUpdate"], separators=(",", ":"))
        yield Cause(
            "spec.updateStrategy.rollingUpdate",
            f"Invalid value: {value}: only allowed for updateStrategy 'RollingUpdate'",
        )
    if old is None:
        yield from _workload(None, new)
        return
    before, after = old["spec"], new["spec"]
    if any(before.get(key) != after.get(key) for key in {*before, *after} - _STATEFULSET_MUTABLE):
        yield Cause(
            "spec",
            "Forbidden: updates to statefulset spec for fields other than 'replicas', 'ordinals',"
            " 'template', 'updateStrategy', 'revisionHistoryLimit', 'persistentVolumeClaimRetentionPolicy' and"
            " 'minReadySeconds' are forbidden",
            "FieldValueForbidden",
        )
    yield from _pod_spec(after["template"].get("spec") or {}, "spec.template.spec", _claim_names(after))


def _service(old: Manifest | None, new: Manifest) -> Iterator[Cause]:
    spec = new.get("spec") or {}
    if spec.get("clusterIP") != "None" and spec.get("type") != "ExternalName":
        yield from _required(spec.get("ports"), "spec.ports")
    ports = spec.get("ports") or ()
    for index, port in enumerate(ports):
        if len(ports) > 1:
            yield from _required(port.get("name"), f"spec.ports[{index}].name")
        if not 1 <= port.get("port", 0) <= 65535:
            yield Cause(
                f"spec.ports[{index}].port",
                f"Invalid value: {port.get('port', 0)}: must be between 1 and 65535, inclusive",
            )
    if old is not None and old["spec"].get("clusterIP") and old["spec"]["clusterIP"] != spec.get("clusterIP"):
        yield Cause("spec.clusterIPs[0]", f'Invalid value: ["{spec.get("clusterIP")}"]: may not change once set')


def _claim(old: Manifest | None, new: Manifest) -> Iterator[Cause]:
    spec = new.get("spec") or {}
    wanted = ((spec.get("resources") or {}).get("requests") or {}).get("storage")
    yield from _required(spec.get("accessModes"), "spec.accessModes")
    yield from _required(wanted, "spec.resources[storage]")
    yield from _resources(spec.get("resources") or {}, "spec.resources")
    if old is None or not wanted:
        return
    before = old["spec"]
    fixed = {*before, *spec} - {"resources", "volumeName", "volumeAttributesClassName"}
    if any(before.get(key) != spec.get(key) for key in fixed):
        yield Cause(
            "spec",
            "Forbidden: spec is immutable after creation except resources.requests and"
            " volumeAttributesClassName for bound claims",
            "FieldValueForbidden",
        )
    if quantity.parse(wanted) < quantity.parse(before["resources"]["requests"]["storage"]):
        yield Cause(
            "spec.resources.requests.storage",
            "Forbidden: field can not be less than status.capacity",
            "FieldValueForbidden",
        )


def _data(old: Manifest | None, new: Manifest) -> Iterator[Cause]:
    if old is None:
        return
    if new["kind"] == "Secret" and old.get("type") != new.get("type"):
        yield _immutable(new.get("type"), "type")
    changed = any(old.get(key) != new.get(key) for key in ("data", "binaryData"))
    if old.get("immutable") and (changed or not new.get("immutable")):
        yield Cause("data", "Forbidden: field is immutable when `immutable` is set", "FieldValueForbidden")


def _crd(old: Manifest | None, new: Manifest) -> Iterator[Cause]:
    spec = new.get("spec") or {}
    names = spec.get("names") or {}
    for key in ("group", "scope", "versions"):
        yield from _required(spec.get(key), f"spec.{key}")
    for key in ("plural", "kind"):
        yield from _required(names.get(key), f"spec.names.{key}")
    wanted = f"{names.get('plural')}.{spec.get('group')}"
    if new["metadata"]["name"] != wanted:
        yield Cause(
            "metadata.name", f'Invalid value: "{new["metadata"]["name"]}": must be spec.names.plural+"."+spec.group'
        )
    if sum(bool(version.get("storage")) for version in spec.get("versions") or ()) != 1:
        yield Cause("spec.versions", "Invalid value: must have exactly one version marked as storage version")
    for index, version in enumerate(spec.get("versions") or ()):
        if not (version.get("schema") or {}).get("openAPIV3Schema"):
            yield Cause(
                f"spec.versions[{index}].schema.openAPIV3Schema",
                "Required value: schemas are required",
                "FieldValueRequired",
            )


_BUILTIN = {
    "pods": _pod,
    "deployments": _workload,
    "replicasets": _workload,
    "statefulsets": _stateful_set,
    "services": _service,
    "persistentvolumeclaims": _claim,
    "secrets": _data,
    "configmaps": _data,
    "customresourcedefinitions": _crd,
}
