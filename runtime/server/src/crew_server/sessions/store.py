"""A session in Redis: its memories, flow state and kickoffs. Reads what the worker half wrote, by `contract` only.

Nothing is read in one go: its records are a set that the worker half keeps, its kickoffs one that the queue keeps.
"""

import json
import struct
import time
import uuid
from collections.abc import AsyncIterator, Awaitable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Protocol, cast

from redis.client import NEVER_DECODE

from crew_runtime.contract import keys, messages, scripts, sessions
from crew_server import lua, redis_client
from crew_server.durability import Durability
from crew_server.queue import state
from crew_server.sessions.types import Session

STEP = 500
"""Ids of records or kickoffs asked for at once; longer keeps other clients waiting."""
MESSAGES_STEP = 100
RECORDS_STEP = 50
"""Records read at once: some megabytes with their vectors."""
UNFINISHED = ("running", "pending_human_input")
"""Statuses of kickoffs that go on."""
_KICKOFF_TEXT = ("status", "reason", "error", "memory", "replica")
_KICKOFF_JSON = ("inputs", "meta", "result", "extra", "memory_failures")
_KICKOFF_TIMES = ("created_at", "started_at", "ended_at")


class Settings(Protocol):
    """What the store has to know."""

    @property
    def key_prefix(self) -> str: ...  # noqa: D102 - as in settings.Settings
    @property
    def backend_deadline(self) -> float: ...  # noqa: D102
    @property
    def durability(self) -> str: ...  # noqa: D102


@dataclass(frozen=True)
class Uses:
    """Of a session's memory. Unix seconds; None: it was never used, or never expires."""

    records: int = 0
    first: float | None = None
    last: float | None = None
    expires: float | None = None


@dataclass(frozen=True)
class Messages:
    """Some of a session's messages."""

    total: int
    following: int
    """Where the next ones are; 0: there are none."""
    found: tuple[dict[str, Any] | None, ...]
    """None: one that cannot be read."""


