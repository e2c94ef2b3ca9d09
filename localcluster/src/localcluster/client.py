"""The API as the cluster's own parts use it: straight calls, no HTTP. Reads give what is stored; never change them."""

import contextlib
from collections.abc import Callable, Iterator
from typing import Any

from localcluster.apiserver.registry import Deletion, Options, Registry, stamp
from localcluster.apiserver.status import ApiError
from localcluster.apiserver.store import Subscription

Manifest = dict[str, Any]
_GROUPS = {
    "deployments": "apps",
    "replicasets": "apps",
    "statefulsets": "apps",
    "controllerrevisions": "apps",
    "poddisruptionbudgets": "policy",
    "endpointslices": "discovery.k8s.io",
    "leases": "coordination.k8s.io",
    "storageclasses": "storage.k8s.io",
    "customresourcedefinitions": "apiextensions.k8s.io",
}


class Client:
    """Reads and writes under one field manager."""

    def __init__(self, registry: Registry, manager: str) -> None:
        self._registry = registry
        self._options = Options(manager=manager)
        self._manager = manager

    def now(self) -> str:
        """The time as manifests write it."""
        return stamp(self._registry.clock())

    @property
    def clock(self) -> Callable[[], Any]:
        """The server's clock."""
        return self._registry.clock

    def changes(self) -> Subscription:
        """Every change from now on."""
        return self._registry.store.subscribe()

    def get(self, plural: str, namespace: str, name: str) -> Manifest | None:
        """An object, or None."""
        found = self._registry.store.get((_GROUPS.get(plural, ""), plural), (namespace, name))
        return found.manifest if found else None

    def select(self, plural: str, namespace: str = "") -> list[Manifest]:
        """Objects of a namespace, or of all."""
        return [one.manifest for one in self._registry.store.select((_GROUPS.get(plural, ""), plural), namespace)]

    def create(self, plural: str, namespace: str, manifest: Manifest) -> Manifest:
        """Store a new object. Raises ApiError."""
        return self._registry.create(self._resource(plural), namespace, manifest, self._options)

    def replace(self, plural: str, manifest: Manifest) -> Manifest | None:
        """Store an object in place of the one that is there; None when there is none any more."""
        return self._update(plural, manifest, "")

    def replace_status(self, plural: str, manifest: Manifest, status: Manifest) -> Manifest | None:
        """Store a status, if it is another one; None when the object is gone."""
        if manifest.get("status") == status:
            return manifest
        return self._update(plural, {**manifest, "status": status}, "status")

    def _update(self, plural: str, manifest: Manifest, subresource: str) -> Manifest | None:
        metadata = {key: value for key, value in manifest["metadata"].items() if key != "resourceVersion"}
        written: Manifest | None = None
        with _gone_is_fine():
            written = self._registry.update(
                self._resource(plural),
                metadata.get("namespace", ""),
                metadata["name"],
                {**manifest, "metadata": metadata},
                self._options,
                subresource,
            )
        return written  # noqa: RET504 - None where the object was gone

    def delete(self, plural: str, namespace: str, name: str, *, grace_seconds: int | None = None) -> None:
        """Delete an object, if it is there."""
        with _gone_is_fine():
            self._registry.delete(self._resource(plural), namespace, name, Deletion(grace_seconds=grace_seconds))

    def forget_pod(self, pod: Manifest) -> None:
        """Take a pod that ended out, as a kubelet does with a grace period of nothing."""
        metadata = pod["metadata"]
        live = self.get("pods", metadata["namespace"], metadata["name"])
        if live is None or live["metadata"]["uid"] != metadata["uid"]:
            return
        if live["metadata"].get("finalizers"):
            marked = {**live["metadata"], "deletionGracePeriodSeconds": 0}
            self._registry.store.put(
                ("", "pods"), (metadata["namespace"], metadata["name"]), {**live, "metadata": marked}
            )
            return
        self._registry.remove(self._resource("pods"), metadata["namespace"], metadata["name"])

    def event(self, about: Manifest, kind: str, reason: str, message: str) -> None:
        """Tell about an object; the same news again only counts up."""
        metadata = about["metadata"]
        namespace = metadata.get("namespace") or "default"
        involved = {
            "apiVersion": about["apiVersion"],
            "kind": about["kind"],
            "name": metadata["name"],
            "namespace": metadata.get("namespace", ""),
            "uid": metadata["uid"],
        }
        now = self.now()
        for known in self.select("events", namespace):
            same = (known["involvedObject"].get("uid"), known.get("reason"), known.get("message"))
            if same == (metadata["uid"], reason, message):
                self.replace("events", {**known, "count": known.get("count", 1) + 1, "lastTimestamp": now})
                return
        with _gone_is_fine():
            self.create(
                "events",
                namespace,
                {
                    "metadata": {"generateName": f"{metadata['name']}."},
                    "involvedObject": involved,
                    "reason": reason,
                    "message": message,
                    "type": kind,
                    "count": 1,
                    "firstTimestamp": now,
                    "lastTimestamp": now,
                    "source": {"component": self._manager},
                    "reportingComponent": self._manager,
                },
            )

    def _resource(self, plural: str) -> Any:
        return self._registry.resource(_GROUPS.get(plural, ""), plural)


@contextlib.contextmanager
def _gone_is_fine() -> Iterator[None]:
    """Nothing to do where the object, or its namespace, is gone: what it was for is gone too."""
    try:
        yield
    except ApiError as error:
        terminating = error.code == 403 and "being terminated" in str(error)
        if error.code != 404 and not terminating:
            raise
