"""What a client may ask of sessions. In: ids. Out: types of `types`, or an error of `errors`."""

import asyncio
import json
import re
from collections.abc import AsyncIterator, Awaitable, Callable, Mapping
from typing import Any

from crew_server.errors import RequestError, SessionBusyError, UnknownSessionError
from crew_server.logs import Log
from crew_server.sessions.store import UNFINISHED, SessionStore, Uses
from crew_server.sessions.types import Erased, Export, Message, MessagePage, SessionDetails, SessionPage

log = Log(__name__)

PATIENCE = 15.0
"""Seconds that an erasure by force waits for the session's kickoffs to have ended."""
LOOK_EVERY = 0.2

Cancel = Callable[[str], Awaitable[object]]
Noted = Callable[[str, Mapping[str, Any]], Awaitable[object]]


class Sessions:
    """The sessions of the crew, whichever replica they were used on."""

    def __init__(self, store: SessionStore, cancel: Cancel, noted: Noted | None = None) -> None:
        """`noted`: has a session taken out of the durable history, given how much was erased; None: nobody has."""
        self._store = store
        self._cancel = cancel
        self._noted = noted

    async def page(self, limit: int, cursor: str) -> SessionPage:
        """Raises BackendError."""
        found, following = await self._store.page(limit, cursor)
        return SessionPage(sessions=found, cursor=following)

    async def get(self, session_id: str) -> SessionDetails:
        """Raises UnknownSessionError, BackendError."""
        uses, flow, statuses, said = await self._find(session_id)
        return SessionDetails(
            session_id=session_id,
            records=uses.records,
            first_used=uses.first,
            last_used=uses.last,
            expires=uses.expires,
            flow_states=int(flow is not None),
            pending_feedback=int(bool(flow and flow["pending_feedback"])),
            messages=said,
            kickoffs=len(statuses),
            running=sum(one in UNFINISHED for one in statuses.values()),
        )

    async def messages(self, session_id: str, limit: int, cursor: str) -> MessagePage:
        """Raises UnknownSessionError, RequestError, BackendError."""
        place = _place(cursor)
        page = await self._store.messages(session_id, limit, place)
        if not page.total:
            await self._find(session_id)
        readable = [Message(**one) for one in page.found if one is not None]
        return MessagePage(
            session_id=session_id,
            messages=readable,
            unreadable=len(page.found) - len(readable),
            total=page.total,
            cursor=str(page.following) if page.following else None,
        )

    async def export(self, session_id: str, *, embeddings: bool) -> AsyncIterator[str]:
        """The JSON of a `types.Export`, in pieces: a session may have more than this process has memory for.

        Raises UnknownSessionError, BackendError, the second also between two pieces.
        """
        uses, flow, _, _ = await self._find(session_id)
        whole = Export(
            session_id=session_id,
            first_used=uses.first,
            last_used=uses.last,
            expires=uses.expires,
            flow_states=[] if flow is None else [flow],
            task_outputs=await self._store.task_outputs(session_id),
        ).model_dump(exclude={"records", "messages", "kickoffs"})
        yield _json(whole)[:-1]
        # Of a session that has ended, what is not yet erased is nobody's.
        records = _none() if uses.first is None else self._store.records(session_id, embeddings=embeddings)
        for name, rows in (
            ("records", records),
            ("messages", self._store.all_messages(session_id)),
            ("kickoffs", self._store.kickoffs(session_id)),
        ):
            yield f',"{name}":['
            comma = ""
            async for row in rows:
                yield comma + _json(row)
                comma = ","
            yield "]"
        yield "}"

    async def erase(self, session_id: str, *, force: bool) -> Erased:
        """Erase all of it; nothing there is no error, so that a client may ask again.

        `force`: stop its kickoffs first. Raises SessionBusyError, BackendError.
        """
        await self._wait_until_idle(session_id, force=force)
        records = await self._store.erase_records(session_id)
        states, pending = await self._store.erase_flow(session_id)
        outputs = await self._store.erase_task_outputs(session_id)
        checkpoints = await self._store.erase_checkpoints(session_id)
        said = await self._store.erase_messages(session_id)
        kickoffs, running = await self._store.strip_kickoffs(session_id)
        erased = Erased(
            session_id=session_id,
            records=records,
            flow_states=states,
            pending_feedback=pending,
            task_outputs=outputs,
            checkpoints=checkpoints,
            messages=said,
            kickoffs=kickoffs,
        )
        log.info("session erased", **erased.model_dump(), running=running)
        if running:
            raise SessionBusyError(session_id, running)
        if self._noted is not None:
            await self._noted(session_id, erased.model_dump(exclude={"session_id"}))
        await self._store.erased()
        return erased

    async def _find(self, session_id: str) -> tuple[Uses, dict[str, Any] | None, dict[str, str], int]:
        """Uses of its memory, flow state, statuses of its kickoffs, number of its messages. Raises UnknownSessionError
        without any of them.
        """
        uses = await self._store.uses(session_id)
        flow = await self._store.flow(session_id)
        statuses = await self._store.statuses(session_id)
        said = (await self._store.messages(session_id, 1, 0)).total
        if uses.first is None and flow is None and not statuses and not said:
            raise UnknownSessionError(session_id)
        return uses, flow, statuses, said

    async def _wait_until_idle(self, session_id: str, *, force: bool) -> None:
        loop = asyncio.get_running_loop()
        ends, cancelled = loop.time() + PATIENCE, set[str]()
        while True:
            running = await self._store.busy(session_id)
            if not running:
                return
            if not force or loop.time() > ends:
                raise SessionBusyError(session_id, len(running))
            for kickoff_id in set(running) - cancelled:
                await self._cancel(kickoff_id)
                cancelled.add(kickoff_id)
            await asyncio.sleep(LOOK_EVERY)


def _place(cursor: str) -> int:
    """Raises RequestError for a cursor that no page named."""
    if not cursor:
        return 0
    if not re.fullmatch(r"[1-9][0-9]{0,8}", cursor):
        raise RequestError("cursor", "cursor has to be one that a page returned")
    return int(cursor)


def _json(value: Any) -> str:
    return json.dumps(value, allow_nan=False, separators=(",", ":"))


async def _none() -> AsyncIterator[dict[str, Any]]:
    nothing: tuple[dict[str, Any], ...] = ()
    for row in nothing:
        yield row