class SessionStore:
    """The sessions of one crew. Every call to Redis ends within the deadline or raises BackendError."""

    def __init__(self, client: redis_client.Client, settings: Settings, durability: Durability | None = None) -> None:
        """`durability`: by which an erasure is waited for; by default over the client too."""
        self._client = client
        self._durability = durability or Durability(client, settings)
        self._prefix = settings.key_prefix
        self._deadline = settings.backend_deadline
        self._page, self._erase = (client.register_script(lua.of("sessions", name)) for name in ("page", "erase"))
        self._sweep = client.register_script(lua.contract("ended") + lua.of("sessions", "sweep"))
        self._strip = client.register_script(lua.shared("kickoffs") + lua.of("sessions", "strip"))
        self._messages = client.register_script(lua.contract("messages") + lua.of("sessions", "messages"))

    async def page(self, limit: int, cursor: str) -> tuple[list[Session], str | None]:
        """Sessions, newest first, and where to go on."""
        more, *flat = await self._ask(
            self._page(
                keys=scripts.SESSIONS_PAGE.names(
                    {"sessions": keys.sessions(self._prefix), "meta": keys.meta(self._prefix)}
                ),
                args=scripts.SESSIONS_PAGE.arguments({"root": keys.root(self._prefix), "most": limit, "after": cursor}),
            )
        )
        found = [
            Session(
                session_id=sessions.session_id(flat[at]),
                first_used=int(flat[at + 1]) / 1000,
                last_used=int(flat[at + 2]) / 1000,
                expires=_end(int(flat[at + 3])),
                records=int(flat[at + 4]),
            )
            for at in range(0, len(flat), 5)
        ]
        return found, f"{flat[-4]}:{flat[-5]}" if more and flat else None

    async def uses(self, session_id: str) -> Uses:
        """How its memory is used; the default when it is not."""
        segment = sessions.segment(session_id)
        key = keys.session(self._prefix, segment)
        pipeline = self._client.pipeline(transaction=True)
        pipeline.hmget(key, ["first", "last"])
        pipeline.hmget(keys.meta(self._prefix), ["session_ttl", "session_ttl_since"])
        pipeline.time()
        pipeline.scard(keys.session_records(self._prefix, segment))
        (first, last), policy, (seconds, _), records = await self._ask(pipeline.execute())
        if first is None:
            return Uses(int(records))
        end = sessions.end(int(last or first) / 1000, *(int(one or 0) / 1000 for one in policy))
        if end is not None and end <= int(seconds):
            return Uses()  # it is erased when its memory is used again, or another's is
        return Uses(int(records), int(first) / 1000, int(last or first) / 1000, end)

    async def flow(self, session_id: str) -> dict[str, Any] | None:
        """The flow state that goes by the session's id, None when there is none."""
        fields = await self._ask(cast("Any", self._client.hgetall(keys.flow(self._prefix, session_id))))
        if not fields:
            return None
        pending = _json(fields, "pending")
        return {
            "flow_id": session_id,
            "method": fields.get("method"),
            "saved_at": fields.get("at"),
            "state": _json(fields, "state"),
            "pending_feedback": pending and {"context": pending, "state": _json(fields, "pending_state")},
        }

    async def statuses(self, session_id: str) -> dict[str, str]:
        """The statuses of its kickoffs by their ids, oldest first; not what was said in them."""
        found: dict[str, str] = {}
        for part in await self._runs(session_id):
            pipeline = self._client.pipeline(transaction=False)
            for key in part:
                pipeline.hmget(key, ["session_id", "kickoff_id", "status"])
            kept = await self._ask(pipeline.execute())
            # One whose session was erased is nobody's.
            found |= {one: status for owner, one, status in kept if owner == session_id and one and status}
        return found

    async def kickoffs(self, session_id: str) -> AsyncIterator[dict[str, Any]]:
        """All that is kept of its kickoffs, oldest first; one at a time, for each may have megabytes."""
        for part in await self._runs(session_id):
            for key in part:
                fields = await self._ask(cast("Any", self._client.hgetall(key)))
                if fields.get("session_id") == session_id:
                    yield _kickoff(fields)

    async def busy(self, session_id: str) -> list[str]:
        """Its kickoffs that run, wait for a slot or a person, or have a process that still dies."""
        kickoffs = await self.statuses(session_id)
        ended = [one for one, status in kickoffs.items() if status not in UNFINISHED]
        leases = await self._ask(self._client.zmscore(keys.leases(self._prefix), ended)) if ended else []
        dying = [one for one, lease in zip(ended, leases, strict=True) if lease is not None]
        return [one for one, status in kickoffs.items() if status in UNFINISHED] + dying

    async def records(self, session_id: str, *, embeddings: bool) -> AsyncIterator[dict[str, Any]]:
        """Its memories, oldest first; some at a time."""
        kept = await self._ask(cast("Any", self._client.hget(keys.meta(self._prefix), "vector")))
        wanted = ("d", "la", "exp", "scope") + (("v",) if embeddings else ())
        ids = await self._record_ids(session_id)
        for start in range(0, len(ids), RECORDS_STEP):
            part = ids[start : start + RECORDS_STEP]
            pipeline = self._client.pipeline(transaction=False)
            for one in part:
                # Bytes: a vector is no text, and what a crew remembers may hold lone surrogates.
                pipeline.execute_command("HMGET", keys.memory(self._prefix, one), *wanted, **{NEVER_DECODE: True})
            answers = await self._ask(pipeline.execute())
            for one, values in zip(part, answers, strict=True):
                if (record := _record(one, values, kept)) is not None:
                    yield record

    async def messages(self, session_id: str, limit: int, place: int) -> Messages:
        """Some of its messages, the newest first, from a place on that an earlier answer named; 0: the newest."""
        total, following, *elements = await self._read_messages(session_id, place, -1, limit)
        return Messages(int(total), int(following), tuple(messages.read(one) for one in elements))

    async def all_messages(self, session_id: str) -> AsyncIterator[dict[str, Any]]:
        """All of them that can be read, oldest first; some at a time."""
        place = 1
        while place:
            _, place, *elements = await self._read_messages(session_id, place, 1, MESSAGES_STEP)
            for one in elements:
                if (message := messages.read(one)) is not None:
                    yield message

    async def erase_messages(self, session_id: str) -> int:
        """Erase them, or whatever lies in their place; the answer is how many there were."""

        async def ask() -> int:
            key = keys.messages(self._prefix, session_id)
            pipeline = self._client.pipeline(transaction=True)
            pipeline.llen(key)
            pipeline.unlink(key)
            length, gone = await pipeline.execute(raise_on_error=False)
            if isinstance(gone, Exception):
                raise gone
            return length if isinstance(length, int) else 0

        return int(await self._ask(ask()))

    async def _read_messages(self, session_id: str, place: int, step: int, count: int) -> list[Any]:
        names = scripts.SESSIONS_MESSAGES.names({"messages": keys.messages(self._prefix, session_id)})
        arguments = scripts.SESSIONS_MESSAGES.arguments(
            {
                "place": place,
                "step": step,
                "most": count,
                "most_each": messages.MOST_ELEMENT,
                "most_bytes": messages.MOST_PAGE,
            }
        )
        found: list[Any] = await self._ask(self._messages(keys=names, args=arguments))
        return found

    async def erase_records(self, session_id: str) -> int:
        """Erase its memories in steps; the answer is how many there were. What began before cannot write any more."""
        segment, prefix = sessions.segment(session_id), self._prefix
        names = scripts.SESSIONS_ERASE.names(
            {
                **self._memory_keys(),
                "session_records": keys.session_records(prefix, segment),
                "session": keys.session(prefix, segment),
                "session_erased": keys.session_erased(prefix, segment),
            }
        )
        arguments = scripts.SESSIONS_ERASE.arguments(
            {
                "records": keys.memory(prefix, ""),
                "log_length": sessions.LOG_LENGTH,
                "stored_root": sessions.stored_root(segment),
                "segment": segment,
                "most": STEP,
                "mark": uuid.uuid4().hex,
                "mark_ttl": sessions.MARK_SECONDS,
            }
        )
        erased, more = 0, 1
        while more:
            count, more = await self._ask(self._erase(keys=names, args=arguments))
            erased += int(count)
        return erased

    async def sweep(self, ttl: float) -> tuple[int, bool]:
        """Erase some of the memories of sessions that were not used for `ttl` seconds; how many, and whether there may
        be more of them.
        """
        names = scripts.SESSIONS_SWEEP.names({**self._memory_keys(), "meta": keys.meta(self._prefix)})
        arguments = scripts.SESSIONS_SWEEP.arguments(
            {
                "root": keys.root(self._prefix),
                "ttl": int(ttl * 1000),
                "log_length": sessions.LOG_LENGTH,
                "most": sessions.SWEEP,
            }
        )
        erased, more = await self._ask(self._sweep(keys=names, args=arguments))
        return int(erased), bool(more)

    async def erase_flow(self, session_id: str) -> tuple[int, int]:
        """Erase its flow state; how many there were, and how many of them waited for a human."""
        key = keys.flow(self._prefix, session_id)
        pipeline = self._client.pipeline(transaction=True)
        pipeline.hexists(key, "pending")
        pipeline.unlink(key)
        pending, states = await self._ask(pipeline.execute())
        return int(states), int(pending)

    async def task_outputs(self, session_id: str) -> list[dict[str, Any]]:
        """Of its last kickoff, as CrewAI kept them for a replay, in the order of the tasks."""
        found = await self._ask(cast("Any", self._client.hvals(keys.task_outputs(self._prefix, session_id))))
        return sorted((json.loads(one) for one in found), key=lambda one: int(one["task_index"]))

    async def erase_task_outputs(self, session_id: str) -> int:
        """Erase them; the answer is how many there were."""
        key = keys.task_outputs(self._prefix, session_id)
        pipeline = self._client.pipeline(transaction=True)
        pipeline.hlen(key)
        pipeline.unlink(key)
        return int((await self._ask(pipeline.execute()))[0])

    async def erase_checkpoints(self, session_id: str) -> int:
        """Erase what its crews and flows wrote to go on from; the answer is how many there were."""
        erased = 0
        async for part in self._scan(keys.checkpoint(self._prefix, session_id, "")):
            erased += int(await self._ask(self._client.unlink(*part)))
        async for part in self._scan(keys.checkpoint_branch(self._prefix, session_id, "")):
            await self._ask(self._client.unlink(*part))
        return erased

    async def strip_kickoffs(self, session_id: str) -> tuple[int, int]:
        """Erase inputs and results of its kickoffs; how many, and how many were left because they run."""
        stripped = running = 0
        arguments = scripts.SESSIONS_STRIP.arguments({"root": keys.root(self._prefix), "session": session_id})
        for part in await self._runs(session_id):
            names = scripts.SESSIONS_STRIP.names({"leases": keys.leases(self._prefix)}, part)
            one, other = await self._ask(self._strip(keys=names, args=arguments))
            stripped, running = stripped + int(one), running + int(other)
        return stripped, running

    def _memory_keys(self) -> dict[str, str]:
        """What the scripts take that erase memories, of all sessions."""
        prefix = self._prefix
        return {
            "memory_ids": keys.memory_ids(prefix),
            "memory_log": keys.memory_log(prefix),
            "revision": keys.revision(prefix),
            "sessions": keys.sessions(prefix),
            "idle": keys.idle(prefix),
            "mortal": keys.mortal(prefix),
        }

    async def erased(self) -> None:
        """Wait until what was erased is erased for good. Raises NotAcknowledgedError."""
        await self._ask(self._durability.wait())

    async def _record_ids(self, session_id: str) -> list[str]:
        """Of its memories, oldest first."""
        key = keys.session_records(self._prefix, sessions.segment(session_id))
        names = sorted(await self._ask(cast("Any", self._client.smembers(key))))
        made: dict[str, float] = {}
        for start in range(0, len(names), STEP):
            part = names[start : start + STEP]
            times = await self._ask(self._client.zmscore(keys.memory_ids(self._prefix), part))
            made |= {one: float(time or 0) for one, time in zip(part, times, strict=True)}
        return sorted(names, key=lambda one: made[one])

    async def _runs(self, session_id: str) -> list[list[str]]:
        """Keys of its kickoffs, oldest first, in steps."""
        key = keys.session_kickoffs(self._prefix, session_id)
        ids = await self._ask(cast("Any", self._client.zrange(key, 0, -1)))
        runs = [keys.run(self._prefix, one) for one in ids]
        return [runs[start : start + STEP] for start in range(0, len(runs), STEP)]

    async def _scan(self, start: str) -> AsyncIterator[Sequence[str]]:
        """Keys that begin so, in steps."""
        pattern = keys.beginning(start)
        cursor = 0
        while True:
            cursor, found = await self._ask(self._client.scan(cursor, match=pattern, count=STEP))
            if found:
                yield found
            if not int(cursor):
                return

    async def _ask(self, call: Awaitable[Any]) -> Any:
        async with redis_client.deadline(self._deadline):
            return await call


