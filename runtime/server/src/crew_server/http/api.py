"""The crew's API on port 8000, in the shape of CrewAI's platform. In: HTTP. Out: calls to `service.Service`."""

import time
from typing import Annotated, Any

from fastapi import FastAPI, Header, Path, Query, Response

import crew_server
from crew_server import requests
from crew_server.errors import BackendError, NotReadyError
from crew_server.http import events, failures, problems, sessions
from crew_server.http.middleware import BearerToken, BodyLimit, Leaving
from crew_server.service import Headers, Service

MAX_WAIT = 600.0
"""Seconds that ?wait may hold a connection; proxies close it earlier."""
_PROBLEMS: dict[int | str, dict[str, Any]] = {
    401: {"description": "The token is missing or wrong."},
    503: {"description": "The replica takes no kickoffs now; `reason` says why, Retry-After when to try again."},
}
_NOT_WAITING: dict[int | str, dict[str, Any]] = {
    404: {"description": "There is no such kickoff."},
    409: {"description": "The kickoff does not wait for this answer; `reason` says why."},
}
_STOP: dict[int | str, dict[str, Any]] = {
    400: {"description": "The kickoff has ended; `detail` has the platform's words, `details.status` ours."},
    404: {"description": "There is no such kickoff."},
}
KickoffId = Annotated[str, Path(description="As POST /kickoff returned it.")]


def create(service: Service, token: str | None) -> FastAPI:
    """The application."""
    app = FastAPI(
        title="Crew",
        version=crew_server.__version__,
        summary="Kick off a crew and read how it went",
        # Their pages load scripts from elsewhere, beside which a browser keeps a token.
        docs_url=None,
        redoc_url=None,
        default_response_class=problems.Json,
        responses=_PROBLEMS,
    )
    problems.install(app)
    app.add_middleware(BodyLimit)
    if token:
        app.add_middleware(BearerToken, token=token)
    app.add_middleware(Leaving, is_leaving=lambda: service.draining)

    sessions.install(app, service.sessions, service.history)
    events.install(app, service)
    failures.install(app, service)

    @app.get("/inputs", summary="The inputs that the crew's texts ask for")
    async def inputs() -> requests.InputNames:
        return requests.InputNames(inputs=list(service.input_names()))

    @app.post("/kickoff", summary="Start the crew", response_model=requests.KickoffAccepted | dict[str, Any])
    async def kickoff(
        body: requests.KickoffRequest,
        x_session_id: Annotated[str | None, Header()] = None,
        idempotency_key: Annotated[str | None, Header(description="The same key again is the same kickoff.")] = None,
        wait: Annotated[float, Query(ge=0, le=MAX_WAIT, description="Seconds to wait for the end.")] = 0.0,
    ) -> Response:
        accepted = await service.kickoff(body, Headers(_from_header(x_session_id), _from_header(idempotency_key)))
        headers = {"X-Session-Id": _to_header(accepted.session_id), "Location": f"/status/{accepted.kickoff_id}"}
        if accepted.known:
            headers["Idempotent-Replayed"] = "true"
        seen = await service.wait(accepted.kickoff_id, wait) if wait else None
        ids = requests.KickoffAccepted(kickoff_id=accepted.kickoff_id, session_id=accepted.session_id)
        return problems.Json(ids.model_dump() if seen is None else seen, headers=headers)

    @app.post("/kickoff_for_each", summary="Start the crew once for each of several inputs")
    async def kickoff_for_each(
        body: requests.ForEachRequest,
        x_session_id: Annotated[str | None, Header()] = None,
        idempotency_key: Annotated[str | None, Header(description="Stands for all of them together.")] = None,
        wait: Annotated[float, Query(ge=0, le=MAX_WAIT, description="Seconds to wait for the last end.")] = 0.0,
    ) -> Response:
        until = time.monotonic() + wait
        headers = Headers(_from_header(x_session_id), _from_header(idempotency_key))
        answers = []
        for one in await service.kickoff_for_each(body, headers):
            if isinstance(one, NotReadyError | BackendError):
                answers.append({"error": one.message, "reason": one.reason})
                continue
            left = until - time.monotonic()
            seen = await service.wait(one.kickoff_id, max(0.0, left)) if wait else None
            answers.append(seen or {"kickoff_id": one.kickoff_id, "session_id": one.session_id})
        return problems.Json({"kickoffs": answers})

    @app.get("/status/{kickoff_id}", summary="How a kickoff goes or went; any replica answers")
    async def status(kickoff_id: KickoffId) -> Response:
        return problems.Json(await service.status(kickoff_id))

    @app.post(
        "/resume",
        summary="Answer a kickoff that waits for a person; any replica takes it, once",
        response_model=requests.Resumed | dict[str, Any],
        responses=_NOT_WAITING,
    )
    async def resume(
        body: requests.ResumeRequest,
        wait: Annotated[float, Query(ge=0, le=MAX_WAIT, description="Seconds to wait for the end.")] = 0.0,
    ) -> Response:
        resumed = await service.resume(body)
        seen = await service.wait(resumed.kickoff_id, wait) if wait else None
        return problems.Json(resumed.model_dump() if seen is None else seen)

    @app.post(
        "/stop/{kickoff_id}",
        summary="Stop a kickoff, as DELETE /kickoff does, with the answers of CrewAI's platform",
        responses=_STOP,
    )
    async def stop(kickoff_id: KickoffId) -> requests.Stopped:
        await service.stop(kickoff_id)
        return requests.Stopped(kickoff_id=kickoff_id)

    @app.delete("/kickoff/{kickoff_id}", summary="Stop a kickoff, for real; any replica does it")
    async def cancel(kickoff_id: KickoffId) -> Response:
        return problems.Json(await service.cancel(kickoff_id))

    return app


def _to_header(text: str) -> str:
    """UTF-8 in a header: Starlette writes headers as Latin-1."""
    return text.encode().decode("latin-1")


def _from_header(value: str | None) -> str | None:
    """The reverse; what is no UTF-8 is taken as it came."""
    if value is None:
        return None
    try:
        return value.encode("latin-1").decode()
    except UnicodeDecodeError:
        return value
