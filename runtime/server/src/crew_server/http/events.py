"""A kickoff's events as server-sent events. In: HTTP. Out: calls to `service.Service`.

Format: https://html.spec.whatwg.org/multipage/server-sent-events.html
"""

import json
from collections.abc import AsyncIterator
from typing import Annotated, Any

from fastapi import FastAPI, Header, Path
from fastapi.responses import StreamingResponse

from crew_server.http import problems
from crew_server.runs.following import BEGINNING, Told
from crew_server.service import Service

_HEADERS = {"Cache-Control": "no-store", "X-Accel-Buffering": "no"}
"""The second tells nginx to pass each event on at once."""


def install(app: FastAPI, service: Service) -> None:
    """Add the call."""

    @app.get("/kickoff/{kickoff_id}/events", summary="What a kickoff tells of itself, as it happens; from any replica")
    async def events(
        kickoff_id: Annotated[str, Path(description="As POST /kickoff returned it.")],
        last_event_id: Annotated[str, Header(description="Goes on behind this event.")] = BEGINNING,
    ) -> StreamingResponse:
        seen = await service.status(kickoff_id)
        following = service.events(kickoff_id, last_event_id)
        # What is wrong with the request has to be told before the stream begins.
        first = await anext(following)
        stream = _stream(service, kickoff_id, seen["session_id"], first, following)
        return StreamingResponse(stream, media_type="text/event-stream", headers=_HEADERS)


async def _stream(
    service: Service, kickoff_id: str, session_id: str, first: Told, following: AsyncIterator[Told]
) -> AsyncIterator[str]:
    ids = {"kickoff_id": kickoff_id, "session_id": session_id}
    told: Told | None = first
    while told is not None:
        if not told.id:
            yield ": nothing new\n\n"
        elif told.type == "end":
            yield _event(told, await service.status(kickoff_id))
        else:
            yield _event(told, {**json.loads(told.data), **ids, "attempt": told.attempt})
        told = await anext(following, None)


def _event(told: Told, data: dict[str, Any]) -> str:
    return f"id: {told.id}\nevent: {told.type}\ndata: {bytes(problems.Json(data).body).decode()}\n\n"
