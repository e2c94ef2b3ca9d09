"""`/sessions`: what is kept of each session, to be listed, exported and erased."""

from collections.abc import AsyncIterator
from typing import Annotated, Any
from urllib.parse import unquote

from fastapi import APIRouter, FastAPI, Path, Query, Response
from fastapi.responses import StreamingResponse
from starlette.types import ASGIApp, Receive, Scope, Send

from crew_server import requests
from crew_server.history.service import History
from crew_server.http import problems
from crew_server.sessions.service import Sessions
from crew_server.sessions.types import Erased, Export, MessagePage, SessionDetails, SessionPage

MAX_LIMIT = 1000
MAX_HISTORY = 100
_PREFIX = b"/sessions/"
_ABSENT: dict[int | str, dict[str, Any]] = {404: {"description": "Nothing is kept of this session."}}
_BUSY: dict[int | str, dict[str, Any]] = {
    409: {"description": "A kickoff of this session runs; wait for its end, or send ?force=true."}
}
_NO_HISTORY: dict[int | str, dict[str, Any]] = {
    404: {"description": "The crew has no durable history (spec.history.postgres)."},
    503: {"description": "Postgres does not answer; `reason` says why."},
}
SessionId = Annotated[str, Path(description="Percent-encoded: `a/b` is `a%2Fb`.")]


class EncodedIds:
    """Routes by the path as it was sent: an id may hold a slash, and `a%2Fexport` is no export."""

    def __init__(self, app: ASGIApp) -> None:
        self._app = app

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """ASGI."""
        if scope["type"] == "http" and scope.get("raw_path", b"").startswith(_PREFIX):
            scope = {**scope, "path": scope["raw_path"].decode("latin-1")}
        await self._app(scope, receive, send)


def install(app: FastAPI, sessions: Sessions, history: History) -> None:
    """Add the routes."""
    app.add_middleware(EncodedIds)
    app.include_router(_router(sessions, history))


def _router(sessions: Sessions, history: History) -> APIRouter:
    router = APIRouter(prefix="/sessions", tags=["sessions"])

    @router.get("", summary="The sessions that used the crew's memory, newest first", response_model=SessionPage)
    async def page(
        limit: Annotated[int, Query(ge=1, le=MAX_LIMIT, description="Sessions on a page.")] = 100,
        cursor: Annotated[str, Query(max_length=4096, description="As the page before returned it.")] = "",
    ) -> Response:
        return problems.Json((await sessions.page(limit, cursor)).model_dump())

    @router.get(
        "/{session_id}", summary="How much is kept of a session", response_model=SessionDetails, responses=_ABSENT
    )
    async def get(session_id: SessionId) -> Response:
        return problems.Json((await sessions.get(_decoded(session_id))).model_dump())

    @router.get(
        "/{session_id}/messages",
        summary="What was said in a session, newest first",
        response_model=MessagePage,
        responses=_ABSENT,
    )
    async def messages(
        session_id: SessionId,
        limit: Annotated[
            int, Query(ge=1, le=MAX_LIMIT, description="Messages on a page; long ones make it shorter.")
        ] = 100,
        cursor: Annotated[str, Query(max_length=20, description="As the page before returned it.")] = "",
    ) -> Response:
        return problems.Json((await sessions.messages(_decoded(session_id), limit, cursor)).model_dump())

    @router.get(
        "/{session_id}/history",
        summary="The kickoffs of a session as the durable history in Postgres has them, newest first",
        responses=_NO_HISTORY,
    )
    async def durable(
        session_id: SessionId,
        limit: Annotated[
            int, Query(ge=1, le=MAX_HISTORY, description="Kickoffs on a page; long ones make it shorter.")
        ] = 20,
        cursor: Annotated[str, Query(max_length=400, description="As the page before returned it.")] = "",
    ) -> Response:
        return problems.Json(await history.page(_decoded(session_id), limit, cursor))

    @router.get(
        "/{session_id}/export",
        summary="All that is kept of a session: memories, messages, flow states, kickoffs",
        response_model=Export,
        responses=_ABSENT,
    )
    async def export(
        session_id: SessionId,
        embeddings: Annotated[bool, Query(description="Also the vectors of the memories.")] = False,
    ) -> Response:
        pieces = sessions.export(_decoded(session_id), embeddings=embeddings)
        # What is wrong with the request has to be told before the answer begins.
        first = await anext(pieces)
        return StreamingResponse(_behind(first, pieces), media_type="application/json")

    @router.delete(
        "/{session_id}",
        summary="Erase all of a session, for good; says how much there was",
        response_model=Erased,
        responses=_BUSY,
    )
    async def erase(
        session_id: SessionId,
        force: Annotated[bool, Query(description="Stop its running kickoffs first.")] = False,
    ) -> Response:
        return problems.Json((await sessions.erase(_decoded(session_id), force=force)).model_dump())

    return router


async def _behind(first: str, pieces: AsyncIterator[str]) -> AsyncIterator[str]:
    yield first
    async for piece in pieces:
        yield piece


def _decoded(segment: str) -> str:
    chosen = requests.session_id(unquote(segment, errors="surrogatepass"), None)
    assert chosen is not None  # noqa: S101 - only None gives None
    return chosen
