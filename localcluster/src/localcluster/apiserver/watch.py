"""Watches: the changes of one kind after a revision -> lines of JSON, as long as the client listens."""

import json
from collections.abc import AsyncIterator, Callable
from dataclasses import dataclass
from datetime import datetime
from typing import Any

from localcluster.apiserver import tables
from localcluster.apiserver.kinds import Resource
from localcluster.apiserver.selectors import Predicate
from localcluster.apiserver.status import ApiError
from localcluster.apiserver.store import Change, Record, Store

Manifest = dict[str, Any]
BOOKMARK_EVERY = 60.0
"""Seconds between bookmarks on a quiet watch, as Kubernetes sends them."""
INITIAL_END = "k8s.io/initial-events-end"


@dataclass(frozen=True, slots=True)
class Wanted:
    """What a client asked to watch."""

    resource: Resource
    namespace: str
    matches: Predicate
    revision: str
    """Empty or `0`: begin with everything there is."""
    send_initial: bool | None
    """WatchList: everything there is, then a bookmark that says so."""
    bookmarks: bool
    seconds: float
    shape: Callable[[Manifest], Manifest] | None = None
    """How objects are shown: as tables, only their metadata, or as they are."""


def shaper(resource: Resource, accept: str, clock: Callable[[], datetime]) -> Callable[[Manifest], Manifest] | None:
    """How the `Accept` header wants objects to be shown."""
    if "as=Table" in accept:
        return lambda manifest: tables.table(resource, [manifest], clock())
    if "as=PartialObjectMetadata" in accept:
        return tables.partial
    return None


def _line(kind: str, body: bytes) -> bytes:
    return b'{"type":"' + kind.encode() + b'","object":' + body + b"}\n"


async def lines(store: Store, wanted: Wanted, now: Callable[[], float]) -> AsyncIterator[bytes]:
    """The events, one line each, until the time is over or the server closes."""
    resource = wanted.resource
    changes = store.subscribe(resource.storage)
    ends = now() + wanted.seconds
    try:
        seen = store.revision
        try:
            past = _past(store, wanted)
        except ApiError as error:
            yield _line("ERROR", json.dumps(error.status()).encode())
            return
        for seen_line in past:
            yield seen_line
        if wanted.send_initial:
            yield _bookmark(wanted, store.revision, initial_end=True)
        while (left := ends - now()) > 0:
            try:
                change = await changes.next(min(left, BOOKMARK_EVERY))
            except TimeoutError:
                if wanted.bookmarks:
                    yield _bookmark(wanted, store.revision)
                continue
            if change is None:
                return
            if change.record.revision > seen and (line := _event(wanted, change)):
                yield line
    finally:
        changes.close()


def _past(store: Store, wanted: Wanted) -> list[bytes]:
    if wanted.send_initial or (wanted.revision in ("", "0") and wanted.send_initial is not False):
        records = store.select(wanted.resource.storage, wanted.namespace)
        return [_line("ADDED", _body(wanted, one)) for one in records if wanted.matches(one.manifest)]
    revision = int(wanted.revision or store.revision)
    return [line for change in store.since(wanted.resource.storage, revision) if (line := _event(wanted, change))]


def _event(wanted: Wanted, change: Change) -> bytes | None:
    """The change as this watcher sees it: an object that leaves its selector is deleted for it."""
    manifest = change.record.manifest
    if wanted.namespace and manifest["metadata"].get("namespace") != wanted.namespace:
        return None
    matched = change.previous is not None and wanted.matches(change.previous.manifest)
    matches = wanted.matches(manifest)
    if change.type == "DELETED":
        kind = "DELETED" if matched or matches else None
    elif matches:
        kind = "MODIFIED" if matched else "ADDED"
    else:
        kind = "DELETED" if matched else None
    return _line(kind, _body(wanted, change.record)) if kind else None


def _body(wanted: Wanted, record: Record) -> bytes:
    versioned = record.manifest["apiVersion"] == wanted.resource.api_version
    if wanted.shape is None and versioned:
        return record.body
    manifest = {**record.manifest, "apiVersion": wanted.resource.api_version}
    return json.dumps(wanted.shape(manifest) if wanted.shape else manifest).encode()


def _bookmark(wanted: Wanted, revision: int, *, initial_end: bool = False) -> bytes:
    metadata: Manifest = {"resourceVersion": str(revision), "creationTimestamp": None}
    if initial_end:
        metadata["annotations"] = {INITIAL_END: "true"}
    manifest = {"kind": wanted.resource.kind, "apiVersion": wanted.resource.api_version, "metadata": metadata}
    if wanted.shape is not None:
        shown = wanted.shape({**manifest, "metadata": {**metadata, "name": ""}, "spec": {}})
        if shown["kind"] == "Table":
            shown = {
                **shown,
                "metadata": {"resourceVersion": str(revision)},
                "rows": [{"cells": [], "object": manifest}],
            }
        else:
            shown = {**shown, "metadata": metadata}
        manifest = shown
    return _line("BOOKMARK", json.dumps(manifest).encode())
