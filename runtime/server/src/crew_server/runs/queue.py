"""The kickoffs of a crew in Redis: accepted, claimed, renewed, ended, given back, taken over. The one seam to it.

    accept -> waiting -> claim -> running -> finish -> ended
                 ^                   |
                 +-- release, look --+        (handed back by its server, or taken over from a dead one)
                 +-- resume <- pause +        (a person is asked, and answers)

`docs/design/queue.md` says why it is ours. Each step is one script of `lua/`; what a server writes of a kickoff counts
only while the kickoff is its own: owner and attempt are compared before anything is set.
"""

import json
import uuid
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Protocol

from crew_runtime.contract import keys
from crew_server import redis_client
from crew_server.runs import human, record, state
from crew_server.runs.scripts import Scripts

TTL = 7 * 24 * 3600
"""Seconds that a kickoff's state is kept after its end, and an idempotency key after its kickoff was accepted."""
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
    """`accepted`, `known` (the key stands for this one), `conflict` (for one with another body), `full`."""
    kickoff_id: str
    """Of `full`: how many wait."""
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
    taken: tuple[Taken, ...]


class Settings(Protocol):
    """What the queue has to know."""

    @property
    def key_prefix(self) -> str: ...  # noqa: D102 - as in settings.Settings
    @property
    def backend_deadline(self) -> float: ...  # noqa: D102
    @property
    def replica(self) -> str: ...  # noqa: D102
    @property
    def retry_lost(self) -> bool: ...  # noqa: D102
    @property
    def human_input_timeout(self) -> float: ...  # noqa: D102


