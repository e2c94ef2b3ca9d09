"""CrewAI's flow persistence on the shared store: the last state of each flow, and what waits for a human's answer.

One HASH a flow: `state` and `method` of the last save, `pending` and `pending_state` while feedback is awaited. Source
of the contract: crewai/flow/persistence/base.py, and what sqlite.py keeps (1.15.30).
"""

import json
from collections.abc import Mapping, Sequence
from datetime import UTC, date, datetime
from itertools import chain
from typing import Any, ClassVar

from crewai.flow.async_feedback.types import PendingFeedbackContext
from crewai.flow.persistence.base import FlowPersistence
from pydantic import BaseModel, Field, PrivateAttr
from redis.exceptions import WatchError

from crew_runtime.contract import keys
from crew_runtime.durability import Command
from crew_runtime.errors import CrewRuntimeError, FeedbackGivenError
from crew_runtime.guard.call import Guard
from crew_runtime.redis_client import Client
from crew_runtime.sessions import binding


class FlowStates:
    """The hashes in Redis."""

    def __init__(self, guard: Guard, prefix: str, session_ttl: float | None = None) -> None:
        self._guard = guard
        self._prefix = prefix
        self._ttl = session_ttl

    def write(self, flow_id: str, fields: Mapping[str, str]) -> None:
        """Set fields, all or none. The state that goes by its session's id lives as long as that session."""
        key = keys.flow(self._prefix, flow_id)

        commands: list[Command] = [("HSET", key, *chain.from_iterable(fields.items()))]
        if self._ttl is None:
            commands.append(("PERSIST", key))  # sessions had a time to live when it was written last
        elif flow_id == binding.session():
            commands.append(("PEXPIRE", key, int(self._ttl * 1000)))
        self._guard.call("flow", lambda client: self._guard.durability.transaction(client, *commands))

    def read(self, flow_id: str, *fields: str) -> Sequence[bytes | None]:
        """Fields in their order, None for those that are not there."""
        key = keys.flow(self._prefix, flow_id)
        found: Sequence[bytes | None] = self._guard.call("flow", lambda client: client.hmget(key, list(fields)))
        return found

    def drop(self, flow_id: str, *fields: str) -> None:
        """Remove fields."""
        key = keys.flow(self._prefix, flow_id)
        self._guard.call("flow", lambda client: self._guard.durability.write(client, ("HDEL", key, *fields)))

    def drop_if(self, flow_id: str, known: bytes, first: str, *more: str) -> bool:
        """Remove fields when the first of them has this value; whether it had. Of two callers one is told so."""
        key = keys.flow(self._prefix, flow_id)

        def ask(client: Client) -> bool:
            with client.pipeline(transaction=True) as pipeline:
                pipeline.watch(key)
                if pipeline.hget(key, first) != known:
                    return False
                pipeline.multi()
                pipeline.hdel(key, first, *more)
                try:
                    pipeline.execute()
                except WatchError:
                    return False
            self._guard.durability.write(client)
            return True

        # Not idempotent: after a cut connection a second try would tell the winner that it lost.
        return self._guard.call("flow", ask, idempotent=False)


