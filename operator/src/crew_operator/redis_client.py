"""The operator's only door to Redis: one look, by a new connection, under one deadline. Never raises.

A new connection each time, because it proves what a replica that starts now would meet: address, password, an answer.
What answers may be anything: it is read within a budget, its errors are told by our words unless they are Redis' own,
and whatever else it does is a state of Redis as well.
"""

import asyncio
import logging
import os
import re
import secrets
import socket
import ssl
import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field, replace
from functools import partial
from typing import Final

from crew_operator import redis_url, redis_users
from crew_operator.desired.redis_users import OPERATOR, Command, RedisUsers
from crew_operator.redis_url import RedisUrl, UrlError
from crew_operator.resp import BUDGET, ErrorReply, NotRedisError, Replies, request
from crew_operator.status.observed import Persistence, RedisLook, RedisState
from crew_operator.words import quoted
from crew_runtime.contract import keys, redis_errors
from crew_runtime.resolver import BusyError, Resolver

DEADLINE: Final = 1.5
"""Seconds for everything. Redis answers in under 1 ms; this is what a busy node may add."""
_KEY_LIFE: Final = 86400
"""Seconds after which the health key goes by itself. Its value names the data: it outlives an operator that is away."""
_BUFFER: Final = 4096
"""Bytes that are read ahead of what was asked for, twice that at most."""
_resolver: Final = Resolver()
log = logging.getLogger(__name__)

NextCanary = Callable[[str], str]
"""What the canary's key holds -> what to write there; nothing to leave it as it is."""


def no_canary(found: str) -> str:
    """Look for it, and write none."""
    del found
    return ""


@dataclass(frozen=True)
class Target:
    """Which Redis, and as whom."""

    key_prefix: str
    host: str = ""
    """Of a managed one: its pod's address."""
    password: str = field(default="", repr=False)
    url: str = field(default="", repr=False)
    """Of an external one."""
    ca: str = ""
    """PEM, to verify it with."""
    users: RedisUsers | None = None
    """Of a managed one: who it has, of whom the operator is one."""
    username: str = ""
    """Of a managed one; empty: Redis' default user."""
    peers: frozenset[str] | None = None
    """Addresses from which the crew connects to a managed one; None: not known."""


def address(url: str) -> str:
    """`redis[s]://host:port` without credentials. Raises UrlError, a ValueError, on what is no Redis URL."""
    return redis_url.parse(url).address


async def look(target: Target, owner: str = "", next_canary: NextCanary = no_canary) -> RedisLook:
    """PING and a write, whose answer it was, and which data it has.

    A managed Redis has the users that it should have from then on.

    Args:
        owner: on whose behalf names are looked up.
        next_canary: judges the canary that is there, before anything is written over it.
    """
    if target.users is None:
        return await _look(target, owner, next_canary)
    known = replace(target, username=OPERATOR, password=target.users.operator_password)
    seen = await _look(known, owner, next_canary)
    if seen.state is RedisState.AUTH_FAILED and await _introduced(target, target.users, owner):
        return await _look(known, owner, next_canary)
    return seen


async def _look(target: Target, owner: str, next_canary: NextCanary) -> RedisLook:
    one = _Look(target, owner, next_canary)
    try:
        async with asyncio.timeout(DEADLINE):
            return await one.made()
    except TimeoutError:
        return _timed_out(accepted=one.accepted)
    except Exception as error:  # noqa: BLE001 - whatever a peer can make us raise is what was seen of it
        return RedisLook(*explain(error, spoken=one.spoken))
    finally:
        one.close()


async def _introduced(target: Target, users: RedisUsers, owner: str) -> bool:
    """Whether a server that did not know the operator knows it now. An older operator made it with the crew's password
    alone; one that has users lets nobody do this.
    """
    one = _Look(replace(target, password=users.crew_password), owner)
    try:
        async with asyncio.timeout(DEADLINE):
            await one.told(users.introduction())
    except Exception:  # noqa: BLE001 - whatever it is: it is not introduced
        return False
    finally:
        one.close()
    return True


