"""Redis' protocol (RESP2), as much of it as a look needs, from a peer that may be anything.

A whole conversation has a budget of bytes, so that no reply grows beyond it, whatever length it announces; only replies
of one level are read, as no command of ours is answered by more.
"""

import asyncio
from typing import Final

BUDGET: Final = 16 * 1024
"""Bytes of all replies of one connection. INFO's section of the server takes about 1 KiB."""
_LONGEST_LINE: Final = 1024
"""Bytes of a status, a number or an error; Redis' own are under 200."""


class NotRedisError(Exception):
    """What answers does not speak Redis' protocol. Has no word of the answer."""


class ErrorReply(Exception):  # noqa: N818 - Redis' own name for it
    """Redis answered no."""

    def __init__(self, text: str) -> None:
        self.text = text
        self.word = text.partition(" ")[0]
        """`ERR`, `NOPERM`, `OOM` ..."""
        super().__init__(self.word)


def request(*words: str) -> bytes:
    """A command as bytes."""
    parts = [one.encode("utf-8", "surrogatepass") for one in words]
    return b"".join([b"*%d\r\n" % len(parts), *(b"$%d\r\n%b\r\n" % (len(one), one) for one in parts)])


class Replies:
    """The replies of one connection, in order."""

    def __init__(self, reader: asyncio.StreamReader, budget: int = BUDGET) -> None:
        self._reader = reader
        self._left = budget

    async def next(self) -> str | int | None:
        """One reply; None is Redis' nil. Raises ErrorReply, NotRedisError, and EOFError when the peer hung up."""
        line = await self._line()
        kind, rest = line[:1], line[1:]
        match kind:
            case b"+":
                return rest.decode("utf-8", "replace")
            case b"-":
                raise ErrorReply(rest.decode("utf-8", "replace"))
            case b":":
                return _number(rest)
            case b"$":
                return await self._bulk(_number(rest))
        raise NotRedisError

    async def _bulk(self, length: int) -> str | None:
        if length == -1:
            return None
        if length < 0:
            raise NotRedisError
        self._spend(length + 2)
        data = await self._exactly(length + 2)
        if data[-2:] != b"\r\n":
            raise NotRedisError
        return data[:-2].decode("utf-8", "replace")

    async def _line(self) -> bytes:
        """Up to CR LF. By single reads of a buffered reader, so that a line without an end stops at its limit."""
        line = bytearray()
        while not line.endswith(b"\r\n"):
            if len(line) >= _LONGEST_LINE:
                raise NotRedisError
            self._spend(1)
            line += await self._exactly(1)
            if line[0] not in b"+-:$":
                raise NotRedisError  # and not only at an end that may never come
        return bytes(line[:-2])

    async def _exactly(self, count: int) -> bytes:
        try:
            return await self._reader.readexactly(count)
        except asyncio.IncompleteReadError as error:
            raise EOFError from error

    def _spend(self, count: int) -> None:
        self._left -= count
        if self._left < 0:
            raise NotRedisError


def _number(text: bytes) -> int:
    digits = text.removeprefix(b"-")
    if not digits.isdigit() or len(digits) > 18:
        raise NotRedisError
    return int(text)
