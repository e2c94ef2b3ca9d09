"""A kickoff's state in Redis: one HASH each, changed only by the scripts in `lua/`, which compare before they set.

Every time is Redis' own, so that replicas with different clocks agree on who is late. Every call ends within a deadline
and raises BackendError; every call may be made twice.
"""

import json
import uuid
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from importlib import resources
from typing import Any, Protocol

from crew_runtime.contract import keys
from crew_server import redis_client
from crew_server.runs import state

TTL = 7 * 24 * 3600
"""Seconds that a kickoff's state is kept after its last change of status."""
LEASE_MS = 15_000
"""How long an owner that cannot renew keeps its kickoffs: some failed renewals, and a failover of Redis."""
RENEW_BELOW_MS = 12_000
"""So a lease is renewed about every 3 s, however often `watch` looks."""
SUSPICION_MS = 4_000
"""From the first look at a run-out lease to the verdict: longer than an owner needs to renew once Redis is back."""


@dataclass(frozen=True)
class Watched:
    """A running kickoff at its owner, with fields to store (`NOW` stands for Redis' time)."""

    kickoff_id: str
    fields: Mapping[str, str]


class Settings(Protocol):
    """What the store has to know."""

    @property
    def key_prefix(self) -> str: ...  # noqa: D102 - as in settings.Settings
    @property
    def backend_deadline(self) -> float: ...  # noqa: D102
    @property
    def replica(self) -> str: ...  # noqa: D102


class RunStore:
    """The runs of one crew, as seen by one server process."""

    def __init__(self, client: redis_client.Client, settings: Settings) -> None:
        self._client = client
        self._settings = settings
        # A server that was restarted under the same pod's name is another owner: its slots are gone.
        self.owner = f"{settings.replica}/{uuid.uuid4().hex[:12]}"
        self._accept, self._watch, self._finish, self._read = (
            client.register_script(_lua(name)) for name in ("accept", "watch", "finish", "read")
        )

    async def accept(self, request: state.Request) -> None:
        """Write a new kickoff as running, owned by this server, waiting for a slot."""
        fields = {**_identity(request), "owner": self.owner, "replica": self._settings.replica}
        await self._call(self._accept, [request.kickoff_id], [TTL, LEASE_MS, *_flat(fields)])

    async def watch(self, runs: Sequence[Watched]) -> list[str]:
        """Renew and patch own runs; their statuses: `` when Redis lost one, `fenced` when it is no longer ours."""
        patches = [json.dumps(one.fields) if one.fields else "" for one in runs]
        args = [self.owner, LEASE_MS, RENEW_BELOW_MS, *patches]
        return [str(one) for one in await self._call(self._watch, [one.kickoff_id for one in runs], args)]

    async def finish(
        self, request: state.Request, outcome: state.Outcome, end_id: str, more: Mapping[str, str]
    ) -> tuple[bool, str]:
        """End an own kickoff unless it has ended; whether this `end_id` did, and the status it has now.

        The whole record is written, so that one that Redis lost (or, in Degrade, never got) is there again.
        """
        fields = {**_identity(request), "replica": self._settings.replica, **outcome_fields(outcome), **more}
        args = [self.owner, TTL, end_id, outcome.status, *_flat(fields)]
        applied, status = await self._call(self._finish, [request.kickoff_id], args)
        return bool(applied), str(status)

    async def cancel(self, kickoff_id: str) -> tuple[bool, str]:
        """End anybody's kickoff as cancelled unless it has ended; the owner sees it by `watch` and kills the slot."""
        args = ["", TTL, uuid.uuid4().hex, state.CANCELLED, *_flat(outcome_fields(state.BY_CLIENT))]
        applied, status = await self._call(self._finish, [kickoff_id], args)
        return bool(applied), str(status)

    async def read(self, kickoff_id: str) -> tuple[dict[str, str], int]:
        """A kickoff's fields, empty when there is none, and Redis' time in ms. A dead owner's kickoff ends here."""
        end = _flat({"status": state.ERROR, **outcome_fields(state.REPLICA_LOST)})
        now, *flat = await self._call(self._read, [kickoff_id], [SUSPICION_MS, TTL, *end])
        return dict(zip(flat[::2], flat[1::2], strict=True)), int(now)

    async def _call(self, script: Any, kickoff_ids: Sequence[str], args: Sequence[Any]) -> Any:
        run_keys = [keys.run(self._settings.key_prefix, one) for one in kickoff_ids]
        async with redis_client.deadline(self._settings.backend_deadline):
            return await script(keys=run_keys, args=args)


def outcome_fields(outcome: state.Outcome) -> dict[str, str]:
    """An outcome as it is stored, without its status."""
    fields = {"reason": outcome.reason, "error": _utf8(outcome.error), "memory": outcome.memory}
    if outcome.result is not None:
        fields["result"] = json.dumps(outcome.result)
    if outcome.extra:
        fields["extra"] = json.dumps(outcome.extra)
    return fields


def _identity(request: state.Request) -> dict[str, str]:
    return {
        "kickoff_id": request.kickoff_id,
        "session_id": request.session_id,
        "inputs": json.dumps(request.inputs),
        "meta": json.dumps(request.meta),
        "timeout": f"{request.timeout:g}",
        "attempt": str(request.attempt),
    }


def _flat(fields: Mapping[str, str]) -> list[str]:
    return [one for pair in fields.items() for one in pair]


def _utf8(text: str) -> str:
    """Without lone surrogates, which Redis' encoding does not take and a crew's message may hold."""
    return text.encode("utf-8", "replace").decode()


def _lua(name: str) -> str:
    return resources.files("crew_server.runs").joinpath("lua", f"{name}.lua").read_text()
