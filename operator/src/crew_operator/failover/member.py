"""The door to one member: a kept connection, what its Redis says of itself, and the few commands of a failover.

Every call ends within its deadline. What answers may be anything: it is read within a budget, and each answer is either
understood or none.
"""

import asyncio
import contextlib
import re
import time
from collections.abc import AsyncIterator, Callable
from typing import Final

from crew_operator import redis_users
from crew_operator.desired.redis_users import OPERATOR, RedisUsers
from crew_operator.failover.facts import Answer, Contact, Look
from crew_operator.redis_client import count
from crew_operator.resp import ErrorReply, NotRedisError, Replies, request
from crew_operator.words import quoted
from crew_runtime.contract import REDIS_PORT, keys, redis_errors

DEADLINE: Final = 1.0
"""Seconds for a look, or a command."""
SWITCH_SECONDS: Final = 3.0
"""Seconds in which a planned switch may wait for the replica, while writes wait for it too."""
_BUDGET: Final = 64 * 1024
"""Bytes of all answers of one look, or to what it is told once."""
_BUFFER: Final = 4096
_FIGURE: Final = re.compile(r"^([a-z_0-9]{1,40}):([^\r\n]{0,256})\r?$", re.MULTILINE | re.ASCII)
_NUMBER: Final = re.compile(r"\d{1,18}", re.ASCII)
_KEYS: Final = re.compile(r"keys=(\d{1,18})", re.ASCII)
_ONLINE: Final = re.compile(r"state=online,.*\blag=(\d{1,9})", re.ASCII)
_LAG: Final = 2
"""Seconds since a replica's last word; it says one each second."""


class MemberError(Exception):
    """A member did not do what it was told. Has no word of a peer's that is not Redis' own."""


class _Protocol(asyncio.StreamReaderProtocol):
    """Says at once when the peer is gone, also while nothing is asked."""

    def __init__(self, reader: asyncio.StreamReader, lost: Callable[[], None]) -> None:
        super().__init__(reader)
        self._lost = lost

    def connection_lost(self, exc: Exception | None) -> None:
        super().connection_lost(exc)
        self._lost()

    def eof_received(self) -> bool:
        super().eof_received()
        self._lost()
        return False


