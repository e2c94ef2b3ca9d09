"""How clients outside reach a crew: by its Service, found and asked anew as a client behind DNS would."""

import itertools
import time
from typing import Any

import httpx

from support.hotel import Hotel
from support.real_cluster import RealCluster

DEADLINE = 5.0
"""Seconds that a client waits for an answer."""
FRESH = 1.0
"""Seconds for which an address is remembered, as by DNS."""


class Door:
    """The API of a crew. `directly`: at its replicas' own addresses, in turn, and not by its Service."""

    def __init__(self, hotel: Hotel, *, directly: bool = False) -> None:
        self._hotel = hotel
        self._directly = directly
        self._turn = itertools.count()
        self._known: tuple[float, list[dict[str, Any]]] = (0.0, [])
        self._token = hotel.token()

    def ask(self, path: str, body: dict[str, Any] | None = None, timeout: float = DEADLINE) -> httpx.Response:
        """POST `body`, or GET. Raises whatever is raised when there is no answer."""
        targets = self._targets()
        target = targets[next(self._turn) % len(targets)]
        answer: httpx.Response = self._hotel.cluster.ask(target, path, body, timeout, self._token)
        if answer.status_code == httpx.codes.UNAUTHORIZED:
            self._token = self._hotel.token()
        return answer

    def _targets(self) -> list[dict[str, Any]]:
        asked, known = self._known
        if known and (time.monotonic() - asked < FRESH or self._directly):
            return known
        found = self._look()
        if not found:
            raise httpx.ConnectError("there is no such Service")
        self._known = time.monotonic(), found
        return found

    def _look(self) -> list[dict[str, Any]]:
        if self._directly or isinstance(self._hotel.cluster, RealCluster):
            return self._hotel.replicas()
        service = self._hotel.api.get(f"/api/v1/namespaces/{self._hotel.namespace}/services/{self._hotel.name}")
        return [{"status": {"podIP": service["spec"]["clusterIP"]}}] if service else []