class RedisFlowPersistence(FlowPersistence):
    """State of flows, seen by every replica. Has no fields of its own: CrewAI writes it into checkpoints by name.

    Feedback is given once: of two processes that resume the same pause, CrewAI's listeners run in one. It clears the
    pause before it runs them (1.15.30), and what clears it must be the pause that was loaded, not a later one.
    """

    persistence_type: str = Field(default="RedisFlowPersistence")
    states: ClassVar[FlowStates | None] = None
    """Set by `registration`; of the process."""
    _pauses: dict[str, bytes] = PrivateAttr(default_factory=dict)
    """By flow: the pause that this object saved or loaded."""
    _restored: dict[str, frozenset[str]] = PrivateAttr(default_factory=dict)
    """By flow: the names in the state that this object loaded."""

    def init_db(self) -> None:
        """Nothing has to be made."""

    def save_state(self, flow_uuid: str, method_name: str, state_data: dict[str, Any] | BaseModel) -> None:
        """Replace the flow's state."""
        self._states().write(flow_uuid, _state_fields(method_name, state_data))

    def load_state(self, flow_uuid: str) -> dict[str, Any] | None:
        """The last state, None when there is none."""
        found = _read_object(self._states().read(flow_uuid, "state")[0])
        if found is not None:
            self._restored[flow_uuid] = frozenset(found)
        return found

    def save_pending_feedback(
        self, flow_uuid: str, context: PendingFeedbackContext, state_data: dict[str, Any] | BaseModel
    ) -> None:
        """Keep the state and what is needed to go on once the answer is there."""
        fields = _state_fields(context.method_name, state_data)
        pending = {"pending": json.dumps(context.to_dict(), default=_plain), "pending_state": fields["state"]}
        self._states().write(flow_uuid, {**fields, **pending})
        self._pauses[flow_uuid] = pending["pending"].encode()

    def load_pending_feedback(self, flow_uuid: str) -> tuple[dict[str, Any], PendingFeedbackContext] | None:
        """State and context of a flow that waits, None when it does not."""
        found = self._states().read(flow_uuid, "pending_state", "pending")
        state, context = map(_read_object, found)
        if state is None or context is None:
            return None
        self._pauses[flow_uuid] = bytes(found[1] or b"")
        return state, PendingFeedbackContext.from_dict(context)

    def clear_pending_feedback(self, flow_uuid: str) -> None:
        """The answer came. Raises FeedbackGivenError when it came to another process before."""
        known = self._pauses.pop(flow_uuid, None)
        if known is None:
            self._states().drop(flow_uuid, "pending", "pending_state")
        elif not self._states().drop_if(flow_uuid, known, "pending", "pending_state"):
            raise FeedbackGivenError(flow_uuid)

    def _states(self) -> FlowStates:
        if self.states is None:
            raise CrewRuntimeError("flow state has no store yet: call crew_runtime.install() first")
        return self.states


def explain(flow: Any, error: KeyError) -> None:
    """Add a note to the error of a flow that misses a name in a dict state which an earlier kickoff saved.

    CrewAI puts the saved dict in the place of the new code's own, without what that has beside it
    (`Flow._restore_state`, 1.15.30). Filled in here, a name would be back that the flow had removed on purpose: so it
    is named, and not changed.
    """
    name = error.args[0] if error.args else None
    state = flow.state
    restored: frozenset[str] | None = getattr(flow.persistence, "_restored", {}).get(flow.flow_id)
    if restored is None or isinstance(state, BaseModel) or not isinstance(name, str) or name in state:
        return
    held = ", ".join(sorted(restored - {"id"})) or "nothing"
    note = (
        f"the state of this flow was restored from an earlier kickoff of its session, which saved {held} and no "
        f"{name!r}: read it with a default (self.state.get({name!r}, ...)), use a pydantic model with defaults as the "
        "flow's state, or erase the session"
    )
    # PEP 678; Python 3.10 has no add_note, and prints none.
    error.__notes__ = [*getattr(error, "__notes__", ()), note]


def _state_fields(method_name: str, state: dict[str, Any] | BaseModel) -> dict[str, str]:
    return {
        "state": json.dumps(_plain(state) if isinstance(state, BaseModel) else dict(state), default=_plain),
        "method": method_name,
        "at": datetime.now(UTC).isoformat(),
    }


def _read_object(text: bytes | None) -> dict[str, Any] | None:
    found = json.loads(text) if text else None
    return found if isinstance(found, dict) else None


def _plain(value: object) -> Any:
    """As CrewAI's own SQLite persistence writes what JSON does not know."""
    if isinstance(value, BaseModel):
        try:
            return value.model_dump(mode="json")
        except ValueError:  # pydantic's PydanticSerializationError: a field that JSON does not know
            return value.model_dump(mode="python")
    if isinstance(value, set | tuple | frozenset):
        return list(value)
    return value.isoformat() if isinstance(value, date | datetime) else str(value)
