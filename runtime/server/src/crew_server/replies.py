"""How much of Redis' answers this server takes in: a connection that brings too much is ended.

redis-py takes whatever comes for as long as the deadline is, and a peer that pours makes that hundreds of MiB: more
than a server's container has, so that a replica would end by it.
"""

import weakref
from typing import Any, ClassVar, Final

from redis import _parsers as parsers
from redis.exceptions import InvalidResponse

from crew_runtime.contract import redis_errors

MOST = 48 * 1024 * 1024
"""Bytes of all answers that are being read at once. A kickoff with a result of 16 MiB, 15 MiB to go on from and its
inputs is the largest that is written; an answer takes up to three times its size until it is read."""
ELEMENT = 192
"""Bytes that each element of an answer counts for beside its own: what an error takes here, which takes most."""
SMALL = 1024 * 1024
"""Bytes that an answer may have whatever the others take."""


class _Bounded(parsers._AsyncRESPBase):
    """A parser that counts what comes for it as it comes: once for each read of the socket costs nothing.

    redis-py has no public way to bound an answer. A line of one is bounded by asyncio's StreamReader.
    """

    _all: ClassVar[weakref.WeakSet["_Bounded"]] = weakref.WeakSet()

    def __init__(self, socket_read_size: int) -> None:
        super().__init__(socket_read_size)
        self._held = 0
        self._all.add(self)

    @classmethod
    def parse_error(cls, response: str) -> Exception:
        """Without what a peer repeats of the greeting, here, so that no traceback has it either."""
        error: Exception = super().parse_error(redis_errors.without_arguments(response))  # type: ignore[no-untyped-call]
        return error

    async def read_response(self, *args: Any, **options: Any) -> Any:
        """Without a word of an answer that is none of Redis."""
        try:
            return await super().read_response(*args, **options)
        except InvalidResponse as error:
            if str(error).startswith(redis_errors.QUOTES):
                raise InvalidResponse("what is none of its protocol") from None
            raise

    def on_connect(self, connection: Any) -> None:
        super().on_connect(connection)  # type: ignore[no-untyped-call]
        reader, feed = connection._reader, connection._reader.feed_data

        def count(data: bytes) -> None:
            # Every element has a line's end, and JSON, which all long texts are, has no other.
            self._held += len(data) + ELEMENT * data.count(b"\n")
            if self._held > SMALL and sum(one._held for one in self._all) > MOST:
                if reader.exception() is None:
                    reader.set_exception(InvalidResponse(f"more than {MOST >> 20} MiB at once"))
            else:
                feed(data)

        reader.feed_data = count

    def on_disconnect(self) -> None:
        """Let go of what was read: redis-py keeps it until the connection is used again."""
        super().on_disconnect()  # type: ignore[no-untyped-call]
        self._clear()
        self._stream = None

    def _clear(self) -> None:
        super()._clear()  # type: ignore[no-untyped-call]
        self._held = 0


class _Resp2(_Bounded, parsers._AsyncRESP2Parser):
    pass


class _Resp3(_Bounded, parsers._AsyncRESP3Parser):
    pass


_BY_PROTOCOL: Final = {"2": _Resp2, "3": _Resp3}


def parser(protocol: object) -> type[parsers.BaseParser]:
    """What reads the answers of a connection whose URL has that `protocol`; None: redis-py's own choice, RESP3."""
    return _BY_PROTOCOL.get(str(protocol), _Resp3)
