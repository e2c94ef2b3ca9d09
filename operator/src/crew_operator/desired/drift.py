"""Is a live object what we want it to be? Decided without a request, so that a pass with nothing to do makes none."""

from collections.abc import Mapping, Sequence
from copy import deepcopy
from typing import Any

from crew_operator.api import names, quantities
from crew_operator.desired import metadata
from crew_operator.desired.metadata import Manifest

_WHOLE = frozenset({"selector", "podSelector", "namespaceSelector"})
"""Maps that server-side apply owns as a whole (`x-kubernetes-map-type: atomic`): a key that somebody added is ours to
take away, and has to be, since a selector with one more selects nothing."""

_STRATEGIES = {"StatefulSet": "updateStrategy", "Deployment": "strategy"}


def stamped(manifest: Manifest) -> Manifest:
    """The manifest with the hash of itself: by it a field that we dropped since is noticed."""
    stamp = metadata.checksum(_without_values(manifest))
    made = deepcopy(manifest)
    made["metadata"].setdefault("annotations", {})[names.APPLIED_ANNOTATION] = stamp
    return made


def drifted(wanted: Manifest, live: Mapping[str, Any] | None) -> bool:
    """True when `live` is missing, or lacks or contradicts a field of `wanted` (which is stamped).

    Fields that others added are theirs, as they are to server-side apply; what it takes as a whole is compared so.
    """
    if live is None:
        return True
    return not holds(_listed(wanted), live)


def changed_by_others(wanted: Manifest, live: Mapping[str, Any]) -> str:
    """Path of a field of ours that somebody else changed since we applied the same; empty where that is not what
    happened. Of a Secret nothing is said: its stamp does not cover its values, which others may change.
    """
    if wanted["kind"] == "Secret" or _stamp(wanted) != _stamp(live):
        return ""
    path = _difference(_listed(wanted), live)
    if not path and foreign_settings(wanted, live) is not None:
        return f".spec.template.spec.containers.env {names.RESERVED_ENV_PREFIX}*"
    return path


def _listed(manifest: Manifest) -> Manifest:
    """As an item of a list, which comes without these two."""
    return {name: value for name, value in manifest.items() if name not in ("apiVersion", "kind")}


def _stamp(manifest: Mapping[str, Any]) -> Any:
    return (manifest["metadata"].get("annotations") or {}).get(names.APPLIED_ANNOTATION)


def _difference(wanted: Any, live: Any) -> str:
    """Path of the first field that does not hold."""
    if isinstance(wanted, Mapping):
        there = live if isinstance(live, Mapping) else {}
        for name, value in wanted.items():
            if not _field_holds(name, value, there.get(name)):
                return f".{name}{_difference(value, there.get(name))}"
    elif isinstance(wanted, Sequence) and not isinstance(wanted, str) and not _list_holds(wanted, live or []):
        by_name = {one["name"]: one for one in live or () if _is_named(one)}
        for one in wanted:
            if _is_named(one) and not holds(one, by_name.get(one["name"])):
                return f"[{one['name']}]{_difference(one, by_name.get(one['name']))}"
    return ""


def holds(wanted: Any, live: Any) -> bool:
    """True when `live` has every field that `wanted` has, with the same value up to the API server's own rewriting."""
    if isinstance(wanted, Mapping):
        if live is None:
            live = {}  # the API server drops empty objects
        return isinstance(live, Mapping) and all(
            _field_holds(name, value, live.get(name)) for name, value in wanted.items()
        )
    if isinstance(wanted, Sequence) and not isinstance(wanted, str):
        return isinstance(live or [], Sequence) and _list_holds(wanted, live or [])
    return _same(wanted, live)


def _field_holds(name: str, wanted: Any, live: Any) -> bool:
    return holds(wanted, live) and (name not in _WHOLE or holds(live, wanted))


def foreign_ports(wanted: Manifest, live: Mapping[str, Any]) -> bool:
    """True when a Service has ports that are not ours. To apply leaves them: they are another's, told apart by number,
    and one that has our port's name makes the API server refuse ours. The list has to be replaced as a whole.
    """
    if wanted["kind"] != "Service":
        return False
    ours = {one["port"] for one in wanted["spec"]["ports"]}
    return any(one["port"] not in ours for one in live.get("spec", {}).get("ports", []))


def foreign_settings(wanted: Manifest, live: Mapping[str, Any]) -> dict[str, Any] | None:
    """The strategic merge patch that takes away variables which somebody added and the runtime would obey; None when
    there are none. To apply leaves them, as what others added is theirs; but these names are the operator's.
    """
    if wanted["kind"] != "Deployment":
        return None
    found: dict[str, Any] = {}
    for field in ("initContainers", "containers"):
        there = {one.get("name"): one for one in _containers(live, field)}
        pruned = [
            {"name": one["name"], "env": [{"name": name, "$patch": "delete"} for name in names_]}
            for one in _containers(wanted, field)
            if (names_ := _added(one, there.get(one["name"]) or {}))
        ]
        if pruned:
            found[field] = pruned
    return {"spec": {"template": {"spec": found}}} if found else None


def other_strategy(wanted: Manifest, live: Mapping[str, Any]) -> dict[str, Any] | None:
    """The merge patch that makes the update strategy of a StatefulSet or Deployment one without settings; None when it
    is that already. To apply leaves the settings of the one before, which the API server has filled in, and then
    refuses them.
    """
    field = _STRATEGIES.get(wanted["kind"], "")
    strategy = wanted["spec"].get(field) if field else None
    there = live.get("spec", {}).get(field) or {}
    if strategy is None or strategy["type"] == there.get("type") or "rollingUpdate" not in there:
        return None
    return {"spec": {field: {**strategy, "rollingUpdate": None}}}


def _containers(manifest: Mapping[str, Any], field: str) -> Sequence[Any]:
    return manifest.get("spec", {}).get("template", {}).get("spec", {}).get(field) or ()


def _added(wanted: Mapping[str, Any], live: Mapping[str, Any]) -> list[str]:
    ours = {one["name"] for one in wanted.get("env") or ()}
    there = (str(one.get("name")) for one in live.get("env") or ())
    return [one for one in there if one.startswith(names.RESERVED_ENV_PREFIX) and one not in ours]


def _without_values(manifest: Manifest) -> Manifest:
    """A Secret's hash is made of its keys alone: an annotation is no place for anything derived from a password."""
    if manifest["kind"] != "Secret":
        return manifest
    return {**manifest, "data": sorted(manifest["data"])}


def _list_holds(wanted: Sequence[Any], live: Sequence[Any]) -> bool:
    """By name where every item has one, since others may add theirs; else item by item."""
    if wanted and all(_is_named(one) and "mountPath" not in one for one in wanted):
        by_name = {one["name"]: one for one in live if _is_named(one)}
        return all(holds(one, by_name.get(one["name"])) for one in wanted)
    return len(wanted) == len(live) and all(holds(one, other) for one, other in zip(wanted, live, strict=True))


def _is_named(item: Any) -> bool:
    return isinstance(item, Mapping) and isinstance(item.get("name"), str)


def _same(wanted: Any, live: Any) -> bool:
    """The API server drops empty texts and false, and rewrites quantities: 1024Mi comes back as 1Gi."""
    if wanted == live or (live is None and wanted in ("", False)):
        return True
    if isinstance(wanted, bool) or isinstance(live, bool):
        return False
    try:
        return quantities.quantity(wanted) == quantities.quantity(live)
    except ValueError:
        return False