class Door:
    """To the Redis of one pod."""

    def __init__(
        self, ip: str, key_prefix: str, users: RedisUsers, lost: Callable[[], None], port: int = REDIS_PORT
    ) -> None:
        """`lost`: called when the connection ends."""
        self._ip, self._port = ip, port
        self._key_prefix = key_prefix
        self._users = users
        self._lost = lost
        self._reader = asyncio.StreamReader()
        self._writer: asyncio.StreamWriter | None = None
        self._replies = Replies(self._reader)
        self._turn = asyncio.Lock()

    def close(self) -> None:
        """At once: a peer that does not hang up is not waited for."""
        if self._writer is not None:
            self._writer.transport.abort()
        self._writer = None

    async def look(self) -> Look:
        """What it says of itself. Never raises."""
        begun = time.monotonic()
        try:
            async with self._turn, asyncio.timeout(DEADLINE):
                await self._open()
                return Look(Contact.ANSWERS, await self._answer(), begun)
        except Exception as error:  # noqa: BLE001 - whatever a peer can make us raise is what was seen of it
            self.close()
            contact, message = _failed(error)
            return Look(contact, None, begun, message)

    async def follow(self, source: tuple[str, int], *, end_clients: bool = False) -> None:
        """Replicate from there; with NOBODY it is sealed. Raises MemberError.

        Args:
            end_clients: it was a primary: its clients have to find the one that is now.
        """
        async with self._told():
            await self._ask("REPLICAOF", source[0], str(source[1]))
            if end_clients:
                await self._end_clients()

    async def promote(self, term: int) -> None:
        """Become primary, of this term. Raises MemberError."""
        async with self._told():
            await self._ask("REPLICAOF", "NO", "ONE")
            await self._name(term)

    async def name_term(self, term: int) -> None:
        """Write the term into the data of a primary. Raises MemberError."""
        async with self._told():
            await self._name(term)

    async def need_replicas(self) -> None:
        """Take writes only while a replica is online, from now on. Raises MemberError."""
        async with self._told():
            await self._ask("CONFIG", "SET", "min-replicas-to-write", "1", "min-replicas-max-lag", "3")

    async def need_no_replicas(self) -> None:
        """Take writes without a replica from now on. Raises MemberError."""
        async with self._told():
            await self._ask("CONFIG", "SET", "min-replicas-to-write", "0")

    async def hand_over(self, successor: tuple[str, int]) -> None:
        """A planned failover: writes wait until the successor has everything and takes over. Raises MemberError."""
        milliseconds = str(round(SWITCH_SECONDS * 1000))
        async with self._told(DEADLINE + SWITCH_SECONDS):
            await self._ask("FAILOVER", "TO", successor[0], str(successor[1]), "TIMEOUT", milliseconds)
            while (found := await self._figures("replication")).get("role") == "master":
                if found.get("master_failover_state") == "no-failover":
                    raise MemberError("the replica did not catch up in time")
                await asyncio.sleep(0.02)
                self._replies = Replies(self._reader, _BUDGET)

    async def end_clients(self) -> None:
        """Those that are connected have to connect anew. Raises MemberError."""
        async with self._told():
            await self._end_clients()

    @contextlib.asynccontextmanager
    async def _told(self, deadline: float = DEADLINE) -> AsyncIterator[None]:
        try:
            async with self._turn, asyncio.timeout(deadline):
                await self._open()
                yield
        except MemberError:
            raise
        except ErrorReply as error:
            raise MemberError(f"Redis answered: {quoted(redis_errors.shown(error.text))}") from error
        except Exception as error:
            self.close()
            raise MemberError(f"no answer: {type(error).__name__}") from error

    async def _answer(self) -> Answer:
        said = await self._figures("replication")
        keyspace = await self._figures("keyspace")
        term = await self._number(keys.TERM)
        position = await self._number(keys.position(self._key_prefix))
        is_primary = said.get("role") == "master"
        return Answer(
            is_primary=is_primary,
            source=("", 0) if is_primary else (said.get("master_host", ""), count(said, "master_port")),
            linked=said.get("master_link_status") == "up" and said.get("master_sync_in_progress") == "0",
            syncing=said.get("master_sync_in_progress") == "1",
            heard=float(count(said, "master_last_io_seconds_ago", 3600)),
            term=term,
            position=position,
            offset=count(said, "master_repl_offset" if is_primary else "slave_repl_offset"),
            keys=sum(int(one) for one in _KEYS.findall(" ".join(keyspace.values()))),
            replicas=sum(_is_online(one) for name, one in said.items() if re.fullmatch(r"slave\d+", name)),
            fenced="min_slaves_good_slaves" in said,
        )

    async def _end_clients(self) -> None:
        await self._ask("CLIENT", "KILL", "TYPE", "normal")

    async def _name(self, term: int) -> None:
        if await self._number(keys.TERM) == term:
            return
        try:
            await self._ask("SET", keys.TERM, str(term))
        except ErrorReply as error:
            if error.word != "NOREPLICAS":
                raise
        else:
            return
        await self._ask("CONFIG", "SET", "min-replicas-to-write", "0")
        try:
            await self._ask("SET", keys.TERM, str(term))
        finally:
            await self._ask("CONFIG", "SET", "min-replicas-to-write", "1")

    async def _number(self, key: str) -> int:
        try:
            found = await self._ask("GET", key)
        except ErrorReply as error:
            if error.word != "WRONGTYPE":
                raise
            return 0
        return int(found) if isinstance(found, str) and _NUMBER.fullmatch(found) else 0

    async def _figures(self, section: str) -> dict[str, str]:
        found = await self._ask("INFO", section)
        if not isinstance(found, str):
            raise NotRedisError
        return dict(_FIGURE.findall(found))

    async def _open(self) -> None:
        """Connected, admitted, with the users that it should have, and able to be admitted by another member."""
        if self._writer is not None:
            self._replies = Replies(self._reader, _BUDGET)
            return
        loop = asyncio.get_running_loop()
        self._reader = reader = asyncio.StreamReader(limit=_BUFFER, loop=loop)
        self._replies = Replies(reader, _BUDGET)
        transport, protocol = await loop.create_connection(lambda: _Protocol(reader, self._lost), self._ip, self._port)
        self._writer = asyncio.StreamWriter(transport, protocol, reader, loop)
        password = self._users.operator_password
        await self._ask("AUTH", OPERATOR, password)
        # Clients are connected to the primary, which the operator's look takes care of.
        await redis_users.bring(self._ask, self._users, None)
        await self._ask(
            "CONFIG", "SET", "masteruser", OPERATOR, "masterauth", password, "replica-announce-ip", self._ip
        )

    async def _ask(self, *words: str) -> str | int | None:
        assert self._writer is not None  # noqa: S101 - for the type checker
        self._writer.write(request(*words))
        await self._writer.drain()
        return await self._replies.next()


def _is_online(replica: str) -> bool:
    """By a line of INFO: a link that is cut stays up for a while."""
    found = _ONLINE.search(replica)
    return found is not None and int(found[1]) <= _LAG


def _failed(error: Exception) -> tuple[Contact, str]:
    if isinstance(error, ErrorReply):
        return Contact.LOADING if error.word == "LOADING" else Contact.SILENT, f"Redis answered with {error.word}"
    if isinstance(error, (EOFError, ConnectionError)):
        # It hung up, or nothing listens: only the next connection tells which.
        return Contact.REFUSES, "connection refused or lost"
    if isinstance(error, TimeoutError):
        return Contact.SILENT, f"no answer within {DEADLINE:g} s"
    return Contact.SILENT, type(error).__name__