class _Look:
    """One conversation, and how far it came."""

    def __init__(self, target: Target, owner: str, next_canary: NextCanary = no_canary) -> None:
        self._target = target
        self._owner = owner
        self._next_canary = next_canary
        self._begun = time.monotonic()
        self._writer: asyncio.StreamWriter | None = None
        self.accepted = False
        """The port is open: a process that was stopped still accepts connections."""
        self.spoken = False
        """It has answered as Redis does."""

    async def made(self) -> RedisLook:
        """The look. Raises whatever comes."""
        replies = await self._open()
        if self._target.users is not None:
            await redis_users.bring(partial(self._ask, replies), self._target.users, self._cut_off)
        data_id = await self._write(replies)
        latency = time.monotonic() - self._begun
        sections = [await self._info(replies, one) for one in ("server", "memory", "persistence")]
        canary, written = await self._canary(replies)
        return replace(
            _answered("\n".join(sections), latency, data_id),
            canary=canary,
            canary_written=written,
        )

    async def _cut_off(self) -> None:
        """By a connection of its own, as the list may be too long to be read. What remains then are connections that
        were let in before."""
        if self._target.peers is None:
            return
        other = _Look(self._target, self._owner)
        try:
            replies = await other._open(redis_users.LIST_BUDGET)
            strangers, own = await redis_users.end_stragglers(partial(other._ask, replies), self._target.peers)
        except Exception as error:  # noqa: BLE001 - whatever a peer can make us raise
            log.warning("connections to Redis may go on with an old password", extra={"error": type(error).__name__})
        else:
            if strangers or own:
                log.info("ended connections to Redis", extra={"strangers": strangers, "replicas": own})
        finally:
            other.close()

    async def told(self, command: Command) -> None:
        """One command, and nothing else. Raises whatever comes."""
        await self._ask(await self._open(), *command)

    async def _open(self, budget: int = BUDGET) -> Replies:
        target = self._target
        url = (
            redis_url.parse(target.url)
            if target.url
            else RedisUrl(target.host, username=target.username, password=target.password)
        )
        reader, self._writer = await self._connect(url)
        self.accepted = True
        if url.tls:
            await self._writer.start_tls(_tls(url, target.ca), server_hostname=url.host)
        replies = Replies(reader, budget)
        await self._greet(url, replies)
        return replies

    def close(self) -> None:
        """At once: a peer that does not hang up is not waited for."""
        if self._writer is not None:
            self._writer.transport.abort()

    async def _connect(self, url: RedisUrl) -> tuple[asyncio.StreamReader, asyncio.StreamWriter]:
        failure: OSError = OSError("no address")
        for one in await _resolver.addresses(url.host, self._owner):
            try:
                return await asyncio.open_connection(one, url.port, limit=_BUFFER)
            except OSError as error:
                failure = error
        raise failure

    async def _greet(self, url: RedisUrl, replies: Replies) -> None:
        if url.username:
            try:
                await self._ask(replies, "AUTH", url.username, url.password)
            except ErrorReply as error:
                if "wrong number of arguments" not in error.text:
                    raise
                await self._ask(replies, "AUTH", url.password)  # before Redis 6
        elif url.password:
            await self._ask(replies, "AUTH", url.password)
        if url.database:
            await self._ask(replies, "SELECT", str(url.database))
        if await self._ask(replies, "PING") != "PONG":
            raise NotRedisError
        self.spoken = True

    async def _write(self, replies: Replies) -> str:
        """Writes, and gives what names the data: the value that was there, which is kept; a new one else."""
        key = keys.health(self._target.key_prefix, "operator")
        try:
            known = await self._ask(replies, "GET", key)
            may_read = True
        except ErrorReply as error:
            if error.word != "NOPERM":
                raise
            known, may_read = None, False
        name = known if isinstance(known, str) and _DATA_ID.fullmatch(known) else secrets.token_hex(8)
        await self._ask(replies, "SET", key, name, "EX", str(_KEY_LIFE))
        return name if may_read else ""

    async def _canary(self, replies: Replies) -> tuple[str | None, str]:
        """What was there, and what is there now if that is new. What was there is None where it cannot be read."""
        key, there, text = keys.canary(self._target.key_prefix), None, ""
        try:
            found = await self._ask(replies, "GET", key)
            there = found if isinstance(found, str) else ""
            if text := self._next_canary(there):
                await self._ask(replies, "SET", key, text)
        except ErrorReply as error:
            return ("" if error.word == "WRONGTYPE" else there), ""
        except (EOFError, ConnectionError):
            return there, ""
        return there, text

    async def _info(self, replies: Replies, section: str) -> str:
        """Nothing where the user may not ask, or a proxy does not know how."""
        try:
            found = await self._ask(replies, "INFO", section)
        except (ErrorReply, EOFError, ConnectionError):
            return ""
        return found if isinstance(found, str) else ""

    async def _ask(self, replies: Replies, *words: str) -> str | int | None:
        assert self._writer is not None  # noqa: S101 - for the type checker
        self._writer.write(request(*words))
        await self._writer.drain()
        return await replies.next()


_DATA_ID: Final = re.compile(r"[0-9a-f.]{8,40}")
_FIGURE: Final = re.compile(r"^([a-z_]{1,40}):([0-9A-Za-z_.-]{1,64})\r?$", re.MULTILINE | re.ASCII)
_RUN_ID: Final = re.compile(r"[0-9A-Za-z]{8,64}")
_COUNT: Final = re.compile(r"\d{1,18}", re.ASCII)
_EVICTS_NOTHING: Final = "noeviction"
_SUCCESSES: Final = ("aof_last_write_status", "aof_last_bgrewrite_status")


