"""JSON patch (RFC 6902), JSON merge patch (RFC 7386) and Kubernetes' strategic merge patch, as pure functions.

`jsonpatch` keeps to the RFC more strictly than a real API server, which takes an index from a list's end, and bounds
neither operations nor what they copy; a merge patch is ten lines. Hence neither comes from PyPI.
"""

import copy
import json
from typing import Any, Final

from localcluster.apiserver import schema
from localcluster.apiserver.schema import Node
from localcluster.apiserver.status import ApiError, bad_request

MAX_OPERATIONS: Final = 10_000
MAX_COPIED: Final = 3 << 20
"""Bytes as JSON, of all that a patch copies: forty copies of copies would fill any memory. Both are a real server's."""


def merge_patch(target: Any, patch: Any) -> Any:
    """RFC 7386: null removes, maps merge, everything else replaces."""
    if not isinstance(patch, dict):
        return copy.deepcopy(patch)
    result = dict(target) if isinstance(target, dict) else {}
    for key, value in patch.items():
        if value is None:
            result.pop(key, None)
        else:
            result[key] = merge_patch(result.get(key), value)
    return result


def json_patch(target: Any, operations: Any) -> Any:
    """RFC 6902.

    Raises:
        ApiError: 422 when a path does not exist, a `test` fails or it copies too much, 400 when the patch is none, 413
            when it has too many operations.

    """
    if not isinstance(operations, list):
        raise bad_request("a JSON patch is a list of operations")
    if len(operations) > MAX_OPERATIONS:
        raise _too_large(f"The allowed maximum operations in a JSON patch is {MAX_OPERATIONS}, got {len(operations)}")
    result = copy.deepcopy(target)
    copied = 0
    for operation in operations:
        if not isinstance(operation, dict):
            raise bad_request("an operation of a JSON patch is an object")
        try:
            if operation.get("op") == "copy":
                copied += len(json.dumps(_get(result, _pointer(operation["from"]))))
                if copied > MAX_COPIED:
                    raise ValueError(f"its copies are larger than {MAX_COPIED} bytes")  # noqa: TRY301 - as any other
            result = _operate(result, operation)
        except (KeyError, IndexError, ValueError, TypeError) as error:
            raise _unprocessable(
                f"the server rejected our request due to an error in our request: "
                f"{operation.get('op')} {operation.get('path')}: {error}"
            ) from error
    return result


def _unprocessable(message: str) -> ApiError:
    return ApiError(422, "Invalid", message)


def _too_large(message: str) -> ApiError:
    return ApiError(413, "RequestEntityTooLarge", message)


def _operate(root: Any, operation: dict[str, Any]) -> Any:
    kind, path = operation["op"], _pointer(operation["path"])
    if kind in ("move", "copy"):
        source = _pointer(operation["from"])
        value = copy.deepcopy(_get(root, source))
        return _add(_remove(root, source) if kind == "move" else root, path, value)
    if kind == "add":
        return _add(root, path, operation["value"])
    if kind == "remove":
        return _remove(root, path)
    if kind == "replace":
        _get(root, path)
        return _set(root, path, operation["value"])
    if kind == "test":
        if not _same(_get(root, path), operation.get("value")):
            raise ValueError("testing value failed")
        return root
    raise ValueError(f"unknown operation {kind!r}")


def _same(one: Any, other: Any) -> bool:
    """As JSON: true is no 1, which to Python it is."""
    return bool(one == other) and json.dumps(one, sort_keys=True) == json.dumps(other, sort_keys=True)


def _pointer(text: str) -> list[str]:
    if text and not text.startswith("/"):
        raise ValueError(f"{text!r} does not start with /")
    return [part.replace("~1", "/").replace("~0", "~") for part in text.split("/")[1:]]


def _get(root: Any, path: list[str]) -> Any:
    for part in path:
        root = root[int(part)] if isinstance(root, list) else root[part]
    return root


def _set(root: Any, path: list[str], value: Any) -> Any:
    if not path:
        return value
    parent = _get(root, path[:-1])
    parent[int(path[-1]) if isinstance(parent, list) else path[-1]] = value
    return root


def _add(root: Any, path: list[str], value: Any) -> Any:
    if not path:
        return value
    parent = _get(root, path[:-1])
    if isinstance(parent, list):
        at = len(parent) if path[-1] == "-" else int(path[-1])
        if at > len(parent):
            raise IndexError(f"index {at} is beyond the list")
        parent.insert(at, value)
    else:
        parent[path[-1]] = value
    return root


def _remove(root: Any, path: list[str]) -> Any:
    parent = _get(root, path[:-1])
    del parent[int(path[-1]) if isinstance(parent, list) else path[-1]]
    return root


def strategic_merge(node: Node, target: Any, patch: Any) -> Any:
    """Merge as kubectl's patches mean it: lists by merge key, `$patch` and `$setElementOrder` obeyed."""
    if not isinstance(patch, dict):
        return copy.deepcopy(patch)
    if patch.get("$patch") == "replace":
        return {key: copy.deepcopy(value) for key, value in patch.items() if key != "$patch"}
    if patch.get("$patch") == "delete":
        return {}
    result = dict(target) if isinstance(target, dict) else {}
    if "$retainKeys" in patch:
        result = {key: value for key, value in result.items() if key in patch["$retainKeys"]}
    for key, value in patch.items():
        if key == "$retainKeys" or key.startswith("$setElementOrder/"):
            continue
        if key.startswith("$deleteFromPrimitiveList/"):
            name = key.partition("/")[2]
            result[name] = [item for item in result.get(name) or [] if item not in value]
        elif value is None:
            result.pop(key, None)
        else:
            inner = schema.child(node, key)
            result[key] = (
                _merged_items(inner, result.get(key) or [], value)
                if isinstance(value, list)
                else strategic_merge(inner, result.get(key), value)
            )
    for key, order in patch.items():
        name = key.partition("/")[2]
        if key.startswith("$setElementOrder/") and isinstance(result.get(name), list):
            result[name] = _ordered(result[name], order, schema.child(node, name).get("x-kubernetes-patch-merge-key"))
    return result


def _merged_items(node: Node, target: list[Any], patch: list[Any]) -> list[Any]:
    if "merge" not in str(node.get("x-kubernetes-patch-strategy", "")).split(","):
        return copy.deepcopy(patch)
    key = node.get("x-kubernetes-patch-merge-key")
    if not key:
        return target + [item for item in patch if item not in target]
    if any(isinstance(item, dict) and item.get("$patch") == "replace" for item in patch):
        return [copy.deepcopy(item) for item in patch if item.get("$patch") != "replace"]
    result = list(target)
    for item in patch:
        if not isinstance(item, dict) or key not in item:
            raise bad_request(f"map: {item!r} does not contain declared merge key: {key}")
        at = next((index for index, old in enumerate(result) if old.get(key) == item[key]), None)
        if item.get("$patch") == "delete":
            result = [old for old in result if old.get(key) != item[key]]
        elif at is None:
            result.append(strategic_merge(schema.items(node), {}, item))
        else:
            result[at] = strategic_merge(schema.items(node), result[at], item)
    return result


def _ordered(values: list[Any], order: list[Any], key: str | None) -> list[Any]:
    names = [item.get(key) if key and isinstance(item, dict) else item for item in order]

    def name(value: Any) -> Any:
        return value.get(key) if key and isinstance(value, dict) else value

    listed = sorted((value for value in values if name(value) in names), key=lambda value: names.index(name(value)))
    rest = iter(listed)
    # those that the order does not name keep their places
    return [value if name(value) not in names else next(rest) for value in values]