def _record(record_id: str, values: Sequence[bytes | None], kept: str | None) -> dict[str, Any] | None:
    document, accessed, expires, _, *vector = values
    if document is None:
        return None
    read = sessions.read_document(document)
    end = float(expires or 0)
    found = {
        "id": record_id,
        **read,
        "scope": sessions.logical_scope(read["scope"]),
        "last_accessed": float(accessed or 0),
        "expires": end if 0 < end < sessions.NEVER else None,
    }
    if vector:
        found["embedding"] = _floats(vector[0], kept)
    return found


def _floats(vector: bytes | None, kept: str | None) -> list[float] | None:
    if vector is None:
        return None
    code, size = ("e", 2) if kept == "FLOAT16" else ("f", 4)
    return list(struct.unpack(f"<{len(vector) // size}{code}", vector))


def _kickoff(fields: Mapping[str, str]) -> dict[str, Any]:
    return {
        "kickoff_id": fields.get("kickoff_id", ""),
        **{name: fields.get(name) for name in _KICKOFF_TEXT},
        **{name: _json(fields, name) for name in _KICKOFF_JSON},
        **{name: int(fields[name]) / 1000 if name in fields else None for name in _KICKOFF_TIMES},
    }


def _json(fields: Mapping[str, str], name: str) -> Any:
    """As JSON allows it: what an older server took may hold NaN."""
    return state.strict(json.loads(fields[name])) if fields.get(name) else None


def _end(milliseconds: int) -> float | None:
    return round(time.time() + milliseconds / 1000, 3) if milliseconds >= 0 else None
