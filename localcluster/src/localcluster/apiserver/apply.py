"""Server-side apply and the book of field owners: (stored object, what was sent, who sends) -> new object.

Source: Kubernetes' structured-merge-diff and its documentation of server-side apply.
"""

from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Any

from localcluster.apiserver import fields, schema
from localcluster.apiserver.fields import Path
from localcluster.apiserver.schema import Node
from localcluster.apiserver.status import ApiError, Cause, bad_request

Manifest = dict[str, Any]


@dataclass(frozen=True, slots=True)
class Writer:
    """Who writes: one entry of `managedFields`."""

    manager: str
    operation: str
    """`Apply` or `Update`."""
    api_version: str
    time: str
    """RFC 3339."""
    subresource: str = ""


@dataclass(slots=True)
class _Entry:
    """One owner's fields."""

    manager: str
    operation: str
    api_version: str
    subresource: str
    time: str | None
    paths: set[Path] = field(default_factory=set)

    def is_of(self, writer: Writer) -> bool:
        return (self.manager, self.operation, self.subresource) == (
            writer.manager,
            writer.operation,
            writer.subresource,
        )


def _entries(manifest: Manifest) -> list[_Entry]:
    return [
        _Entry(
            manager=entry.get("manager", ""),
            operation=entry.get("operation", "Update"),
            api_version=entry.get("apiVersion", ""),
            subresource=entry.get("subresource", ""),
            time=entry.get("time"),
            paths=fields.from_v1(entry.get("fieldsV1") or {}),
        )
        for entry in (manifest.get("metadata") or {}).get("managedFields") or ()
    ]


def _written(entries: Sequence[_Entry]) -> list[Manifest]:
    kept = sorted((entry for entry in entries if entry.paths), key=lambda entry: (entry.operation, entry.time or ""))
    return [
        {
            "manager": entry.manager,
            "operation": entry.operation,
            "apiVersion": entry.api_version,
            **({"time": entry.time} if entry.time else {}),
            "fieldsType": "FieldsV1",
            "fieldsV1": fields.to_v1(entry.paths),
            **({"subresource": entry.subresource} if entry.subresource else {}),
        }
        for entry in kept
    ]


def _own(entries: list[_Entry], writer: Writer) -> _Entry:
    for entry in entries:
        if entry.is_of(writer):
            return entry
    entries.append(_Entry(writer.manager, writer.operation, writer.api_version, writer.subresource, None))
    return entries[-1]


def track(node: Node, live: Manifest | None, new: Manifest, writer: Writer) -> list[Manifest]:
    """The book after a write that was not an apply: the writer owns what it changed, and the others no longer do."""
    entries = _entries(live or new)
    changed, removed = fields.difference(node, fields.tracked(live or {}), fields.tracked(new))
    if live is None:
        entries = []
    if not changed and not removed:
        return _written(entries)
    for entry in entries:
        entry.paths -= fields.below(entry.paths, removed) | changed
    mine = _own(entries, writer)
    mine.paths |= changed
    mine.time, mine.api_version = writer.time, writer.api_version
    return _written(entries)


def apply(node: Node, live: Manifest | None, sent: Manifest, writer: Writer, *, force: bool) -> Manifest:
    """Merge what was sent into the stored object, take away what the same manager applied before and no longer sends.

    Raises:
        ApiError: 409 with the conflicts when fields belong to others with another value and `force` is off.

    """
    wanted = fields.tracked(sent)
    refuse_duplicates(node, wanted)
    entries = _entries(live or {})
    now_mine = fields.owned(node, wanted)
    now_mine.discard(())
    if live is not None:
        contested = _contested(node, live, wanted, [entry for entry in entries if not entry.is_of(writer)], now_mine)
        if contested and not force:
            raise _conflict(contested)
        for entry, paths in contested:
            entry.paths -= paths
    mine = _own(entries, writer)
    gone = mine.paths - now_mine
    merged = merge(node, fields.tracked(live or {}), wanted)
    held = now_mine.union(*(entry.paths for entry in entries if entry is not mine))
    merged = _without(node, merged, {path for path in gone if not _held(path, held)}, held)
    if mine.paths != now_mine or mine.api_version != writer.api_version or mine.time is None:
        mine.time = writer.time
    mine.paths, mine.api_version = now_mine, writer.api_version
    return _assembled(live or {}, sent, merged, _written(entries))


def _assembled(live: Manifest, sent: Manifest, merged: Manifest, managed: list[Manifest]) -> Manifest:
    identity = {
        key: value for key, value in (live.get("metadata") or {}).items() if key not in fields._TRACKED_METADATA
    }
    identity.update({key: value for key, value in (sent.get("metadata") or {}).items() if key in ("name", "namespace")})
    for key in ("uid", "resourceVersion"):  # sent by a client that wants them checked
        if key in (sent.get("metadata") or {}):
            identity[key] = sent["metadata"][key]
    metadata = {**identity, **merged.get("metadata", {}), "managedFields": managed}
    return {"apiVersion": sent.get("apiVersion"), "kind": sent.get("kind"), **merged, "metadata": metadata}


