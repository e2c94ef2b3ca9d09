"""The kickoffs of a crew in Redis: accepted, claimed, renewed, ended, given back, taken over. The one seam to it.

    accept -> waiting -> claim -> running -> finish -> ended
                 ^                   |
                 +-- release, look --+        (handed back by its server, or taken over from a dead one)
                 +-- resume <- pause +        (a person is asked, and answers)

`docs/design/queue.md` says why it is ours. Each step is one script of `lua/`; what a server writes of a kickoff counts
only while the kickoff is its own: owner and attempt are compared before anything is set.
"""

import contextlib
import dataclasses
import json
import math
import time
import uuid
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Protocol, cast

from crew_runtime.contract import keys, sessions
from crew_runtime.contract.scripts import Argument
from crew_server import redis_client
from crew_server.durability import Durability
from crew_server.errors import BackendError, NotAcknowledgedError
from crew_server.logs import Log
from crew_server.queue import human, record, state, turns
from crew_server.queue.scripts import Scripts

log = Log(__name__)

UNREADABLE = (ValueError, KeyError, TypeError, AttributeError, ArithmeticError, RecursionError)
"""What reading a record raises that none of our servers wrote."""
LONGEST_RUN = 24 * 3600
"""Seconds. What belongs to a kickoff that has not ended is kept so long after its last change, beyond what it may wait
for a person."""
LEASE_MS = 4_000
"""How long a server that does not renew keeps its kickoffs."""
RENEW_BELOW_MS = 3_000
"""So a lease is renewed about every second, however often `watch` looks."""
SUSPICION_MS = 3_000
"""From the first look at a run-out lease to the takeover: longer than a server needs to renew once Redis is back."""
RENEW_DEADLINE = 2.0
"""Seconds for one `watch`, whatever deadline other calls have."""
assert RENEW_DEADLINE * 1000 < SUSPICION_MS  # noqa: S101 - else a call that hung through an outage would be too late
MOST_LOSSES = 3
"""A kickoff whose server, worker or slot was lost so often is not started again."""
NO_BUDGET = 1 << 52
"""Bytes; Lua counts exactly up to there."""
NO_TURN: Mapping[str, Argument] = {"segment": "", "said": "", "answered": "", "most_messages": 0, "session_ttl": 0}
"""Arguments of `finish` where it adds nothing to the messages of a session."""
FENCED = "fenced"
"""Another server, or another attempt, has the kickoff."""


@dataclass(frozen=True)
class Idempotency:
    """A client's key for its request, and what the request was."""

    digest: str
    """SHA-256 of the key."""
    body: str
    """SHA-256 of what was asked for."""


@dataclass(frozen=True)
class Accepted:
    """What became of a request."""

    what: str
    """`accepted`, `known` (the key stands for this one), `conflict` (for one with another body), `full`, `bytes`."""
    kickoff_id: str
    """Of `full`: how many wait; of `bytes`: how many are taken."""
    session_id: str
    claim: state.Claim | None = None
    """It is this server's already."""


@dataclass(frozen=True)
class Watched:
    """A running kickoff at its server, with fields to store."""

    kickoff_id: str
    attempt: int
    fields: Mapping[str, str]


@dataclass(frozen=True)
class Taken:
    """A kickoff that was taken from a dead server, or given up because nobody answered."""

    kickoff_id: str
    what: str
    """`retried`, `failed` or `parked`; `unanswered`."""
    attempt: int
    replica: str
    session_id: str


@dataclass(frozen=True)
class Look:
    """What one look at the crew's queue saw and did."""

    backlog: int
    oldest: float
    """Seconds that the first of them waits; 0 when none does."""
    dead: int
    """Entries that could not be read, and are kept aside."""
    bytes: int
    """Of all kickoffs that are kept, as they are counted against the budget."""
    taken: tuple[Taken, ...]


class Settings(Protocol):
    """What the queue has to know."""

    @property
    def key_prefix(self) -> str: ...  # noqa: D102 - as in settings.Settings
    @property
    def backend_deadline(self) -> float: ...  # noqa: D102
    @property
    def durability(self) -> str: ...  # noqa: D102
    @property
    def replica(self) -> str: ...  # noqa: D102
    @property
    def retry_lost(self) -> bool: ...  # noqa: D102
    @property
    def human_input_timeout(self) -> float: ...  # noqa: D102
    @property
    def retention(self) -> float: ...  # noqa: D102
    @property
    def session_ttl(self) -> float | None: ...  # noqa: D102
    @property
    def history(self) -> bool: ...  # noqa: D102
    @property
    def history_input(self) -> str: ...  # noqa: D102
    @property
    def history_messages(self) -> int: ...  # noqa: D102
    @property
    def history_postgres(self) -> str: ...  # noqa: D102
    @property
    def history_bytes(self) -> int: ...  # noqa: D102


