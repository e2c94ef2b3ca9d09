"""What every request to the crew's API passes: the bearer token, the limit of its size, the farewell. Plain ASGI."""

import hmac
from collections.abc import Callable

from starlette.datastructures import Headers
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from crew_runtime.contract.replica_reasons import ApiReason
from crew_server.http import problems

MAX_BODY = 1024 * 1024
"""Bytes. A kickoff's inputs lie in Redis and go to a slot in one frame; what is larger belongs into a store."""
DROP = 64 * 1024 * 1024
"""Bytes that are read before a client which sends too much is cut off."""
OPEN_PATHS = frozenset({"/openapi.json"})
"""It tells nothing of the crew."""
KEY_HEADER = "x-api-key"
"""Takes the token as well: what stands between may keep Authorization for itself, as the API server's proxy does."""


class BearerToken:
    """Answers 401 unless the request carries the token."""

    def __init__(self, app: ASGIApp, token: str) -> None:
        self._app = app
        self._expected = token.encode()

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """ASGI."""
        if scope["type"] != "http" or scope["path"] in OPEN_PATHS or self._allowed(scope):
            await self._app(scope, receive, send)
            return
        response = problems.problem(
            401,
            ApiReason.UNAUTHORIZED,
            "send the crew's token in the header 'Authorization: Bearer <token>', or in X-API-Key",
            headers={"WWW-Authenticate": "Bearer"},
        )
        await response(scope, receive, send)

    def _allowed(self, scope: Scope) -> bool:
        headers = Headers(scope=scope)
        scheme, _, token = headers.get("authorization", "").partition(" ")
        shown = [token if scheme.lower() == "bearer" else "", headers.get(KEY_HEADER, "")]
        return any(hmac.compare_digest(one.strip().encode("utf-8", "replace"), self._expected) for one in shown)


class Leaving:
    """Closes each connection with its next answer while the replica is shut down: the client's next one goes to another
    replica."""

    def __init__(self, app: ASGIApp, is_leaving: Callable[[], bool]) -> None:
        self._app = app
        self._is_leaving = is_leaving

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """ASGI."""

        async def closing(message: Message) -> None:
            if message["type"] == "http.response.start" and self._is_leaving():
                message = {**message, "headers": [*message.get("headers", ()), (b"connection", b"close")]}
            await send(message)

        await self._app(scope, receive, closing if scope["type"] == "http" else send)


class BodyLimit:
    """Reads the body before the application does, and answers 413 when it is too long."""

    def __init__(self, app: ASGIApp, limit: int = MAX_BODY, drop: int = DROP) -> None:
        self._app = app
        self._limit = limit
        self._drop = drop

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """ASGI."""
        if scope["type"] != "http" or scope["method"] in ("GET", "HEAD", "DELETE"):
            await self._app(scope, receive, send)
            return
        body = await _read(receive, self._limit, self._drop)
        if body is None:
            text = (
                f"the body is over the limit of {self._limit} bytes; put large data into a store and pass a reference"
            )
            response = problems.problem(413, ApiReason.TOO_LARGE, text, headers={"Connection": "close"})
            await response(scope, receive, send)
            return
        await self._app(scope, _replay(body, receive), send)


async def _read(receive: Receive, limit: int, drop: int) -> bytes | None:
    """The body, or None when it is over the limit.

    What is over it is read and dropped, up to `drop` bytes: a client that still sends when the connection closes gets a
    reset and never sees the answer.
    """
    parts, length, more = [], 0, True
    while more and length <= drop:
        message = await receive()
        if message["type"] == "http.disconnect":
            break
        part = message.get("body", b"")
        length += len(part)
        if length <= limit:
            parts.append(part)
        more = message.get("more_body", False)
    return b"".join(parts) if length <= limit else None


def _replay(body: bytes, receive: Receive) -> Receive:
    waiting: list[Message] = [{"type": "http.request", "body": body, "more_body": False}]

    async def replay() -> Message:
        return waiting.pop() if waiting else await receive()

    return replay
