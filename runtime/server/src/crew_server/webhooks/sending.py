"""One POST to a receiver: within a deadline, to an address that is allowed, without following anything.

In: URL, headers, body. Out: the status, or `SendError`. What the receiver answers beside its status is not read.
"""

import asyncio
import socket
import ssl
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any
from urllib.parse import urlsplit

import httpcore

from crew_runtime import resolver
from crew_server.webhooks import receivers

TIMEOUT = 10.0
"""Seconds for the whole of it."""


class SendError(Exception):
    """No answer. The message is short, and for the user."""

    def __init__(self, message: str, *, final: bool = False) -> None:
        super().__init__(message)
        self.final = final
        """It would be the same another time."""


@dataclass(frozen=True)
class ReceiverAnswer:
    """What the receiver said."""

    status: int
    retry_after: float | None = None
    """Seconds, where it asked for a pause."""


class Sender:
    """A pool of connections that are kept for a while."""

    def __init__(self, hosts: Sequence[str]) -> None:
        self._pool = httpcore.AsyncConnectionPool(
            ssl_context=ssl.create_default_context(),
            max_connections=64,
            max_keepalive_connections=16,
            keepalive_expiry=30.0,
            network_backend=_Checked(hosts),
        )

    async def post(self, url: str, headers: Mapping[str, str], content: bytes) -> ReceiverAnswer:
        """Raises SendError."""
        try:
            async with asyncio.timeout(TIMEOUT):
                # httpcore adds none of its own.
                own = {"host": urlsplit(url).netloc, "user-agent": "crewops", "content-length": str(len(content))}
                async with self._pool.stream(
                    "POST", url, headers=list({**own, **headers}.items()), content=content
                ) as response:
                    return ReceiverAnswer(response.status, _retry_after(response.headers))
        except TimeoutError as error:
            raise SendError(f"no answer within {TIMEOUT:g} s") from error
        except (httpcore.NetworkError, httpcore.TimeoutException, httpcore.ProtocolError, OSError) as error:
            raise SendError(f"no answer: {error or type(error).__name__}") from error
        except httpcore.UnsupportedProtocol as error:
            raise SendError(str(error), final=True) from error
        except SendError:
            raise
        except Exception as error:
            # A URL or header that cannot be encoded, or what a library makes of a hostile answer.
            raise SendError(f"cannot be sent: {type(error).__name__}: {error}"[:500], final=True) from error

    async def close(self) -> None:
        """Drop the connections."""
        await self._pool.aclose()


class _Checked(httpcore.AnyIOBackend):
    """Connects to allowed addresses only; looked up here, so that the one which is checked is the one that is used."""

    def __init__(self, hosts: Sequence[str]) -> None:
        super().__init__()
        self._hosts = hosts
        # Not in asyncio's few threads: Redis' own name waits there, and a host's name is the choice of whoever calls.
        self._resolver = resolver.Resolver(each=resolver.MOST)

    async def connect_tcp(
        self,
        host: str,
        port: int,
        timeout: float | None = None,  # noqa: ASYNC109 - httpcore's name for it
        local_address: str | None = None,
        socket_options: Iterable[Any] | None = None,
    ) -> httpcore.AsyncNetworkStream:
        try:
            addresses = await self._resolver.addresses(host, "")
        except OSError as error:
            raise httpcore.ConnectError(f"{host} cannot be resolved") from error
        except UnicodeError as error:
            raise SendError(f"{host[:100]} is no host's name", final=True) from error
        allowed = [one for one in addresses if not receivers.refused(one, host, self._hosts, own=is_own(one))]
        if not allowed:
            text = (
                f"{host} is {addresses[0]}, which no webhook may reach unless spec.crew.webhookHosts names it: the "
                "host without a wildcard, or the address"
            )
            raise SendError(text, final=True)
        for at, address in enumerate(allowed):
            try:
                return await super().connect_tcp(address, port, timeout, local_address, socket_options)
            except httpcore.ConnectError:
                if at == len(allowed) - 1:
                    raise
        raise httpcore.ConnectError(f"{host} cannot be reached")


def is_own(address: str) -> bool:
    """Whether it is one of this pod's: only such a one can be bound to."""
    family = socket.AF_INET6 if ":" in address else socket.AF_INET
    with socket.socket(family, socket.SOCK_DGRAM) as probe:
        try:
            probe.bind((address.partition("%")[0], 0))
        except OSError:
            return False
    return True


def _retry_after(headers: Iterable[tuple[bytes, bytes]]) -> float | None:
    for name, value in headers:
        if name.lower() == b"retry-after" and value.strip().isdigit():
            return float(value)
    return None
