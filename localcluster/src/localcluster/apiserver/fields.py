"""Which fields a value has, which differ between two values, and how Kubernetes writes such sets down (`fieldsV1`).

A path is a tuple of `f:<field>`, `k:<json of the item's keys>` and `v:<json of a set's value>`, as in `fieldsV1`.
"""

import functools
import json
from collections.abc import Iterable
from typing import Any

from localcluster.apiserver import schema
from localcluster.apiserver.schema import Node

Path = tuple[str, ...]
_TRACKED_METADATA = ("labels", "annotations", "finalizers", "ownerReferences", "generateName")


def tracked(manifest: dict[str, Any]) -> dict[str, Any]:
    """The part of an object that has owners: all but its identity and what the server itself writes."""
    metadata = manifest.get("metadata") or {}
    kept = {key: value for key, value in manifest.items() if key not in ("apiVersion", "kind", "metadata")}
    owned_metadata = {key: metadata[key] for key in _TRACKED_METADATA if key in metadata}
    return {**kept, "metadata": owned_metadata} if owned_metadata else kept


@functools.lru_cache(maxsize=4096)
def _key_element(key: tuple[tuple[str, Any], ...]) -> str:
    return "k:" + json.dumps(dict(key), separators=(",", ":"), sort_keys=True)


def element(node: Node, item: Any) -> str:
    """How an item of an associative list or of a set is called within a path."""
    if schema.map_keys(node):
        key = schema.item_key(node, item)
        try:
            return _key_element(key)
        except TypeError:  # not hashable: somebody wrote an object where the key belongs, which the schema tells
            return _key_element.__wrapped__(key)
    return "v:" + json.dumps(item, separators=(",", ":"), sort_keys=True)


def granular(node: Node, value: Any) -> bool:
    """Whether parts of `value` may have different owners."""
    if isinstance(value, dict):
        return not schema.is_atomic_map(node)
    return isinstance(value, list) and bool(schema.map_keys(node) or schema.is_set(node))


def parts(node: Node, value: Any) -> dict[str, tuple[Node, Any]]:
    """The parts of a granular value by path element, each with its schema."""
    if isinstance(value, dict):
        return {f"f:{key}": (schema.child(node, key), inner) for key, inner in value.items()}
    inner_node = schema.items(node)
    return {element(node, item): (inner_node, item) for item in value}


def owned(node: Node, value: Any, at: Path = ()) -> set[Path]:
    """Every path that an owner of all of `value` owns."""
    if not granular(node, value):
        return {at}
    found: set[Path] = set()
    if at and (not value or isinstance(value, list) or at[-1][0] == "k"):
        found.add(at)
    for name, (inner_node, inner) in parts(node, value).items():
        found |= {(*at, name)} if name[0] == "v" else owned(inner_node, inner, (*at, name))
    if isinstance(value, list) and value:
        found.discard(at)  # an associative list is owned through its items
    return found


def difference(node: Node, old: Any, new: Any, at: Path = ()) -> tuple[set[Path], set[Path]]:
    """Paths that `new` adds or changes, and paths (with all below them) that it has no more."""
    if type(old) is type(new) and old == new:
        return set(), set()
    if not (granular(node, old) and granular(node, new) and type(old) is type(new)):
        return owned(node, new, at), ({at} if granular(node, old) else set())
    changed: set[Path] = set()
    removed: set[Path] = set()
    before, after = parts(node, old), parts(node, new)
    for name, (inner_node, inner) in after.items():
        where = (*at, name)
        if name not in before:
            changed |= {where} if name[0] == "v" else owned(inner_node, inner, where)
        elif name[0] != "v":
            more, less = difference(inner_node, before[name][1], inner, where)
            changed |= more
            removed |= less
    removed |= {(*at, name) for name in before if name not in after}
    return changed, removed


def below(paths: Iterable[Path], roots: set[Path]) -> set[Path]:
    """Those of `paths` that are one of `roots`, or lie below one."""
    if not roots:
        return set()
    depths = {len(root) for root in roots}
    return {path for path in paths if any(path[:depth] in roots for depth in depths if depth <= len(path))}


def find(node: Node, value: Any, path: Path) -> tuple[bool, Any]:
    """Whether `value` has something at `path`, and what."""
    for name in path:
        if isinstance(value, dict) and name[0] == "f":
            key = name[2:]
            if key not in value:
                return False, None
            node, value = schema.child(node, key), value[key]
        elif isinstance(value, list) and name[0] in "kv":
            for item in value:
                if element(node, item) == name:
                    node, value = schema.items(node), item
                    break
            else:
                return False, None
        else:
            return False, None
    return True, value


def to_v1(paths: Iterable[Path]) -> dict[str, Any]:
    """The paths as a `fieldsV1` tree."""
    root: dict[str, Any] = {}
    for path in sorted(paths):
        here = root
        for name in path:
            here = here.setdefault(name, {})
        here["."] = {}
    _drop_lonely_dots(root)
    root.pop(".", None)
    return root


def _drop_lonely_dots(tree: dict[str, Any]) -> None:
    for inner in tree.values():
        if len(inner) == 1 and "." in inner:
            inner.clear()
        elif inner:
            _drop_lonely_dots(inner)


def from_v1(tree: dict[str, Any], at: Path = ()) -> set[Path]:
    """The paths of a `fieldsV1` tree."""
    found: set[Path] = set()
    for name, inner in tree.items():
        if name == ".":
            found.add(at)
        elif inner:
            found |= from_v1(inner, (*at, name))
        else:
            found.add((*at, name))
    return found


def readable(path: Path) -> str:
    """The path as error messages show it: `.spec.template.spec.containers[name="crew"].image`."""
    text = ""
    for name in path:
        if name[0] == "f":
            text += f".{name[2:]}"
        elif name[0] == "k":
            keys = json.loads(name[2:])
            text += "[" + ",".join(f"{key}={json.dumps(value)}" for key, value in keys.items()) + "]"
        else:
            text += f"[={name[2:]}]"
    return text
