"""The second port: probes, metrics, report, proof. Plain Starlette and no token: for the kubelet and the operator."""

import json
from collections.abc import Awaitable, Callable
from typing import Any

from starlette.applications import Starlette
from starlette.requests import Request
from starlette.responses import PlainTextResponse, Response
from starlette.routing import Route

from crew_runtime.contract import report as reports
from crew_server.errors import NotReadyError, RequestError
from crew_server.health import Verdict
from crew_server.http.problems import Json, of
from crew_server.prober import ACTIONS
from crew_server.service import Service

MAX_PROOF = 4096
MAX_NONCE = 128

_Handler = Callable[[Request], Awaitable[Response]]


def create(service: Service) -> Starlette:
    """The application."""

    async def live(_: Request) -> Response:
        return Json({"live": True})

    async def startup(_: Request) -> Response:
        return _verdict(service.startup(), phase=service.phase())

    async def ready(_: Request) -> Response:
        return _verdict(service.readiness())

    async def metrics(_: Request) -> Response:
        return PlainTextResponse(service.metrics.text(), media_type="text/plain; version=0.0.4; charset=utf-8")

    async def report(_: Request) -> Response:
        return Json(reports.to_dict(service.report()))

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
        ("POST", "/proof", proof),
    ]
    return Starlette(routes=[Route(path, handler, methods=[method]) for method, path, handler in routes])


def _verdict(verdict: Verdict, **more: Any) -> Json:
    body = {"ready": verdict.ready, "reason": verdict.reason, "message": verdict.message, **more}
    return Json(body, status_code=200 if verdict.ready else 503)


def _proof(body: bytes) -> tuple[str, str]:
    try:
        asked = json.loads(body[:MAX_PROOF])
    except ValueError:
        asked = None
    if not isinstance(asked, dict) or asked.get("action") not in ACTIONS:
        raise RequestError("action", f"send a JSON object with 'action', one of {', '.join(ACTIONS)}, and 'nonce'")
    nonce = asked.get("nonce")
    if not isinstance(nonce, str) or not 0 < len(nonce) <= MAX_NONCE:
        raise RequestError("nonce", f"'nonce' has to be text of 1 to {MAX_NONCE} characters")
    return asked["action"], nonce
