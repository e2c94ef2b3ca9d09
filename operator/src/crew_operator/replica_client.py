"""The operator's only door to the replicas: their report, and a step of a proof. By the pod's own address."""

import contextlib
from collections.abc import AsyncIterator
from dataclasses import dataclass
from typing import Any, Final

import httpx

from crew_operator.status.observed import Failure
from crew_runtime import contract
from crew_runtime.contract import report as reports
from crew_runtime.contract.report import Report

REPORT_DEADLINE: Final = 2.0
"""Seconds. The server half answers within 50 ms whatever the crew does."""
PROOF_DEADLINE: Final = 6.0
"""Seconds: the server half itself gives up after 5."""
_UNAVAILABLE: Final = 503


@dataclass(frozen=True)
class Step:
    """What a replica answered to a step of a proof."""

    ok: bool
    found: bool = False
    error: str = ""


class ReplicaClient:
    """Requests to replicas. Made by `connect`."""

    def __init__(self, http: httpx.AsyncClient) -> None:
        self._http = http

    async def report(self, ip: str) -> Report | Failure:
        """What the replica says of itself, or why it said nothing."""
        try:
            answer = await self._http.get(f"{_url(ip)}/report", timeout=REPORT_DEADLINE)
            answer.raise_for_status()
            return reports.from_dict(answer.json())
        except (httpx.HTTPError, ValueError, TypeError, AttributeError) as error:  # the last three: not a report
            return Failure(_say(error))

    async def proof(self, ip: str, action: str, nonce: str) -> Step | None:
        """One step: `write`, `read` or `forget`. None: the replica has no prober just now."""
        try:
            body = {"action": action, "nonce": nonce}
            answer = await self._http.post(f"{_url(ip)}/proof", json=body, timeout=PROOF_DEADLINE)
            if answer.status_code == _UNAVAILABLE:
                return None
            answer.raise_for_status()
            return _step(answer.json())
        except (httpx.HTTPError, ValueError, TypeError, AttributeError) as error:
            return Step(ok=False, error=_say(error))


@contextlib.asynccontextmanager
async def connect() -> AsyncIterator[ReplicaClient]:
    """A client without proxies: pods are reached directly. Connections are not kept: pods come and go."""
    limits = httpx.Limits(max_keepalive_connections=0)
    async with httpx.AsyncClient(trust_env=False, limits=limits) as http:
        yield ReplicaClient(http)


def _url(ip: str) -> str:
    host = f"[{ip}]" if ":" in ip else ip
    return f"http://{host}:{contract.HEALTH_PORT}"


def _step(data: Any) -> Step:
    return Step(ok=data.get("ok") is True, found=data.get("found") is True, error=str(data.get("error") or ""))


def _say(error: Exception) -> str:
    text = " ".join(str(error).split())[:200]
    return f"{type(error).__name__}: {text}" if text else type(error).__name__
