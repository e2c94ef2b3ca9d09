"""How large an answer of Redis may be: a connection that brings more, or what is no answer, is ended.

redis-py takes whatever comes while it comes, and a peer that pours makes that all the memory that a process may have.
"""

import io
from typing import Any, Final

from redis._parsers import BaseParser, _RESP2Parser, _RESP3Parser
from redis._parsers.base import _RESPBase
from redis._parsers.socket import SocketBuffer
from redis.exceptions import InvalidResponse
from redis.utils import SENTINEL

from crew_runtime.contract import redis_errors

MOST = 256 * 1024 * 1024
"""Bytes of one answer: ids of a million memories take 165 MiB as they are counted here, a checkpoint a few."""
ELEMENT = 64
"""Bytes that each element of an answer counts for beside its own: what it takes here."""
LINE = 64 * 1024
"""Bytes of one line, which only an error of Redis has more than a few of; as asyncio has it in the server half."""


class _Counted(io.BytesIO):
    """What came and is not let go of yet, counted since an answer began: once for each read of the socket."""

    taken = 0

    def write(self, data: Any) -> int:
        # Every element has a line's end, and JSON, which all long texts are, has no other.
        self.taken += len(data) + ELEMENT * data.count(b"\n")
        if self.taken > MOST:
            raise InvalidResponse(f"more than {MOST >> 20} MiB at once")
        return super().write(data)


class _Buffer(SocketBuffer):
    _buffer: _Counted

    def __init__(self, *args: Any) -> None:
        super().__init__(*args)
        self._buffer = _Counted()

    def get_pos(self) -> int:
        """Where an answer begins: the parser asks for it then, and goes back there when it cannot read it whole."""
        self._buffer.taken = 0
        return super().get_pos()

    def readline(self, timeout: Any = SENTINEL) -> bytes:
        """As redis-py's own, which copies a line anew with each piece that comes and has no end of it."""
        line = self._buffer.readline()
        while not line.endswith(b"\r\n"):
            if len(line) > LINE:
                raise InvalidResponse(f"a line of more than {LINE >> 10} KiB")
            self._read_from_socket(timeout=timeout)
            line += self._buffer.readline()
        return line[:-2]


class _Bounded(_RESPBase):
    def on_connect(self, connection: Any) -> None:
        super().on_connect(connection)  # type: ignore[no-untyped-call]
        self._buffer = _Buffer(connection._sock, self.socket_read_size, connection.socket_timeout)

    @classmethod
    def parse_error(cls, response: str) -> Exception:
        """Without what a peer repeats of the greeting, here, so that no traceback has it either."""
        error: Exception = super().parse_error(redis_errors.without_arguments(response))  # type: ignore[no-untyped-call]
        return error

    def read_response(self, *args: Any, **options: Any) -> Any:
        """What is no protocol of Redis ends a call as what is none of its words does, without a word of it."""
        try:
            return super().read_response(*args, **options)  # type: ignore[misc]  # of the parser beside this class
        except (ValueError, TypeError, RecursionError) as error:
            raise InvalidResponse(f"what is none of its protocol: {type(error).__name__}") from None
        except InvalidResponse as error:
            if str(error).startswith(redis_errors.QUOTES):
                raise InvalidResponse("what is none of its protocol") from None
            raise


class _Resp2(_Bounded, _RESP2Parser):
    pass


class _Resp3(_Bounded, _RESP3Parser):
    pass


_BY_PROTOCOL: Final = {"2": _Resp2, "3": _Resp3}


def parser(protocol: object) -> type[BaseParser]:
    """What reads the answers of a connection that speaks RESP2 or RESP3."""
    return _BY_PROTOCOL.get(str(protocol), _Resp2)
