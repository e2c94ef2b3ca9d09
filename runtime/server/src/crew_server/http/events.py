"""A kickoff's events as server-sent events. In: HTTP. Out: calls to `service.Service`.

Format: https://html.spec.whatwg.org/multipage/server-sent-events.html
"""

import json
from collections.abc import AsyncIterator
from typing import Annotated, Any

from fastapi import FastAPI, Header, Path, Request, Response
from fastapi.responses import StreamingResponse

from crew_server.errors import BackendError
from crew_server.events.following import BEGINNING, Told
from crew_server.http import problems
from crew_server.service import Service

_HEADERS = {"Cache-Control": "no-store", "X-Accel-Buffering": "no"}
"""The second tells nginx to pass each event on at once."""


def install(app: FastAPI, service: Service) -> None:
    """Add the call."""

    @app.get(
        "/kickoff/{kickoff_id}/events",
        summary="The progress of a kickoff, as it happens; from any replica",
        responses={204: {"description": "It has ended, and reported nothing after that event."}},
    )
    async def events(
        kickoff_id: Annotated[str, Path(description="As POST /kickoff returned it.")],
        request: Request,
        last_event_id: Annotated[str, Header(description="Goes on behind this event.")] = BEGINNING,
    ) -> Response:
        seen = await service.status(kickoff_id)
        if await service.told_all(kickoff_id, last_event_id):
            # The one answer after which a browser's EventSource does not connect again.
            return Response(status_code=204)
        client = request.client.host if request.client is not None else ""
        following = service.events(kickoff_id, last_event_id, client)
        # What is wrong with the request has to be told before the stream begins.
        first = await anext(following)
        stream = _stream(service, kickoff_id, seen["session_id"], first, following)
        return StreamingResponse(stream, media_type="text/event-stream", headers=_HEADERS)


async def _stream(
    service: Service, kickoff_id: str, session_id: str, first: Told, following: AsyncIterator[Told]
) -> AsyncIterator[str]:
    ids = {"kickoff_id": kickoff_id, "session_id": session_id}
    told: Told | None = first
    over = False
    while told is not None:
        if not told.id:
            if over:
                # Ended before this pause as well, and still nothing came: its events were erased, or have expired.
                return
            yield ": nothing new\n\n"
            over = await _over(service, kickoff_id)
        elif told.type == "end":
            yield _event(told, await service.status(kickoff_id))
        else:
            yield _event(told, {**json.loads(told.data), **ids, "attempt": told.attempt})
        told = await anext(following, None)


async def _over(service: Service, kickoff_id: str) -> bool:
    try:
        return await service.told_all(kickoff_id)
    except BackendError:
        return False


def _event(told: Told, data: dict[str, Any]) -> str:
    return f"id: {told.id}\nevent: {told.type}\ndata: {bytes(problems.Json(data).body).decode()}\n\n"