def _answered(info: str, latency: float, data_id: str) -> RedisLook:
    told = dict(_FIGURE.findall(info))
    run_id, policy = told.get("run_id", ""), told.get("maxmemory_policy", "")
    limit, uptime = count(told, "maxmemory"), count(told, "uptime_in_seconds", -1)
    return RedisLook(
        RedisState.OK,
        latency=latency,
        run_id=run_id if _RUN_ID.fullmatch(run_id) else "",
        data_id=data_id,
        up_since=time.time() - uptime if uptime >= 0 else 0.0,
        fullness=min(1.0, count(told, "used_memory") / limit) if limit else 0.0,
        evicts="" if policy == _EVICTS_NOTHING or not limit else policy,
        persistence=_persistence(told),
    )


def _persistence(told: dict[str, str]) -> Persistence | None:
    if "aof_enabled" not in told:
        return None
    failing = [one for one in _SUCCESSES if told.get(one, "ok") != "ok"]
    return Persistence(told["aof_enabled"] == "1", ", ".join(failing), count(told, "aof_base_size"))


def count(told: Mapping[str, str], name: str, otherwise: int = 0) -> int:
    """A figure of INFO; `otherwise` where it was not told, or is no number that can be."""
    found = told.get(name, "")
    return int(found) if _COUNT.fullmatch(found) else otherwise


def explain(error: Exception, *, spoken: bool = False) -> tuple[RedisState, str]:
    """What an error of a look says about Redis. `spoken`: the peer has answered as Redis does."""
    if isinstance(error, ErrorReply):
        return _no(error, spoken)
    for classes, state, message in _STATES:
        if isinstance(error, classes):
            return state, message
    if isinstance(error, ssl.SSLError):
        return RedisState.UNREACHABLE, _tls_failed(error)
    if isinstance(error, OSError):
        why = f": {os.strerror(error.errno)}" if error.errno else ""
        return RedisState.UNREACHABLE, f"no connection to Redis{why}"
    if isinstance(error, UrlError):
        return RedisState.ERROR, str(error)
    return RedisState.ERROR, f"the check of Redis failed: {type(error).__name__}"


_STATES: Final[tuple[tuple[type[Exception] | tuple[type[Exception], ...], RedisState, str], ...]] = (
    (
        NotRedisError,
        RedisState.ERROR,
        "what answers at this address does not speak Redis' protocol",
    ),
    (BusyError, RedisState.UNREACHABLE, "its name could not be looked up: too many others wait for a name server"),
    ((socket.gaierror, UnicodeError), RedisState.UNREACHABLE, "the name of Redis does not resolve"),
    (ConnectionRefusedError, RedisState.UNREACHABLE, "the connection to Redis was refused"),
    (
        (EOFError, ConnectionResetError, BrokenPipeError),
        RedisState.UNREACHABLE,
        "the connection to Redis was closed before it answered",
    ),
)


def _no(error: ErrorReply, spoken: bool) -> tuple[RedisState, str]:
    """An error is quoted when it is Redis' for sure: others' first lines are nobody's business."""
    if (kind := redis_errors.kind(error.text)) is not None:
        return RedisState(kind), quoted(redis_errors.shown(error.text))
    if spoken:
        return RedisState.ERROR, f"Redis answered: {quoted(redis_errors.shown(error.text))}"
    return RedisState.ERROR, "what answers at this address refuses PING, and not with an error of Redis'"


def _timed_out(*, accepted: bool) -> RedisLook:
    if accepted:
        return RedisLook(RedisState.WEDGED, f"Redis took the connection but gave no answer within {DEADLINE:g} s")
    return RedisLook(RedisState.UNREACHABLE, f"no connection to Redis within {DEADLINE:g} s")


def _tls(url: RedisUrl, ca: str) -> ssl.SSLContext:
    """As redis-py makes it for the replicas."""
    try:
        made = ssl.create_default_context()
        if ca:
            made.load_verify_locations(cadata=ca)
        for name in url.exclude_verify_flags:
            made.verify_flags &= ~ssl.VerifyFlags[name]
    except ssl.SSLError:
        raise UrlError("the certificate of spec.redis.external.caFrom is no PEM certificate") from None
    except KeyError:
        raise UrlError("the URL excludes a flag of verification that there is not") from None
    if not url.verify or not url.check_hostname:
        made.check_hostname = False
    if not url.verify:
        made.verify_mode = ssl.CERT_NONE
    return made


def _tls_failed(error: ssl.SSLError) -> str:
    if isinstance(error, ssl.SSLCertVerificationError):
        return f"the certificate of Redis cannot be verified: {quoted(error.verify_message)}"
    return "Redis' end of TLS failed: it may not speak TLS on this port"