class Queue:
    """The queue of one crew, as one server process sees it. Every method raises BackendError."""

    def __init__(
        self,
        client: redis_client.Client,
        settings: Settings,
        durability: Durability | None = None,
        made_by: Callable[[], Mapping[str, str]] = dict,
    ) -> None:
        """`durability`: how promises are kept; by default over the client too. `made_by`: image and versions of this
        replica, for the durable history."""
        self._client = client
        self._settings = settings
        self._ttl = math.ceil(settings.retention)
        """Seconds that a kickoff's state is kept after its end, and an idempotency key after its acceptance."""
        self._living = math.ceil(settings.human_input_timeout) + LONGEST_RUN
        """Seconds that what belongs to a kickoff is kept while it has not ended."""
        self._made_by = made_by
        self._scripts = Scripts(client, settings.key_prefix, durability or Durability(client, settings))
        # A server that was restarted under the same pod's name is another owner: its slots are gone.
        self.owner = f"{settings.replica}/{uuid.uuid4().hex[:12]}"

    async def accept(
        self,
        request: state.Request,
        idempotency: Idempotency | None,
        limit: int,
        budget: int = NO_BUDGET,
        *,
        start: bool = False,
    ) -> Accepted:
        """Write a new kickoff: from then on it survives every server and what the spec's durability says of Redis.

        When it raises NotAcknowledgedError the kickoff may be there, and run; the same key gives it again.

        Unless `limit` wait already, or all of them would take more than `budget` bytes.

        `start`: there is a free slot for it here; it is claimed at once when nothing else waits for a slot.
        """
        prefix, key, body = self._settings.key_prefix, "", ""
        if idempotency is not None:
            key, body = keys.idempotency(prefix, idempotency.digest), idempotency.body
        try:
            what, kickoff_id, session_id, given = await self._run(
                "accept",
                record.flat({**record.request_fields(request), **self._noted()}),
                id=request.kickoff_id,
                session=request.session_id,
                ordered=int(request.ordered),
                most_waiting=limit,
                key=key,
                body=body,
                ttl=self._ttl,
                owner=self.owner if start else "",
                replica=self._settings.replica,
                lease=LEASE_MS,
                budget=budget,
            )
        except NotAcknowledgedError as error:
            await self._untake(error.answer[3])
            raise
        claim = record.claimed(record.unflat(given)) if given else None
        return Accepted(what, kickoff_id, session_id, claim)

    async def claim(self, token: str) -> state.Claim | None:
        """The next kickoff, now this server's. Asking again with the same token gives the same one.

        One that cannot be read ends as `Unreadable`, and the one behind it is next.
        """
        kept = keys.claim(self._settings.key_prefix, self.owner)
        server: dict[str, Argument] = {
            "owner": self.owner,
            "replica": self._settings.replica,
            "claim": kept,
            "lease": LEASE_MS,
            "noted": int(bool(self._settings.history_postgres)),
        }
        while found := await self._run("claim", token=token, **server):
            kickoff_id, fields = str(found[0]), record.unflat(found[1])
            try:
                claim = record.claimed(fields)
            except UNREADABLE as error:
                await self._bury(kickoff_id, fields.get("attempt", "0"), error)
                token = f"{token}+"  # another one, which asks for the next kickoff
            else:
                if claim.attempt == 1:
                    return claim
                return dataclasses.replace(claim, finished=await self._finished(kickoff_id))
        return None

    async def watch(self, runs: Sequence[Watched]) -> list[str]:
        """Renew and patch own kickoffs; their statuses: `` when Redis lost one, FENCED when it is no longer ours."""
        more: list[Argument] = [
            arg for one in runs for arg in (one.kickoff_id, one.attempt, json.dumps(one.fields) if one.fields else "")
        ]
        given: dict[str, Argument] = {"owner": self.owner, "lease": LEASE_MS, "renew_below": RENEW_BELOW_MS}
        deadline = min(RENEW_DEADLINE, self._settings.backend_deadline)
        seen = await self._scripts.run("watch", more, given, deadline)
        return [str(one) for one in seen]

    async def tell(self, claim: state.Claim, events: Sequence[state.Event], first: int) -> bool:
        """Append events of an own kickoff; `first`: how many were told before. False when it is no longer ours."""
        more = [arg for one in events for arg in (one.type, one.data, one.channel)]
        return bool(await self._run("tell", more, **self._own(claim), ttl=self._living, first=first))

    async def keep(self, claim: state.Claim, rows: Sequence[str], first: int) -> int:
        """Keep what an own kickoff has finished, from the row `first` on; how many rows Redis has now.

        Fewer than `first` when it has lost some: nothing was written then. -1 when it is no longer ours.
        """
        given = {**self._own(claim), "ttl": self._living, "first": first}
        return int(await self._scripts.run("keep", rows, given, self._settings.backend_deadline))

    async def restore(self, claim: state.Claim, seconds: float, more: Mapping[str, str]) -> bool:
        """Write a kickoff that runs here since `seconds` and that Redis lost; whether that was needed."""
        fields = {**record.claim_fields(claim), **self._noted(), "replica": self._settings.replica, **more}
        written = await self._run(
            "restore",
            record.flat(fields),
            **self._own(claim),
            session=claim.request.session_id,
            ordered=int(claim.request.ordered),
            lease=LEASE_MS,
            running_for=round(seconds * 1000),
        )
        return bool(written)

    async def finish(
        self,
        claim: state.Claim,
        outcome: state.Outcome,
        end_id: str,
        more: Mapping[str, str],
        *,
        gone: bool,
        seconds: float = 0.0,
    ) -> tuple[bool, str]:
        """End an own kickoff unless it has ended; whether this `end_id` did, and the status it has now.

        `gone`: its process will not do anything any more; if not, its session waits for `settle`. The whole record is
        written, so that one that Redis lost is there again; so is its turn in the messages of its session. `seconds`:
        since it has begun.
        """
        fields = {
            **record.request_fields(claim.request),
            **self._noted(),
            "replica": self._settings.replica,
            **record.outcome_fields(outcome),
            **more,
        }
        applied, status = await self._run(
            "finish",
            record.flat(fields),
            **self._own(claim),
            end_id=end_id,
            status=outcome.status,
            ttl=self._ttl,
            gone=int(gone),
            session=claim.request.session_id,
            **self._turn(claim, outcome, seconds),
        )
        return bool(applied), str(status)

    async def pause(self, claim: state.Claim, pause: human.Pause, more: Mapping[str, str]) -> tuple[bool, str]:
        """Put an own kickoff, whose process is done with it, away until somebody answers. Answers as `finish`."""
        applied, status = await self._run(
            "pause",
            record.flat({**human.pause_fields(pause), **more}),
            **self._own(claim),
            question=pause.task_id,
            wait=round(self._settings.human_input_timeout * 1000),
            asked=human.shown(pause),
            ttl=self._living,
        )
        return bool(applied), str(status)

    async def resume(
        self, kickoff_id: str, task_id: str, answer: Mapping[str, str], hooks: Mapping[str, Any]
    ) -> tuple[str, str]:
        """Take the answer to the question `task_id` and let the kickoff be claimed, once; `hooks`: those that change.

        `resumed` and its session; or why not: `unknown`, `answered` or `idle` and the kickoff's status, `other` and the
        question that it does ask.
        """
        what, more = await self._run(
            "resume",
            record.flat(answer),
            id=kickoff_id,
            question=task_id,
            token=uuid.uuid4().hex,
            ttl=self._living,
            hooks=json.dumps(hooks) if hooks else "",
        )
        return str(what), str(more)

    async def settle(self, claim: state.Claim) -> None:
        """Say that the process of a kickoff that has ended is gone."""
        await self._run("settle", **self._own(claim))

    async def cancel(self, kickoff_id: str) -> tuple[bool, str]:
        """End anybody's kickoff as cancelled unless it has ended; its server sees it by `watch` and kills the slot."""
        applied, status = await self._run(
            "finish",
            record.flat(record.outcome_fields(state.BY_CLIENT)),
            id=kickoff_id,
            owner="",
            attempt=0,
            end_id=uuid.uuid4().hex,
            status=state.CANCELLED,
            ttl=self._ttl,
            gone=0,
            session="",
            **NO_TURN,
        )
        return bool(applied), str(status)

    async def release(self, claim: state.Claim, end_id: str, *, lost: bool) -> tuple[bool, str]:
        """Give an own kickoff back whose process is gone: claimable at once, and first of its session.

        `lost`: counts as one of MOST_LOSSES, after which it ends instead. Answers as `finish`.
        """
        applied, status = await self._run(
            "release",
            **self._own(claim),
            lost=int(lost),
            most_losses=MOST_LOSSES,
            end_id=end_id,
            ttl=self._ttl,
            end_of_losses=_end(state.too_many_attempts(MOST_LOSSES)),
        )
        return bool(applied), str(status)

    async def look(self) -> Look:
        """Take over what dead servers left, and count what waits."""
        backlog, age, dead, size, *taken = await self._run(
            "look",
            suspicion=SUSPICION_MS,
            rule="Retry" if self._settings.retry_lost else "Fail",
            most_losses=MOST_LOSSES,
            ttl=self._ttl,
            end_of_loss=_end(state.REPLICA_LOST),
            end_of_losses=_end(state.too_many_attempts(MOST_LOSSES)),
            end_of_unanswered=_end(state.unanswered(self._settings.human_input_timeout)),
        )
        took = tuple(Taken(one[0], one[1], int(one[2]), one[3], one[4]) for one in taken)
        return Look(int(backlog), max(0, int(age)) / 1000, int(dead), int(size), took)

    async def read(self, kickoff_id: str) -> tuple[dict[str, str], int]:
        """A kickoff's fields, empty when there is none, and Redis' time in ms."""
        async with redis_client.deadline(self._settings.backend_deadline):
            asked = self._client.pipeline(transaction=False)
            asked.time()
            asked.hgetall(keys.run(self._settings.key_prefix, kickoff_id))
            (seconds, micros), fields = await asked.execute()
            return fields, int(seconds) * 1000 + int(micros) // 1000

    async def status(self, kickoff_id: str) -> str | None:
        """Its status alone; None when there is no such kickoff."""
        async with redis_client.deadline(self._settings.backend_deadline):
            key = keys.run(self._settings.key_prefix, kickoff_id)
            return cast("str | None", await cast("Any", self._client.hget(key, "status")))

    async def _untake(self, given: list[str]) -> None:
        """Give back what was given with an acceptance that its client does not hear of: nobody renews its lease."""
        if given:
            with contextlib.suppress(BackendError, *UNREADABLE):  # its lease runs out
                await self.release(record.claimed(record.unflat(given)), uuid.uuid4().hex, lost=False)

    def _turn(self, claim: state.Claim, outcome: state.Outcome, seconds: float) -> Mapping[str, Argument]:
        """What its end adds to the messages of its session."""
        settings, now = self._settings, time.time()
        turn = turns.of(claim, outcome, settings.history_input, now - seconds, now) if settings.history else None
        if turn is None:
            return NO_TURN
        return {
            "segment": sessions.segment(claim.request.session_id),
            "said": turn.user,
            "answered": turn.answer,
            "most_messages": settings.history_messages,
            "session_ttl": round((settings.session_ttl or 0) * 1000),
        }

    def _noted(self) -> Mapping[str, str]:
        """Fields by which a kickoff's end is put into the outbox of the durable history."""
        if not self._settings.history_postgres:
            return {}
        return {"history": str(self._settings.history_bytes), "made_by": json.dumps(self._made_by())}

    async def _bury(self, kickoff_id: str, attempt: str, error: Exception) -> None:
        """Put an own kickoff aside that nobody can run: it ends, and what is there of it is kept."""
        log.error("a kickoff cannot be read and is dead-lettered", kickoff_id=kickoff_id, error=repr(error)[:500])
        who = {"id": kickoff_id, "owner": self.owner, "attempt": attempt}
        await self._run("bury", **who, why=repr(error)[:500], ttl=self._ttl, end=_end(state.UNREADABLE))

    async def _finished(self, kickoff_id: str) -> tuple[str, ...]:
        async with redis_client.deadline(self._settings.backend_deadline):
            key = keys.finished(self._settings.key_prefix, kickoff_id)
            return tuple(await cast("Any", self._client.lrange(key, 0, -1)))

    def _own(self, claim: state.Claim) -> dict[str, Argument]:
        return {"id": claim.request.kickoff_id, "owner": self.owner, "attempt": claim.attempt}

    async def _run(self, name: str, more: Sequence[Argument] = (), /, **given: Argument) -> list[Any]:
        answer: list[Any] = await self._scripts.run(name, more, given, self._settings.backend_deadline)
        return answer


def _end(outcome: state.Outcome) -> str:
    """The fields of a kickoff that ends so, as the scripts take them."""
    return json.dumps(record.outcome_fields(outcome))
