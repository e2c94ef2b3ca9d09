"""Services in user space: a listener at each Service's address and port -> one of its ready pods."""

import asyncio
import ipaddress
import itertools
import logging
from typing import Any

from localcluster.client import Client

_log = logging.getLogger(__name__)
Manifest = dict[str, Any]
_SLICE = "kubernetes.io/service-name"


class _Half(asyncio.Protocol):
    """One side of a connection; what it reads the other side writes."""

    def __init__(self) -> None:
        self.transport: asyncio.Transport | None = None
        self.other: _Half | None = None
        self._early: list[bytes] = []

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        assert isinstance(transport, asyncio.Transport)  # noqa: S101 - a stream's
        self.transport = transport

    def join(self, other: "_Half") -> None:
        self.other = other
        if other.transport is not None:
            for data in self._early:
                other.transport.write(data)
        self._early.clear()

    def data_received(self, data: bytes) -> None:
        if self.other is not None and self.other.transport is not None:
            self.other.transport.write(data)
        else:
            self._early.append(data)

    def eof_received(self) -> bool:
        if self.other is not None and self.other.transport is not None and self.other.transport.can_write_eof():
            self.other.transport.write_eof()
        return True

    def connection_lost(self, error: Exception | None) -> None:
        if self.other is not None and self.other.transport is not None:
            self.other.transport.close()

    def pause_writing(self) -> None:
        if self.other is not None and self.other.transport is not None:
            self.other.transport.pause_reading()

    def resume_writing(self) -> None:
        if self.other is not None and self.other.transport is not None:
            self.other.transport.resume_reading()


class _Front(_Half):
    """The client's side: it connects to a pod first."""

    def __init__(self, port: "_Port") -> None:
        super().__init__()
        self._port = port
        self._connecting: asyncio.Task[None] | None = None

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        super().connection_made(transport)
        self._connecting = asyncio.create_task(self._connect())

    async def _connect(self) -> None:
        loop = asyncio.get_running_loop()
        for _ in range(max(1, len(self._port.targets))):
            target = self._port.pick()
            if target is None:
                break
            try:
                _, back = await loop.create_connection(_Half, *target)
            except OSError:
                continue
            back.join(self)
            self.join(back)
            return
        if self.transport is not None:
            self.transport.abort()


class _Port:
    """One port of a Service."""

    def __init__(self) -> None:
        self.targets: list[tuple[str, int]] = []
        self.server: asyncio.Server | None = None
        self._turn = itertools.count()

    def pick(self) -> tuple[str, int] | None:
        """The next ready pod in turn, or None."""
        return self.targets[next(self._turn) % len(self.targets)] if self.targets else None


class Proxies:
    """All Services' ports. A port without ready pods refuses connections, as kube-proxy's do."""

    def __init__(self, client: Client, network_number: int) -> None:
        self._client = client
        self._ports: dict[tuple[str, int], _Port] = {}
        self._aliases: dict[tuple[str, str], str] = {}
        self._free = (str(one) for one in ipaddress.ip_network(f"127.{network_number}.4.0/22").hosts())
        self._pod_addresses: dict[tuple[str, str], str] = {}

    def know_pod(self, namespace: str, name: str, address: str) -> None:
        """Remember a pod's address, for its DNS name under a headless Service."""
        self._pod_addresses[namespace, name] = address

    def address_of(self, host: str, service: str, namespace: str) -> str | None:
        """What the name [HOST.]SERVICE.NAMESPACE.svc means: the Service's address, or that of the pod HOST.

        A headless Service, or one that is not there yet, gets an address of its own that leads to its pods.
        """
        if host:
            return self._pod_addresses.get((namespace, host))
        found = self._client.get("services", namespace, service)
        address = found["spec"].get("clusterIP") if found else None
        if address and address != "None":
            return str(address)
        if (namespace, service) not in self._aliases:
            self._aliases[namespace, service] = next(self._free)
        return self._aliases[namespace, service]

    async def update(self, namespace: str, name: str) -> None:
        """Follow what a Service and its endpoints are now."""
        wanted = self._wanted(namespace, name)
        service = self._client.get("services", namespace, name)
        addresses = {self._aliases.get((namespace, name))}
        addresses.add(service["spec"].get("clusterIP") if service else None)
        for (address, number), port in list(self._ports.items()):
            if address in addresses and not wanted.get((address, number)):
                self._close(port)
                del self._ports[address, number]
        for key, targets in wanted.items():
            if targets:
                await self._open(key, targets)

    def forget(self, service: Manifest) -> None:
        """A Service is gone."""
        metadata = service["metadata"]
        addresses = {service["spec"].get("clusterIP"), self._aliases.get((metadata["namespace"], metadata["name"]))}
        for key, port in list(self._ports.items()):
            if key[0] in addresses:
                self._close(port)
                del self._ports[key]

    def _wanted(self, namespace: str, name: str) -> dict[tuple[str, int], list[tuple[str, int]]]:
        service = self._client.get("services", namespace, name)
        if service is None:
            return {}
        ready: dict[str, list[tuple[str, int]]] = {}
        for one in self._client.select("endpointslices", namespace):
            if (one["metadata"].get("labels") or {}).get(_SLICE) != name:
                continue
            for port in one.get("ports") or ():
                ready.setdefault(port.get("name", ""), []).extend(
                    (address, port["port"])
                    for endpoint in one.get("endpoints") or ()
                    if (endpoint.get("conditions") or {}).get("ready")
                    for address in endpoint["addresses"]
                )
        own = service["spec"].get("clusterIP")
        addresses = {self._aliases.get((namespace, name)), own if own != "None" else None} - {None}
        return {
            (str(address), port["port"]): ready.get(port.get("name", ""), [])
            for address in addresses
            for port in service["spec"].get("ports") or ()
            if port.get("protocol", "TCP") == "TCP"
        }

    async def _open(self, key: tuple[str, int], targets: list[tuple[str, int]]) -> None:
        port = self._ports.get(key)
        if port is None:
            port = self._ports[key] = _Port()
        port.targets = targets
        if port.server is None:
            opened = port
            try:
                port.server = await asyncio.get_running_loop().create_server(lambda: _Front(opened), *key, backlog=512)
            except OSError as error:
                del self._ports[key]
                _log.warning("a Service's port %s cannot be served: %s", key, error)

    def _close(self, port: _Port) -> None:
        if port.server is not None:
            port.server.close()

    def close(self) -> None:
        """Stop to listen."""
        for port in self._ports.values():
            self._close(port)
        self._ports.clear()
