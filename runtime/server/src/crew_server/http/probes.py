"""The second port: probes, metrics, report, changes, proof. Plain Starlette and no token: for the kubelet, the operator
and monitoring. It tells nothing of what kickoffs were given or said."""

import json
from collections.abc import AsyncIterator, Awaitable, Callable
from typing import Any

from starlette.applications import Starlette
from starlette.middleware import Middleware
from starlette.requests import Request
from starlette.responses import PlainTextResponse, Response, StreamingResponse
from starlette.routing import Route
from starlette.types import Receive, Scope, Send

from crew_runtime.contract import CHANGES_PATH
from crew_runtime.contract import report as reports
from crew_runtime.contract.replica_reasons import ApiReason
from crew_server.changes import MOST, Changes, TooManyListenersError
from crew_server.errors import NotReadyError, RequestError
from crew_server.health import Verdict
from crew_server.http.middleware import BodyLimit
from crew_server.http.problems import Json, of
from crew_server.prober import ACTIONS
from crew_server.service import Service

MAX_BODY = 4096
"""Bytes of any request; a proof has some hundred."""
DROP = 256 * 1024
"""Bytes that are read before who sends too much is cut off."""
MAX_NONCE = 128

_Handler = Callable[[Request], Awaitable[Response]]


def create(service: Service, changed: Changes) -> Starlette:
    """The application."""

    async def live(_: Request) -> Response:
        return Json({"live": True})

    async def startup(_: Request) -> Response:
        return _verdict(service.startup(), phase=service.phase())

    async def ready(request: Request) -> Response:
        # The kubelet's form: see `contract.SERVING_PATH`.
        return _verdict(service.serving() if "serving" in request.query_params else service.readiness())

    async def metrics(_: Request) -> Response:
        return PlainTextResponse(service.metrics.text(), media_type="text/plain; version=0.0.4; charset=utf-8")

    async def report(_: Request) -> Response:
        return Json(reports.to_dict(service.report()))

    async def changes(_: Request) -> Response:
        try:
            return _Stream(changed)
        except TooManyListenersError:
            return of(NotReadyError(ApiReason.TOO_MANY_LISTENERS, f"{MOST} listen to changes already", retry_after=60))

    async def proof(request: Request) -> Response:
        try:
            action, nonce = _proof(await request.body())
            return Json(await service.proof(action, nonce))
        except (RequestError, NotReadyError) as error:
            return of(error)

    routes: list[tuple[str, str, _Handler]] = [
        ("GET", "/livez", live),
        ("GET", "/startupz", startup),
        ("GET", "/readyz", ready),
        ("GET", "/metrics", metrics),
        ("GET", "/report", report),
        ("GET", CHANGES_PATH, changes),
        ("POST", "/proof", proof),
    ]
    return Starlette(
        routes=[Route(path, handler, methods=[method]) for method, path, handler in routes],
        middleware=[Middleware(BodyLimit, limit=MAX_BODY, drop=DROP)],
    )


class _Stream(StreamingResponse):
    """A line for each change, until the client or the server leaves; its head is sent at once. The line says nothing:
    who may know more asks for the report.
    """

    def __init__(self, changed: Changes) -> None:
        """Raises TooManyListenersError."""
        self._changed = changed
        self._listener = changed.listen()
        super().__init__(self._lines(), media_type="text/plain", headers={"Cache-Control": "no-store"})

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """ASGI."""
        try:
            await super().__call__(scope, receive, send)
        finally:
            self._changed.leave(self._listener)

    async def _lines(self) -> AsyncIterator[bytes]:
        async for _ in self._listener.signals():
            yield b"\n"


def _verdict(verdict: Verdict, **more: Any) -> Json:
    body = {"ready": verdict.ready, "reason": verdict.reason, "message": verdict.message, **more}
    return Json(body, status_code=200 if verdict.ready else 503)


def _proof(body: bytes) -> tuple[str, str]:
    try:
        asked = json.loads(body)
    except (ValueError, RecursionError):
        asked = None
    if not isinstance(asked, dict) or asked.get("action") not in ACTIONS:
        raise RequestError("action", f"send a JSON object with 'action', one of {', '.join(ACTIONS)}, and 'nonce'")
    nonce = asked.get("nonce")
    if not isinstance(nonce, str) or not 0 < len(nonce) <= MAX_NONCE:
        raise RequestError("nonce", f"'nonce' has to be text of 1 to {MAX_NONCE} characters")
    return asked["action"], nonce
