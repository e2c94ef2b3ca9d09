"""Garbage collection: what becomes of an object when its owners are gone, and the loop that sees to it.

Source: Kubernetes' garbage collector: background by default, absent owners count as gone, foreground by finalizer.
"""

import asyncio
from collections import defaultdict
from typing import Any

from localcluster.apiserver.registry import CRDS, NAMESPACES, Deletion, Registry
from localcluster.apiserver.store import Change, Key, Kind

Manifest = dict[str, Any]
FOREGROUND = "foregroundDeletion"


def fate(manifest: Manifest, alive: set[str]) -> list[Manifest] | None:
    """The owner references that an object keeps; None when all its owners are gone and it has to go too."""
    owners = manifest["metadata"].get("ownerReferences") or []
    kept = [owner for owner in owners if owner["uid"] in alive]
    return None if owners and not kept else kept


class Collector:
    """Follows every change and deletes what nobody owns any more."""

    def __init__(self, registry: Registry) -> None:
        self._registry = registry
        self._store = registry.store
        self._alive: dict[str, tuple[Kind, Key]] = {}
        self._dependents: dict[str, set[tuple[Kind, Key]]] = defaultdict(set)

    async def run(self) -> None:
        """Collect until cancelled."""
        changes = self._store.subscribe()
        try:
            for kind, key, record in self._store.all():
                self._note(kind, key, record.manifest)
            while True:
                change = await changes.next()
                if change is None:
                    return
                for one in (change, *changes.waiting()):
                    self._learn(one)
                    self._act(one)
                await asyncio.sleep(0)
        finally:
            changes.close()

    def _note(self, kind: Kind, key: Key, manifest: Manifest) -> None:
        self._alive[manifest["metadata"]["uid"]] = (kind, key)
        for owner in manifest["metadata"].get("ownerReferences") or ():
            self._dependents[owner["uid"]].add((kind, key))

    def _learn(self, change: Change) -> None:
        manifest = change.record.manifest
        key = (manifest["metadata"].get("namespace", ""), manifest["metadata"]["name"])
        if change.type == "DELETED":
            self._alive.pop(manifest["metadata"]["uid"], None)
        else:
            self._note(change.kind, key, manifest)

    def _act(self, change: Change) -> None:
        manifest = change.record.manifest
        metadata = manifest["metadata"]
        key = (metadata.get("namespace", ""), metadata["name"])
        if change.type == "DELETED":
            for kind, dependent in self._dependents.pop(metadata["uid"], set()):
                self._judge(kind, dependent)
            self._finish_owners(metadata)
            self._finish_namespace(metadata.get("namespace", ""))
            if change.kind not in (NAMESPACES, CRDS):
                self._finish_crd(change.kind)
            return
        if metadata.get("ownerReferences"):
            self._judge(change.kind, key)
        if metadata.get("deletionTimestamp"):
            if FOREGROUND in (metadata.get("finalizers") or ()):
                self._foreground(change.kind, key, metadata["uid"])
            if change.kind == NAMESPACES:
                self._empty_namespace(metadata["name"])
            if change.kind == CRDS:
                self._empty_crd(manifest)

    def _owners_alive(self, manifest: Manifest) -> set[str]:
        """Uids of owners that are there; those in another namespace do not count."""
        namespace = manifest["metadata"].get("namespace", "")
        return {
            uid
            for owner in manifest["metadata"].get("ownerReferences") or ()
            if (uid := owner["uid"]) in self._alive and self._alive[uid][1][0] in ("", namespace)
        }

    def _judge(self, kind: Kind, key: Key) -> None:
        record = self._store.get(kind, key)
        if record is None:
            return
        owners = record.manifest["metadata"].get("ownerReferences") or []
        kept = fate(record.manifest, self._owners_alive(record.manifest))
        if kept is None:
            self._delete(kind, key)
        elif len(kept) != len(owners):
            metadata = {**record.manifest["metadata"], "ownerReferences": kept}
            self._store.put(kind, key, {**record.manifest, "metadata": metadata})

    def _delete(self, kind: Kind, key: Key) -> None:
        record = self._store.get(kind, key)
        if record is None or record.manifest["metadata"].get("deletionTimestamp"):
            return
        self._registry.delete(self._registry.resource(*kind), key[0], key[1], Deletion())

    def _foreground(self, kind: Kind, key: Key, uid: str) -> None:
        waiting = False
        for dependent_kind, dependent in list(self._dependents.get(uid, ())):
            record = self._store.get(dependent_kind, dependent)
            if record is None or all(o["uid"] != uid for o in record.manifest["metadata"].get("ownerReferences") or ()):
                continue
            blocks = any(
                owner["uid"] == uid and owner.get("blockOwnerDeletion")
                for owner in record.manifest["metadata"]["ownerReferences"]
            )
            self._delete(dependent_kind, dependent)
            waiting = waiting or (blocks and self._store.get(dependent_kind, dependent) is not None)
        if not waiting:
            self._drop_finalizer(kind, key, FOREGROUND)

    def _finish_owners(self, metadata: Manifest) -> None:
        for owner in metadata.get("ownerReferences") or ():
            found = self._alive.get(owner["uid"])
            record = self._store.get(*found) if found else None
            if found and record and FOREGROUND in (record.manifest["metadata"].get("finalizers") or ()):
                self._foreground(*found, owner["uid"])

    def _drop_finalizer(self, kind: Kind, key: Key, name: str) -> None:
        record = self._store.get(kind, key)
        if record is None:
            return
        metadata = dict(record.manifest["metadata"])
        metadata["finalizers"] = [one for one in metadata.get("finalizers") or () if one != name]
        if not metadata["finalizers"]:
            del metadata["finalizers"]
        self._store.put(kind, key, {**record.manifest, "metadata": metadata})
        if "finalizers" not in metadata and not metadata.get("deletionGracePeriodSeconds"):
            self._registry.remove(self._registry.resource(*kind), *key)

    def _empty_namespace(self, name: str) -> None:
        for kind, key, _ in list(self._store.all()):
            if key[0] == name:
                self._delete(kind, key)
        self._finish_namespace(name)

    def _finish_namespace(self, name: str) -> None:
        record = self._store.get(NAMESPACES, ("", name)) if name else None
        if record is None or not record.manifest["metadata"].get("deletionTimestamp"):
            return
        if not any(key[0] == name for _, key, _ in self._store.all()):
            self._registry.remove(self._registry.resource(*NAMESPACES), "", name)

    def _empty_crd(self, crd: Manifest) -> None:
        kind = (crd["spec"]["group"], crd["spec"]["names"]["plural"])
        for record in self._store.select(kind):
            metadata = record.manifest["metadata"]
            self._delete(kind, (metadata.get("namespace", ""), metadata["name"]))
        self._finish_crd(kind)

    def _finish_crd(self, kind: Kind) -> None:
        key = ("", f"{kind[1]}.{kind[0]}")
        record = self._store.get(CRDS, key)
        if record and record.manifest["metadata"].get("deletionTimestamp") and not self._store.select(kind):
            self._registry.remove(self._registry.resource(*CRDS), *key)
