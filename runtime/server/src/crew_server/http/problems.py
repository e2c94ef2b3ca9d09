"""The one table from what went wrong to what a client sees.

Every problem has the same body: `error` (title), `reason` (CamelCase, to program against), `message` (what to change),
`details`.
"""

import json
from collections.abc import Mapping
from typing import Any

from fastapi import FastAPI, Request
from fastapi.exceptions import RequestValidationError
from fastapi.responses import JSONResponse
from starlette.exceptions import HTTPException

from crew_runtime.contract import replica_reasons
from crew_runtime.contract.replica_reasons import ApiReason
from crew_server.errors import (
    BackendError,
    EndedError,
    HistoryError,
    IdempotencyKeyReusedError,
    MissingInputsError,
    NoHistoryError,
    NotReadyError,
    RequestError,
    ResumeError,
    SessionBusyError,
    UnknownKickoffError,
    UnknownSessionError,
    UnreadableError,
)
from crew_server.logs import Log

log = Log(__name__)

_TITLES = {
    400: "Invalid Request",
    401: "Unauthorized",
    404: "Not Found",
    405: "Method Not Allowed",
    409: "Conflict",
    413: "Too Large",
    415: "Unsupported Media Type",
    422: "Validation Error",
    500: "Internal Error",
    503: "Not Ready",
    504: "Timeout",
}
_HANDLED: tuple[type[Exception], ...] = (
    RequestError, UnknownKickoffError, UnknownSessionError, SessionBusyError, ResumeError, EndedError, NotReadyError,
    BackendError, HistoryError, NoHistoryError, UnreadableError, RequestValidationError, HTTPException,
)  # fmt: skip
_NOT_FOUND: dict[type[Exception], tuple[int, ApiReason]] = {
    UnknownKickoffError: (404, ApiReason.UNKNOWN_KICKOFF),
    UnknownSessionError: (404, ApiReason.UNKNOWN_SESSION),
    NoHistoryError: (404, ApiReason.NO_HISTORY),
    UnreadableError: (500, ApiReason.UNREADABLE),
}
RETRY_AFTER = 5
"""Seconds; a Redis that was killed is back in 1 to 5 s."""


class Json(JSONResponse):
    """JSON that any client can read: ASCII, so that a lone surrogate in a crew's text does no harm."""

    def render(self, content: Any) -> bytes:
        """The body."""
        return json.dumps(content, allow_nan=False, separators=(",", ":")).encode("ascii")


def problem(
    code: int,
    reason: str,
    message: str,
    *,
    details: Mapping[str, Any] | None = None,
    headers: Mapping[str, str] | None = None,
    more: Mapping[str, Any] | None = None,
) -> Json:
    """A problem as a response; `more`: fields by which clients of CrewAI's platform know it."""
    body = {"error": _TITLES.get(code, "Error"), "reason": reason, "message": message, "details": dict(details or {})}
    return Json(body | dict(more or {}), status_code=code, headers=dict(headers or {}))


def of(error: Exception) -> Json:
    """The table."""
    match error:
        case MissingInputsError():
            details = {"missing_inputs": list(error.missing)}
            return problem(422, ApiReason.MISSING_INPUTS, error.message, details=details)
        case IdempotencyKeyReusedError():
            return problem(422, ApiReason.IDEMPOTENCY_KEY_REUSED, error.message, details={"field": error.field})
        case RequestError():
            return problem(422, ApiReason.INVALID_FIELD, error.message, details={"field": error.field})
        case UnknownKickoffError() | UnknownSessionError() | NoHistoryError() | UnreadableError():
            return problem(*_NOT_FOUND[type(error)], str(error))
        case SessionBusyError():
            return problem(409, ApiReason.SESSION_BUSY, str(error), details={"running": error.running})
        case EndedError():
            ended = {"status": error.status, "state": error.state}
            return problem(400, ApiReason.ALREADY_ENDED, str(error), details=ended, more={"detail": str(error)})
        case ResumeError():
            return problem(409, error.reason, error.message, details={"status": error.status})
        case NotReadyError():
            return problem(503, error.reason, error.message, headers={"Retry-After": str(error.retry_after)})
        case BackendError() | HistoryError():  # `MemoryNotAcknowledged` may have been done all the same
            reason = replica_reasons.of_backend(error.reason) if isinstance(error, BackendError) else error.reason
            return problem(503, reason, error.message, headers={"Retry-After": str(RETRY_AFTER)})
        case RequestValidationError():
            return _validation(error)
        case HTTPException():
            reason = _TITLES.get(error.status_code, "Error").replace(" ", "")
            return problem(error.status_code, reason, str(error.detail), headers=error.headers)
    log.error("request failed by a fault of the server", exc_info=error)
    return problem(500, ApiReason.INTERNAL_ERROR, "the server failed on this request; its log says why")


def install(app: FastAPI) -> None:
    """Have `app` answer every error by the table."""

    async def answer(_: Request, error: Exception) -> Json:
        return of(error)

    for kind in _HANDLED:
        app.add_exception_handler(kind, answer)
    app.add_exception_handler(Exception, answer)


def _validation(error: RequestValidationError) -> Json:
    faults = error.errors()
    if any(one["loc"] == ("body",) and isinstance(one.get("input"), bytes) for one in faults):
        return problem(
            415, ApiReason.NOT_JSON, "send the body as JSON, with the header 'Content-Type: application/json'"
        )
    if any(one["loc"] == ("body",) and one["type"] == "missing" for one in faults):
        return problem(400, ApiReason.INVALID_JSON, "the body is empty; send a JSON object with 'inputs'")
    broken = next((one for one in faults if one["type"] == "json_invalid"), None)
    if broken is not None:
        why = broken.get("ctx", {}).get("error", "")
        return problem(400, ApiReason.INVALID_JSON, f"the body is not JSON: {why}".rstrip(": "))
    fields = [{"field": _place(one["loc"]), "message": _what(one)} for one in faults]
    message = "; ".join(f"{one['field']}: {one['message']}" for one in fields)
    return problem(422, ApiReason.INVALID_FIELD, message, details={"fields": fields})


def _place(loc: tuple[Any, ...]) -> str:
    inside = [str(one) for one in loc[1:]] if loc and loc[0] in ("body", "query", "header", "path") else list(loc)
    return ".".join(str(one) for one in inside) or "body"


def _what(fault: Mapping[str, Any]) -> str:
    if fault["type"] == "extra_forbidden":
        return "there is no such field in this version"
    return str(fault["msg"])
