"""What a client may ask of the durable history. In: ids. Out: plain JSON types, or an error of `errors`."""

import asyncio
import base64
import binascii
import json
from datetime import UTC, datetime
from typing import Any, Final

from crew_runtime.contract.replica_reasons import HistoryReason
from crew_server.errors import HistoryError, NoHistoryError, RequestError
from crew_server.history.store import Place, Store, shown

AT_ONCE: Final = 2
"""Connections for reading; who comes while they are taken waits."""
WAIT_SECONDS: Final = 10.0


class History:
    """The durable history of the crew; None of a store: it has none."""

    def __init__(self, store: Store | None) -> None:
        self._store = store
        self._free = asyncio.Semaphore(AT_ONCE)

    async def page(self, session_id: str, limit: int, cursor: str) -> dict[str, Any]:
        """Its kickoffs, newest first. Raises NoHistoryError, RequestError, HistoryError."""
        if self._store is None:
            raise NoHistoryError
        place = _place(cursor)
        try:
            async with asyncio.timeout(WAIT_SECONDS):
                await self._free.acquire()
        except TimeoutError as error:
            raise HistoryError(HistoryReason.TIMEOUT, "too many read the history at once; try again") from error
        try:
            found, following = await self._store.page(session_id, limit, place)
        finally:
            self._free.release()
        for one in found:
            for name in ("tasks", "human_input"):
                one[name] = [_told(row) for row in one[name]]
        return {
            "session_id": session_id,
            "kickoffs": [shown(one) for one in found],
            "cursor": _cursor(following) if following else None,
        }


def _told(row: dict[str, Any]) -> dict[str, Any]:
    """Without what the kickoff around it says."""
    return shown({name: one for name, one in row.items() if name not in ("crew", "kickoff_id", "session_id")})


def _cursor(place: Place) -> str:
    text = json.dumps([place.at.isoformat(), place.kickoff_id])
    return base64.urlsafe_b64encode(text.encode()).decode().rstrip("=")


def _place(cursor: str) -> Place | None:
    """Raises RequestError for a cursor that no page named."""
    if not cursor:
        return None
    try:
        at, kickoff_id = json.loads(base64.urlsafe_b64decode(cursor + "=" * (-len(cursor) % 4)))
        return Place(datetime.fromisoformat(at).astimezone(UTC), str(kickoff_id))
    except (ValueError, TypeError, OverflowError, RecursionError, binascii.Error) as error:
        raise RequestError("cursor", "cursor has to be one that a page returned") from error
