"""Runs the controllers: a change -> which objects to look at again -> their plan -> its actions through the client."""

import asyncio
import logging
from collections.abc import Callable, Iterator
from pathlib import Path

from localcluster.apiserver import selectors
from localcluster.apiserver.status import ApiError
from localcluster.apiserver.store import Change
from localcluster.client import Client
from localcluster.controllers import claims, deployment, disruption, endpoints, replicaset, statefulset
from localcluster.controllers.actions import Action, Create, Delete, Manifest, Plan, Replace, Status, is_owned

_log = logging.getLogger(__name__)
Key = tuple[str, str, str]
"""Plural, namespace, name."""
_RETRY = 1.0
"""Seconds until an object whose actions were refused is looked at again."""
_KINDS = {
    "Deployment": "deployments",
    "ReplicaSet": "replicasets",
    "StatefulSet": "statefulsets",
    "Service": "services",
}


class Manager:
    """All controllers in one task: each object is looked at by one of them at a time."""

    def __init__(self, client: Client, volumes: Path) -> None:
        self._client = client
        self._volumes = volumes
        self._dirty: dict[Key, None] = {}
        self._timers: dict[Key, asyncio.TimerHandle] = {}
        self._wake = asyncio.Event()
        self._planners: dict[str, Callable[[Manifest], Plan]] = {
            "deployments": self._deployment,
            "replicasets": self._replica_set,
            "statefulsets": self._stateful_set,
            "services": self._service,
            "poddisruptionbudgets": self._budget,
            "persistentvolumeclaims": self._claim,
        }

    async def run(self) -> None:
        """Control until cancelled."""
        changes = self._client.changes()
        follower = asyncio.create_task(self._follow(changes.next))
        try:
            for plural in self._planners:
                for manifest in self._client.select(plural):
                    self._mark(_key(plural, manifest))
            while not follower.done():
                await self._wake.wait()
                self._wake.clear()
                while self._dirty:
                    key = next(iter(self._dirty))
                    del self._dirty[key]
                    self._look(key)
                    await asyncio.sleep(0)
        finally:
            changes.close()
            follower.cancel()
            for timer in self._timers.values():
                timer.cancel()

    async def _follow(self, following: Callable[[], object]) -> None:
        while (change := await following()) is not None:  # type: ignore[misc]
            for key in self._concerned(change):
                self._mark(key)
        self._wake.set()

    def _mark(self, key: Key) -> None:
        self._dirty[key] = None
        self._wake.set()

    def _concerned(self, change: Change) -> Iterator[Key]:
        """The objects whose plan a change may alter: itself, who controls it, who selects it."""
        plural, manifest = change.kind[1], change.record.manifest
        if plural in self._planners:
            yield _key(plural, manifest)
        for owner in manifest["metadata"].get("ownerReferences") or ():
            if owner["kind"] in _KINDS:
                yield _KINDS[owner["kind"]], manifest["metadata"].get("namespace", ""), owner["name"]
        if plural == "pods":
            namespace = manifest["metadata"]["namespace"]
            for other in ("services", "poddisruptionbudgets"):
                for one in self._client.select(other, namespace):
                    yield _key(other, one)
            for volume in manifest["spec"].get("volumes") or ():
                if "persistentVolumeClaim" in volume and change.type == "DELETED":
                    yield "persistentvolumeclaims", namespace, volume["persistentVolumeClaim"]["claimName"]

    def _look(self, key: Key) -> None:
        plural, namespace, name = key
        if (timer := self._timers.pop(key, None)) is not None:
            timer.cancel()
        manifest = self._client.get(plural, namespace, name)
        if manifest is None:
            return
        plan = self._planners[plural](manifest)
        again = plan.again
        for action in plan.actions:
            try:
                self._do(action)
            except ApiError as error:
                _log.warning("could not act for %s: %s", "/".join(key), error)
                again = _RETRY
        if again is not None:
            self._timers[key] = asyncio.get_running_loop().call_later(again, self._mark, key)

    def _do(self, action: Action) -> None:
        match action:
            case Create(plural, manifest):
                self._client.create(plural, manifest["metadata"].get("namespace", ""), manifest)
            case Replace(plural, manifest):
                self._client.replace(plural, manifest)
            case Delete(plural, manifest):
                metadata = manifest["metadata"]
                self._client.delete(plural, metadata.get("namespace", ""), metadata["name"])
            case Status(plural, manifest, status):
                live = self._client.get(plural, manifest["metadata"].get("namespace", ""), manifest["metadata"]["name"])
                if live is not None:
                    self._client.replace_status(plural, live, status)
            case _:
                self._client.event(action.about, action.type, action.reason, action.message)

    # -- gathering what each plan needs

    def _owned(self, plural: str, owner: Manifest) -> list[Manifest]:
        return [one for one in self._client.select(plural, owner["metadata"]["namespace"]) if is_owned(one, owner)]

    def _deployment(self, manifest: Manifest) -> Plan:
        sets = self._owned("replicasets", manifest)
        return deployment.plan(manifest, sets, self._client.clock(), self._client.now())

    def _replica_set(self, manifest: Manifest) -> Plan:
        return replicaset.plan(manifest, self._owned("pods", manifest), self._client.now())

    def _stateful_set(self, manifest: Manifest) -> Plan:
        claims_found = self._client.select("persistentvolumeclaims", manifest["metadata"]["namespace"])
        found = statefulset.Found(
            self._owned("pods", manifest), claims_found, self._owned("controllerrevisions", manifest)
        )
        return statefulset.plan(manifest, found)

    def _service(self, manifest: Manifest) -> Plan:
        namespace, name = manifest["metadata"]["namespace"], manifest["metadata"]["name"]
        picks = selectors.by_selector({"matchLabels": manifest["spec"].get("selector") or {}})
        found = endpoints.Found(
            [pod for pod in self._client.select("pods", namespace) if picks(pod)],
            self._client.get("endpoints", namespace, name),
            self._client.get("endpointslices", namespace, f"{name}-local"),
        )
        return endpoints.plan(manifest, found)

    def _budget(self, manifest: Manifest) -> Plan:
        picks = selectors.by_selector(manifest["spec"].get("selector") or {})
        pods = self._client.select("pods", manifest["metadata"]["namespace"])
        return disruption.plan(manifest, [pod for pod in pods if picks(pod)], self._client.now())

    def _claim(self, manifest: Manifest) -> Plan:
        volume = self._client.get("persistentvolumes", "", claims.volume_name(manifest))
        pods = self._client.select("pods", manifest["metadata"]["namespace"])
        path = str(self._volumes / claims.volume_name(manifest))
        return claims.plan(manifest, pods, volume, path)


def _key(plural: str, manifest: Manifest) -> Key:
    return plural, manifest["metadata"].get("namespace", ""), manifest["metadata"]["name"]