def _contested(
    node: Node, live: Manifest, wanted: Manifest, others: Sequence[_Entry], mine: set[Path]
) -> list[tuple[_Entry, set[Path]]]:
    stored = fields.tracked(live)
    found = []
    for entry in others:
        paths = set()
        for path in entry.paths & mine:
            if path[-1][0] in "kv":
                continue  # that an item is there is nobody's alone
            there, now = fields.find(node, stored, path)
            _, then = fields.find(node, wanted, path)
            if there and now != then and not (fields.granular(schema.UNKNOWN, now) and not then and not now):
                paths.add(path)
        if paths:
            found.append((entry, paths))
    return found


def _conflict(contested: Sequence[tuple[_Entry, set[Path]]]) -> ApiError:
    causes = []
    lines = []
    for entry, paths in contested:
        within = f' with subresource "{entry.subresource}"' if entry.subresource else ""
        using = f" using {entry.api_version}" if entry.operation == "Update" else ""
        who = f'"{entry.manager}"{within}{using}'
        shown = [fields.readable(path) for path in sorted(paths)]
        causes += [Cause(path, f"conflict with {who}", "FieldManagerConflict") for path in shown]
        if len(shown) == 1:
            lines.append(f"conflict with {who}: {shown[0]}")
        else:
            lines.append(f"conflicts with {who}:\n" + "\n".join(f"- {path}" for path in shown))
    count = f"{len(causes)} conflict{'' if len(causes) == 1 else 's'}"
    return ApiError(409, "Conflict", f"Apply failed with {count}: " + "\n".join(lines), causes=causes)


def _held(path: Path, held: set[Path]) -> bool:
    return any(other[: len(path)] == path for other in held)


def refuse_duplicates(node: Node, value: Any, at: str = "") -> None:
    """Refuse an associative list with two items of one key: a merge could not say which is meant."""
    if isinstance(value, dict):
        for key, inner in value.items():
            refuse_duplicates(schema.child(node, key), inner, f"{at}.{key}")
    elif isinstance(value, list):
        if schema.map_keys(node) or schema.is_set(node):
            seen: set[str] = set()
            for item in value:
                name = fields.element(node, item)
                if name in seen:
                    raise bad_request(f"{at}: duplicate entries for key {fields.readable((name,))}")
                seen.add(name)
        for index, inner in enumerate(value):
            refuse_duplicates(schema.items(node), inner, f"{at}[{index}]")


def merge(node: Node, stored: Any, sent: Any) -> Any:
    """`stored` with everything that `sent` says. Items keep the order of `sent`, others their place before it."""
    if not (fields.granular(node, stored) and fields.granular(node, sent) and type(stored) is type(sent)):
        return sent
    if isinstance(stored, dict):
        merged = dict(stored)
        for key, inner in sent.items():
            merged[key] = merge(schema.child(node, key), stored[key], inner) if key in stored else inner
        return merged
    return _merged_list(node, stored, sent)


def _merged_list(node: Node, stored: list[Any], sent: list[Any]) -> list[Any]:
    inner_node = schema.items(node)
    old = {fields.element(node, item): item for item in stored}
    order = list(old)
    new = {fields.element(node, item): item for item in sent}
    result: list[Any] = []
    done = 0
    for name, item in new.items():
        if name in old and order.index(name) >= done:
            until = order.index(name)
        else:  # up to the next item that both have
            until = next((at for at in range(done, len(order)) if order[at] in new), len(order))
        result += [old[before] for before in order[done:until] if before not in new]
        done = until
        if name not in old:
            result.append(item)
        else:
            result.append(item if name[0] == "v" else merge(inner_node, old[name], item))
    return result + [old[before] for before in order[done:] if before not in new]


def _without(node: Node, value: Any, paths: set[Path], held: set[Path]) -> Any:
    """`value` without the paths, and without the containers that become empty by that."""
    done: set[Path] = set()
    for path in sorted(paths, key=len):  # an item before its key: without the key it could not be found
        if not any(path[:depth] in done for depth in range(1, len(path))):
            value = _removed(node, value, path, held, ())
            done.add(path)
    return value


def _removed(node: Node, value: Any, path: Path, held: set[Path], at: Path) -> Any:
    name, rest = path[0], path[1:]
    if isinstance(value, dict) and name[0] == "f" and name[2:] in value:
        key = name[2:]
        copy = dict(value)
        if rest:
            inner = _removed(schema.child(node, key), copy[key], rest, held, (*at, name))
            if inner == copy[key]:
                return value
            if inner or _held((*at, name), held):
                copy[key] = inner
            else:
                del copy[key]
        else:
            del copy[key]
        return copy
    if isinstance(value, list) and name[0] in "kv":
        kept = []
        for item in value:
            if fields.element(node, item) != name:
                kept.append(item)
            elif rest:
                kept.append(_removed(schema.items(node), item, rest, held, (*at, name)))
        return kept
    return value
