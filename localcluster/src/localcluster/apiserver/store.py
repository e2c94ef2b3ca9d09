"""All objects, in memory, and the history of their changes. Stored manifests are never changed in place."""

import asyncio
import json
from collections import defaultdict, deque
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

from localcluster.apiserver.status import expired

Manifest = dict[str, Any]
Kind = tuple[str, str]
"""Group and plural: what all versions of a resource are stored under."""
Key = tuple[str, str]
"""Namespace (empty for cluster-wide objects) and name."""

HISTORY = 2048
"""Changes kept per kind; a watch from before them is told to list again (410), as after etcd's compaction."""


class Record:
    """A stored manifest and, once somebody asked for it, its JSON."""

    __slots__ = ("_body", "manifest", "revision")

    def __init__(self, manifest: Manifest, revision: int) -> None:
        self.manifest = manifest
        self.revision = revision
        self._body: bytes | None = None

    @property
    def body(self) -> bytes:
        """The manifest as JSON; made once."""
        if self._body is None:
            self._body = json.dumps(self.manifest, separators=(",", ":")).encode()
        return self._body


@dataclass(frozen=True, slots=True)
class Change:
    """One write: what there was and what there is."""

    kind: Kind
    type: str
    """`ADDED`, `MODIFIED` or `DELETED`."""
    record: Record
    previous: Record | None


class Subscription:
    """The changes of one kind, or of all, as they come."""

    def __init__(self, store: "Store", kind: Kind | None) -> None:
        self.kind = kind
        self._store = store
        self._queue: asyncio.Queue[Change | None] = asyncio.Queue()

    def push(self, change: Change | None) -> None:
        """Hand over a change; None ends the subscription."""
        self._queue.put_nowait(change)

    async def next(self, seconds: float | None = None) -> Change | None:
        """The next change; None when there is no more. Raises TimeoutError after `seconds`."""
        if seconds is None:
            return await self._queue.get()
        async with asyncio.timeout(seconds):
            return await self._queue.get()

    def waiting(self) -> list[Change]:
        """What has come and was not taken yet."""
        taken = []
        while not self._queue.empty():
            change = self._queue.get_nowait()
            if change is not None:
                taken.append(change)
        return taken

    def close(self) -> None:
        """Get no more."""
        self._store.unsubscribe(self)


class Store:
    """Objects by kind and key, one revision counter for all of them."""

    def __init__(self, history: int = HISTORY) -> None:
        self.revision = 1
        self._objects: dict[Kind, dict[Key, Record]] = defaultdict(dict)
        self._history: dict[Kind, deque[Change]] = defaultdict(lambda: deque(maxlen=history))
        self._forgotten: dict[Kind, int] = defaultdict(int)
        self._subscriptions: set[Subscription] = set()

    def get(self, kind: Kind, key: Key) -> Record | None:
        """The stored object, or None."""
        return self._objects[kind].get(key)

    def select(self, kind: Kind, namespace: str = "") -> list[Record]:
        """Objects of a kind, of one namespace or of all, ordered by namespace and name."""
        found = self._objects[kind]
        return [found[key] for key in sorted(found) if not namespace or key[0] == namespace]

    def all(self) -> Iterator[tuple[Kind, Key, Record]]:
        """Every object."""
        for kind, found in list(self._objects.items()):
            for key, record in list(found.items()):
                yield kind, key, record

    def put(self, kind: Kind, key: Key, manifest: Manifest) -> Record:
        """Store a manifest under the next revision."""
        previous = self._objects[kind].get(key)
        record = self._next(manifest)
        self._objects[kind][key] = record
        self._tell(Change(kind, "MODIFIED" if previous else "ADDED", record, previous))
        return record

    def delete(self, kind: Kind, key: Key) -> Record:
        """Forget an object; watchers see its last state under a revision of its own."""
        previous = self._objects[kind].pop(key)
        record = self._next(previous.manifest)
        self._tell(Change(kind, "DELETED", record, previous))
        return record

    def _next(self, manifest: Manifest) -> Record:
        self.revision += 1
        metadata = {**manifest["metadata"], "resourceVersion": str(self.revision)}
        return Record({**manifest, "metadata": metadata}, self.revision)

    def _tell(self, change: Change) -> None:
        history = self._history[change.kind]
        if len(history) == history.maxlen:
            self._forgotten[change.kind] = history[0].record.revision
        history.append(change)
        for subscription in self._subscriptions:
            if subscription.kind is None or subscription.kind == change.kind:
                subscription.push(change)

    def since(self, kind: Kind, revision: int) -> list[Change]:
        """What happened to a kind after a revision. Raises ApiError 410 when that is forgotten."""
        if revision < self._forgotten[kind]:
            raise expired(f"too old resource version: {revision} ({self._forgotten[kind]})")
        return [change for change in self._history[kind] if change.record.revision > revision]

    def compact(self) -> None:
        """Forget all history, as etcd does now and then: older watches have to list again."""
        for kind, history in self._history.items():
            history.clear()
            self._forgotten[kind] = self.revision

    def subscribe(self, kind: Kind | None = None) -> Subscription:
        """Get the changes from now on."""
        subscription = Subscription(self, kind)
        self._subscriptions.add(subscription)
        return subscription

    def unsubscribe(self, subscription: Subscription) -> None:
        """Stop handing changes to a subscription."""
        self._subscriptions.discard(subscription)

    def close(self) -> None:
        """End every subscription."""
        for subscription in list(self._subscriptions):
            subscription.push(None)
