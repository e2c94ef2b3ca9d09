"""The operator's only door to the replicas: their report, and a step of a proof. By the pod's own address.

A replica runs whatever image its spec names, so an answer is a claim by a stranger: read up to a bound, under one
deadline for the whole call, never unpacked, and judged before anything believes its types. Never raises.
"""

import asyncio
import contextlib
import json
import socket
import time
from collections.abc import AsyncIterator
from dataclasses import replace
from typing import Any, Final

import aiohttp
from aiohttp import AddrInfoType

from crew_operator.status import replies
from crew_operator.status.observed import Failure
from crew_operator.status.replies import NotAReportError, Step
from crew_runtime import contract
from crew_runtime.contract.report import Report

REPORT_DEADLINE: Final = 2.0
"""Seconds. The server half answers within 50 ms whatever the crew does."""
PROOF_DEADLINE: Final = 6.0
"""Seconds: the server half itself gives up after 5."""
FORGET_DEADLINE: Final = 2.0
"""Seconds: what is not forgotten expires by itself."""
REPORT_BYTES: Final = 256 * 1024
PROOF_BYTES: Final = 16 * 1024
_UNAVAILABLE: Final = 503
_PLAIN: Final = {"Accept-Encoding": "identity"}
_BUFFER: Final = 16 * 1024
"""Bytes that the kernel takes before they are read, twice that at most. What is read at once is parsed at once, and of
the shortest answers, which nobody asked for, 100 go into 4 KiB."""
_UNTIMED: Final = aiohttp.ClientTimeout()
"""The library's own timers: each call has one deadline for all of it."""


class _RefusedError(Exception):
    """An answer that is not read on. Its text is ours."""


class ReplicaClient:
    """Requests to replicas. Made by `connect`."""

    def __init__(self, http: aiohttp.ClientSession) -> None:
        self._http = http

    async def report(self, ip: str) -> Report | Failure:
        """What the replica says of itself, with its times in our clock, or why it said nothing."""
        begun = time.time()
        try:
            status, body = await self._ask("GET", f"{_url(ip)}/report", REPORT_DEADLINE, REPORT_BYTES)
            if status != 200:
                return Failure(f"it answered with HTTP status {status}")
            return _in_our_clock(replies.report(json.loads(body)), begun)
        except Exception as error:  # noqa: BLE001 - whatever a replica can make us raise is what was seen of it
            return Failure(_say(error, REPORT_DEADLINE))

    async def proof(self, ip: str, action: str, nonce: str) -> Step | None:
        """One step: `write`, `read` or `forget`. None: the replica has no prober just now."""
        deadline = FORGET_DEADLINE if action == "forget" else PROOF_DEADLINE
        try:
            body = {"action": action, "nonce": nonce}
            status, answer = await self._ask("POST", f"{_url(ip)}/proof", deadline, PROOF_BYTES, json=body)
            if status == _UNAVAILABLE:
                return None
            if status != 200:
                return Step(ok=False, error=f"it answered with HTTP status {status}")
            return replies.step(json.loads(answer))
        except Exception as error:  # noqa: BLE001 - as above
            return Step(ok=False, error=_say(error, deadline))

    async def _ask(self, method: str, url: str, deadline: float, most: int, **body: Any) -> tuple[int, bytes]:
        """Status and body."""
        async with (
            asyncio.timeout(deadline),
            self._http.request(method, url, allow_redirects=False, **body) as answer,
        ):
            if answer.headers.get("Content-Encoding", "identity").strip().lower() not in ("", "identity"):
                raise _RefusedError("its answer is compressed, which was not asked for")
            found = bytearray()
            async for piece in answer.content.iter_any():
                found += piece
                if len(found) > most:
                    raise _RefusedError(f"its answer is longer than {most // 1024} KiB")
            return answer.status, bytes(found)


@contextlib.asynccontextmanager
async def connect() -> AsyncIterator[ReplicaClient]:
    """A client without proxies: pods are reached directly. Connections are not kept: pods come and go."""
    async with aiohttp.ClientSession(
        connector=aiohttp.TCPConnector(limit=0, force_close=True, use_dns_cache=False, socket_factory=_socket),
        cookie_jar=aiohttp.DummyCookieJar(),
        auto_decompress=False,
        headers=_PLAIN,
        timeout=_UNTIMED,
        trust_env=False,
    ) as http:
        yield ReplicaClient(http)


def _socket(address: AddrInfoType) -> socket.socket:
    family, kind, protocol, *_ = address
    made = socket.socket(family, kind, protocol)
    made.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, _BUFFER)
    return made


def _url(ip: str) -> str:
    host = f"[{ip}]" if ":" in ip else ip
    return f"http://{host}:{contract.HEALTH_PORT}"


def _in_our_clock(told: Report, asked_at: float) -> Report:
    """A replica's clock may be minutes away from ours. It said when it spoke, which was after we asked: what it did
    by its clock is set back by at least as much."""
    if not told.time or not told.backend.checked_at:
        return told
    return replace(told, backend=replace(told.backend, checked_at=told.backend.checked_at + asked_at - told.time))


def _say(error: Exception, deadline: float) -> str:
    """What a failed call says, without a word of the answer."""
    match error:
        case _RefusedError():
            return str(error)
        case TimeoutError():
            return f"no whole answer within {deadline:g} s"
        case aiohttp.ClientConnectorError():
            return "no connection: refused, or no route"
        case aiohttp.ClientPayloadError() | aiohttp.ClientResponseError() | aiohttp.ServerDisconnectedError():
            return "its answer is not HTTP, or ended too early"
        case aiohttp.ClientError():
            return f"no answer: {type(error).__name__}"
        case NotAReportError():
            return f"its answer is not what a replica says: {error}"
        case ValueError() | RecursionError():
            return "its answer is not JSON"
    return f"no answer: {type(error).__name__}"