class Queue:
    """The queue of one crew, as one server process sees it. Every method raises BackendError."""

    def __init__(self, client: redis_client.Client, settings: Settings) -> None:
        self._client = client
        self._settings = settings
        self._scripts = Scripts(client, settings.key_prefix)
        # A server that was restarted under the same pod's name is another owner: its slots are gone.
        self.owner = f"{settings.replica}/{uuid.uuid4().hex[:12]}"

    async def accept(
        self, request: state.Request, idempotency: Idempotency | None, limit: int, *, start: bool = False
    ) -> Accepted:
        """Write a new kickoff, unless `limit` wait already: from then on it survives every server and Redis itself.

        `start`: there is a free slot for it here; it is claimed at once when nothing else waits for a slot.
        """
        prefix, key = self._settings.key_prefix, ["", ""]
        if idempotency is not None:
            key = [keys.idempotency(prefix, idempotency.digest), idempotency.body]
        server = [self.owner if start else "", self._settings.replica, LEASE_MS]
        fields = record.flat(record.request_fields(request))
        what, kickoff_id, session_id, given = await self._run(
            "accept", *_who(request), limit, *key, TTL, *server, *fields
        )
        claim = record.claimed(record.unflat(given)) if given else None
        return Accepted(what, kickoff_id, session_id, claim)

    async def claim(self, token: str) -> state.Claim | None:
        """The next kickoff, now this server's. Asking again with the same token gives the same one."""
        kept = keys.claim(self._settings.key_prefix, self.owner)
        found = await self._run("claim", self.owner, self._settings.replica, token, kept, LEASE_MS)
        return record.claimed(record.unflat(found)) if found else None

    async def watch(self, runs: Sequence[Watched]) -> list[str]:
        """Renew and patch own kickoffs; their statuses: `` when Redis lost one, FENCED when it is no longer ours."""
        args = [
            arg for one in runs for arg in (one.kickoff_id, one.attempt, json.dumps(one.fields) if one.fields else "")
        ]
        deadline = min(RENEW_DEADLINE, self._settings.backend_deadline)
        seen = await self._scripts.run("watch", self.owner, LEASE_MS, RENEW_BELOW_MS, *args, deadline=deadline)
        return [str(one) for one in seen]

    async def tell(self, claim: state.Claim, events: Sequence[state.Event], first: int) -> bool:
        """Append events of an own kickoff; `first`: how many were told before. False when it is no longer ours."""
        args = [arg for one in events for arg in (one.type, one.data, one.channel)]
        who = [claim.request.kickoff_id, self.owner, claim.attempt]
        return bool(await self._run("tell", *who, TTL, first, *args))

    async def restore(self, claim: state.Claim, seconds: float, more: Mapping[str, str]) -> bool:
        """Write a kickoff that runs here since `seconds` and that Redis lost; whether that was needed."""
        fields = {**record.claim_fields(claim), "replica": self._settings.replica, **more}
        who = [*_who(claim.request), self.owner, claim.attempt]
        return bool(await self._run("restore", *who, LEASE_MS, round(seconds * 1000), *record.flat(fields)))

    async def finish(
        self, claim: state.Claim, outcome: state.Outcome, end_id: str, more: Mapping[str, str], *, gone: bool
    ) -> tuple[bool, str]:
        """End an own kickoff unless it has ended; whether this `end_id` did, and the status it has now.

        `gone`: its process will not do anything any more; if not, its session waits for `settle`. The whole record is
        written, so that one that Redis lost is there again.
        """
        fields = {
            **record.request_fields(claim.request),
            "replica": self._settings.replica,
            **record.outcome_fields(outcome),
            **more,
        }
        who = [claim.request.kickoff_id, self.owner, claim.attempt, end_id, outcome.status, TTL, int(gone)]
        applied, status = await self._run("finish", *who, claim.request.session_id, *record.flat(fields))
        return bool(applied), str(status)

    async def pause(self, claim: state.Claim, pause: human.Pause, more: Mapping[str, str]) -> tuple[bool, str]:
        """Put an own kickoff, whose process is done with it, away until somebody answers. Answers as `finish`."""
        who = [claim.request.kickoff_id, self.owner, claim.attempt]
        seconds = self._settings.human_input_timeout
        shown, fields = human.shown(pause), record.flat({**human.pause_fields(pause), **more})
        applied, status = await self._run("pause", *who, pause.task_id, round(seconds * 1000), shown, TTL, *fields)
        return bool(applied), str(status)

    async def resume(
        self, kickoff_id: str, task_id: str, answer: Mapping[str, str], hooks: Mapping[str, Any]
    ) -> tuple[str, str]:
        """Take the answer to the question `task_id` and let the kickoff be claimed, once; `hooks`: those that change.

        `resumed` and its session; or why not: `unknown`, `answered` or `idle` and the kickoff's status, `other` and the
        question that it does ask.
        """
        args = [uuid.uuid4().hex, TTL, json.dumps(hooks) if hooks else "", *record.flat(answer)]
        what, more = await self._run("resume", kickoff_id, task_id, *args)
        return str(what), str(more)

    async def settle(self, claim: state.Claim) -> None:
        """Say that the process of a kickoff that has ended is gone."""
        await self._run("settle", claim.request.kickoff_id, self.owner, claim.attempt)

    async def cancel(self, kickoff_id: str) -> tuple[bool, str]:
        """End anybody's kickoff as cancelled unless it has ended; its server sees it by `watch` and kills the slot."""
        fields = record.flat(record.outcome_fields(state.BY_CLIENT))
        args = [kickoff_id, "", 0, uuid.uuid4().hex, state.CANCELLED, TTL, 0, "", *fields]
        applied, status = await self._run("finish", *args)
        return bool(applied), str(status)

    async def release(self, claim: state.Claim, end_id: str, *, lost: bool) -> tuple[bool, str]:
        """Give an own kickoff back whose process is gone: claimable at once, and first of its session.

        `lost`: counts as one of MOST_LOSSES, after which it ends instead. Answers as `finish`.
        """
        parked = json.dumps(record.outcome_fields(state.too_many_attempts(MOST_LOSSES)))
        who = [claim.request.kickoff_id, self.owner, claim.attempt]
        applied, status = await self._run("release", *who, int(lost), MOST_LOSSES, end_id, TTL, parked)
        return bool(applied), str(status)

    async def look(self) -> Look:
        """Take over what dead servers left, and count what waits."""
        unanswered = state.unanswered(self._settings.human_input_timeout)
        ends = (state.REPLICA_LOST, state.too_many_attempts(MOST_LOSSES), unanswered)
        fields = [json.dumps(record.outcome_fields(one)) for one in ends]
        rule = "Retry" if self._settings.retry_lost else "Fail"
        backlog, age, *taken = await self._run("look", SUSPICION_MS, rule, MOST_LOSSES, TTL, *fields)
        took = tuple(Taken(one[0], one[1], int(one[2]), one[3], one[4]) for one in taken)
        return Look(int(backlog), max(0, int(age)) / 1000, took)

    async def read(self, kickoff_id: str) -> tuple[dict[str, str], int]:
        """A kickoff's fields, empty when there is none, and Redis' time in ms."""
        async with redis_client.deadline(self._settings.backend_deadline):
            asked = self._client.pipeline(transaction=False)
            asked.time()
            asked.hgetall(keys.run(self._settings.key_prefix, kickoff_id))
            (seconds, micros), fields = await asked.execute()
        return fields, int(seconds) * 1000 + int(micros) // 1000

    async def _run(self, name: str, *args: object) -> list[Any]:
        answer: list[Any] = await self._scripts.run(name, *args, deadline=self._settings.backend_deadline)
        return answer


def _who(request: state.Request) -> list[object]:
    return [request.kickoff_id, request.session_id, int(request.ordered)]
