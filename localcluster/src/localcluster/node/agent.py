"""The node agent: pods that the API server has -> pods that run here. Scheduler, kubelet and kube-proxy in one."""

import asyncio
import contextlib
import logging
import os
import platform
import time
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

from localcluster.apiserver.routes import LogQuery
from localcluster.apiserver.status import bad_request
from localcluster.apiserver.store import Change
from localcluster.client import Client
from localcluster.node import volumes
from localcluster.node.addresses import Network
from localcluster.node.images import Images
from localcluster.node.pods import Folders, Pod
from localcluster.node.proxy import Proxies

_log = logging.getLogger(__name__)
Manifest = dict[str, Any]
NODE = "local"
_FOLLOW = 0.2
"""Seconds between looks at a log that somebody follows."""
_PIECE = 1 << 16
_SAME_NAME = 1.0
"""Seconds that a pod of a StatefulSet takes to go, at least, as with a kubelet. `kubectl delete` looks, and watches
0.1 s later: a successor of the same name that came in between would make it wait for ever (seen with kubectl 1.32)."""


class Agent:
    """One node, on which everything runs."""

    def __init__(self, client: Client, network: Network, folders: Folders, images: Images) -> None:
        self._client = client
        self._network = network
        self._folders = folders
        self._images = images
        self._pods: dict[str, Pod] = {}
        self._endings: set[asyncio.Task[None]] = set()
        self.proxies = Proxies(client, network.number)

    # -- the agent's own life

    async def run(self) -> None:
        """Run pods until cancelled; then end them all at once."""
        changes = self._client.changes()
        self._register()
        try:
            for manifest in self._client.select("pods"):
                self._see_pod(manifest)
            while (change := await changes.next()) is not None:
                await self._see(change)
        finally:
            changes.close()
            self.proxies.close()
            for pod in self._pods.values():
                pod.end(0)
                pod.kill()
            await asyncio.gather(*(pod.gone() for pod in self._pods.values()))
            for task in self._endings:
                task.cancel()

    def _register(self) -> None:
        machine = {"x86_64": "amd64", "aarch64": "arm64"}.get(platform.machine(), platform.machine())
        labels = {"kubernetes.io/hostname": NODE, "kubernetes.io/os": "linux", "kubernetes.io/arch": machine}
        node = self._client.create("nodes", "", {"metadata": {"name": NODE, "labels": labels}})
        now = self._client.now()
        memory = os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_PHYS_PAGES") // 1024
        capacity = {"cpu": str(os.cpu_count() or 1), "memory": f"{memory}Ki", "pods": "500"}
        ready = {
            "type": "Ready",
            "status": "True",
            "reason": "KubeletReady",
            "message": "processes of this machine",
            "lastHeartbeatTime": now,
            "lastTransitionTime": now,
        }
        status = {
            "addresses": [{"type": "InternalIP", "address": self._network.node}, {"type": "Hostname", "address": NODE}],
            "capacity": capacity,
            "allocatable": capacity,
            "conditions": [ready],
            "nodeInfo": {
                "architecture": machine,
                "bootID": "",
                "containerRuntimeVersion": "local://1",
                "kernelVersion": platform.release(),
                "kubeProxyVersion": "",
                "kubeletVersion": "v1.36.3+crewctl",
                "machineID": "",
                "operatingSystem": "linux",
                "osImage": platform.system(),
                "systemUUID": "",
            },
        }
        self._client.replace_status("nodes", node, status)

    # -- following the API server

    async def _see(self, change: Change) -> None:
        plural, manifest = change.kind[1], change.record.manifest
        metadata = manifest["metadata"]
        namespace = metadata.get("namespace", "")
        match plural:
            case "pods":
                if change.type == "DELETED":
                    self._lose_pod(manifest)
                else:
                    self._see_pod(manifest)
            case "services":
                if change.type == "DELETED":
                    self.proxies.forget(manifest)
                else:
                    await self.proxies.update(namespace, metadata["name"])
            case "endpointslices":
                service = (metadata.get("labels") or {}).get("kubernetes.io/service-name")
                if service:
                    await self.proxies.update(namespace, service)
            case "secrets" | "configmaps":
                for pod in self._pods.values():
                    if pod.manifest["metadata"]["namespace"] == namespace:
                        pod.refresh()
            case "persistentvolumes" if change.type == "DELETED":
                volumes.remove([self._folders.claims / metadata["name"]])

    def _see_pod(self, manifest: Manifest) -> None:
        metadata = manifest["metadata"]
        known = self._pods.get(metadata["uid"])
        if known is not None:
            known.update(manifest)
            if metadata.get("deletionTimestamp"):
                self._await_end(known)
            return
        if metadata.get("deletionTimestamp"):
            self._client.forget_pod(manifest)
            return
        if not manifest["spec"].get("nodeName"):
            self._schedule(manifest)
        elif manifest["spec"]["nodeName"] == NODE and (manifest.get("status") or {}).get("phase") in (None, "Pending"):
            self._start(manifest)

    def _schedule(self, manifest: Manifest) -> None:
        """Bind a pod to this node, unless it wants another one."""
        wanted = manifest["spec"].get("nodeSelector") or {}
        node = self._client.get("nodes", "", NODE)
        labels = node["metadata"].get("labels") or {} if node else {}
        if any(labels.get(key) != value for key, value in wanted.items()):
            message = "0/1 nodes are available: 1 node(s) didn't match Pod's node affinity/selector."
            told = {
                "type": "PodScheduled",
                "status": "False",
                "reason": "Unschedulable",
                "message": message,
                "lastTransitionTime": manifest["metadata"]["creationTimestamp"],
            }
            status = {**(manifest.get("status") or {}), "conditions": [told]}
            if manifest.get("status") != status:
                self._client.replace_status("pods", manifest, status)
                self._client.event(manifest, "Warning", "FailedScheduling", message)
            return
        bound = {**manifest, "spec": {**manifest["spec"], "nodeName": NODE}}
        self._client.replace("pods", bound)
        name = f"{manifest['metadata']['namespace']}/{manifest['metadata']['name']}"
        self._client.event(manifest, "Normal", "Scheduled", f"Successfully assigned {name} to {NODE}")

    def _start(self, manifest: Manifest) -> None:
        metadata = manifest["metadata"]
        stable = _has_stable_name(manifest)
        address = self._network.pod(metadata["uid"], metadata["namespace"], metadata["name"], stable=stable)
        self.proxies.know_pod(metadata["namespace"], metadata["name"], address)
        pod = Pod(manifest, address, self._folders, self._client, self._images, self.proxies)
        self._pods[metadata["uid"]] = pod
        pod.begin()

    def _lose_pod(self, manifest: Manifest) -> None:
        """A pod was taken out of the API server, by force: its processes have to go too."""
        pod = self._pods.get(manifest["metadata"]["uid"])
        if pod is not None:
            pod.end(0)
            pod.kill()
            self._await_end(pod)

    def _await_end(self, pod: Pod) -> None:
        uid = pod.manifest["metadata"]["uid"]

        async def ending() -> None:
            began = time.monotonic()
            await pod.gone()
            if _has_stable_name(pod.manifest):
                await asyncio.sleep(max(0.0, began + _SAME_NAME - time.monotonic()))
            if self._pods.pop(uid, None) is not None:
                self._network.release(uid)
                self._client.forget_pod(pod.manifest)

        task = asyncio.create_task(ending())
        self._endings.add(task)
        task.add_done_callback(self._endings.discard)

    # -- what others ask

    def find(self, namespace: str, name: str) -> Pod | None:
        """The pod of that name that runs here, or None."""
        for pod in self._pods.values():
            metadata = pod.manifest["metadata"]
            if (metadata["namespace"], metadata["name"]) == (namespace, name):
                return pod
        return None

    async def read_log(self, pod: Manifest, query: LogQuery) -> AsyncIterator[bytes]:
        """A container's output. Raises ApiError 400 for a container that is not there or has not begun."""
        path = self._log_path(pod, query)
        with path.open("rb") as file:
            if query.tail is not None:
                file.seek(_tail_offset(path, query.tail))
            while True:
                while piece := file.read(_PIECE):
                    yield piece
                if not query.follow or not self._still(pod, query, path):
                    return
                await asyncio.sleep(_FOLLOW)

    def _log_path(self, manifest: Manifest, query: LogQuery) -> Path:
        metadata, spec = manifest["metadata"], manifest["spec"]
        names = [one["name"] for one in (*spec["containers"], *(spec.get("initContainers") or ()))]
        container = query.container or names[0]
        if container not in names:
            raise bad_request(f"container {container} is not valid for pod {metadata['name']}")
        pod = self.find(metadata["namespace"], metadata["name"])
        found = next((one for one in pod.containers if one.spec["name"] == container), None) if pod else None
        if pod is None or found is None:
            raise bad_request(f'container "{container}" in pod "{metadata["name"]}" is not available')
        restarts = found.snapshot.restarts - int(query.previous)
        path = pod.log_file(container, restarts)
        if restarts < 0 or not path.exists():
            if query.previous:
                raise bad_request(f'previous terminated container "{container}" in pod "{metadata["name"]}" not found')
            reason = (found.snapshot.state.get("waiting") or {}).get("reason", "waiting")
            raise bad_request(f'container "{container}" in pod "{metadata["name"]}" is waiting to start: {reason}')
        return path

    def _still(self, manifest: Manifest, query: LogQuery, path: Path) -> bool:
        """Whether more may come: the container runs, and into this file."""
        pod = self.find(manifest["metadata"]["namespace"], manifest["metadata"]["name"])
        with contextlib.suppress(StopIteration):
            name = query.container or manifest["spec"]["containers"][0]["name"]
            one = next(one for one in (pod.containers if pod else ()) if one.spec["name"] == name)
            return (
                pod is not None
                and pod.log_file(name, one.snapshot.restarts) == path
                and "running" in one.snapshot.state
            )
        return False


def _has_stable_name(pod: Manifest) -> bool:
    """Whether its successor will have the same name."""
    return any(owner["kind"] == "StatefulSet" for owner in pod["metadata"].get("ownerReferences") or ())


def _tail_offset(path: Path, lines: int) -> int:
    """Where the last `lines` lines begin."""
    content = path.read_bytes()
    at = len(content)
    if content.endswith(b"\n"):
        at -= 1
    for _ in range(lines):
        at = content.rfind(b"\n", 0, at)
        if at < 0:
            return 0
    return at + 1 if lines else len(content)
