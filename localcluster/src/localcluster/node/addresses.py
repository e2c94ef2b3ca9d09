"""Loopback addresses: every cluster on this machine has a /16 of 127.0.0.0/8 of its own, every pod an address of it."""

import ipaddress
import socket
from collections.abc import Iterator
from dataclasses import dataclass, field

from localcluster.errors import ClusterError

_LOCK_PORT = 10250
"""The kubelet's, of UDP: a real kubelet on this machine has that of TCP at every address. Whoever holds it at
127.N.0.10 has 127.N.0.0/16; the kernel frees it with the process."""


@dataclass
class Network:
    """A cluster's addresses: the node 127.N.0.10, pods in 127.N.1.0/24, Services in 127.N.2.0/24."""

    number: int
    _lock: socket.socket
    _given: dict[str, str] = field(default_factory=dict)
    _kept: dict[tuple[str, str], str] = field(default_factory=dict)
    _next: int = 0

    @property
    def node(self) -> str:
        """The node's own address."""
        return f"127.{self.number}.0.10"

    @property
    def service_cidr(self) -> str:
        """Where Services' addresses come from."""
        return f"127.{self.number}.2.0/24"

    def pod(self, uid: str, namespace: str, name: str, *, stable: bool) -> str:
        """An address for a pod. A `stable` pod (of a StatefulSet) gets the one that its predecessor of that name had.

        Raises:
            ClusterError: when more than 500 pods run.

        """
        kept = self._kept.get((namespace, name)) if stable else None
        address = kept if kept and kept not in self._given.values() else self._free()
        self._given[uid] = address
        if stable:
            self._kept[namespace, name] = address
        return address

    def release(self, uid: str) -> None:
        """Give a pod's address back."""
        self._given.pop(uid, None)

    def _free(self) -> str:
        taken = {*self._given.values(), *self._kept.values()}
        pool = self._pool()
        for offset in range(len(pool)):
            address = pool[(self._next + offset) % len(pool)]
            if address not in taken:
                self._next += offset + 1
                return address
        raise ClusterError(f"all {len(pool)} pod addresses are taken")

    def _pool(self) -> list[str]:
        blocks = (f"127.{self.number}.1.0/24", f"127.{self.number}.3.0/24")
        # 127.0.1.1 is what Debian calls this machine by
        return [str(one) for block in blocks for one in ipaddress.ip_network(block).hosts()][1:]

    def close(self) -> None:
        """Leave the /16 to others."""
        self._lock.close()


def _candidates() -> Iterator[int]:
    yield 0
    yield from range(16, 255)


def claim() -> Network:
    """Take the first /16 that no other cluster on this machine has. Raises ClusterError when there is none."""
    for number in _candidates():
        lock = socket.socket(type=socket.SOCK_DGRAM)
        try:
            lock.bind((f"127.{number}.0.10", _LOCK_PORT))
        except OSError:
            lock.close()
            continue
        return Network(number, lock)
    raise ClusterError(
        "no loopback network is free for the cluster's pods: Linux has all of"
        " 127.0.0.0/8, other systems have not; stop other local clusters with 'crewctl down'"
    )
