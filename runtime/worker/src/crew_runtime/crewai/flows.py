"""CrewAI's flow persistence (`@persist`, pending human feedback) on Redis.

The HASH `f:<id>`: `state` JSON, `method`, `at`; while it waits for a human also `context` and `waiting`, its state.
Source of the contract: crewai/flow/persistence/base.py and sqlite.py (1.15.30).
"""

import json
import time
from collections.abc import Callable
from datetime import date, datetime
from typing import Any
from uuid import UUID

from crewai.flow.async_feedback.types import PendingFeedbackContext
from crewai.flow.persistence.base import FlowPersistence
from pydantic import BaseModel, Field, PrivateAttr

from crew_runtime.contract import keys
from crew_runtime.guard.call import Guard
from crew_runtime.redis_client import Client

PENDING = ("context", "waiting")


class RedisFlowPersistence(FlowPersistence):
    """The states of one crew's flows."""

    persistence_type: str = Field(default="RedisFlowPersistence")
    _guard: Guard = PrivateAttr()
    _prefix: str = PrivateAttr()
    _ttl: float | None = PrivateAttr()

    def __init__(self, guard: Guard, prefix: str, ttl: float | None) -> None:
        super().__init__()
        self._guard, self._prefix, self._ttl = guard, prefix, ttl

    def __deepcopy__(self, memo: dict[int, Any] | None = None) -> "RedisFlowPersistence":
        """Copies share what lies in Redis anyway."""
        return self

    def init_db(self) -> None:
        """Nothing: Redis makes keys by writing them."""

    def save_state(self, flow_uuid: str, method_name: str, state_data: dict[str, Any] | BaseModel) -> None:
        """Replace the flow's state."""
        self._write(flow_uuid, {"state": _json(state_data), "method": method_name})

    def load_state(self, flow_uuid: str) -> dict[str, Any] | None:
        """The last saved state, or None."""
        found = self._guard.call("flow", lambda client: client.hget(self._key(flow_uuid), "state"))
        state = json.loads(found) if isinstance(found, bytes) else None
        return state if isinstance(state, dict) else None

    def save_pending_feedback(
        self, flow_uuid: str, context: PendingFeedbackContext, state_data: dict[str, Any] | BaseModel
    ) -> None:
        """Keep state and context until a human has answered."""
        state = _json(state_data)
        told = json.dumps(context.to_dict(), default=_plain)
        self._write(flow_uuid, {"state": state, "method": context.method_name, "context": told, "waiting": state})

    def load_pending_feedback(self, flow_uuid: str) -> tuple[dict[str, Any], PendingFeedbackContext] | None:
        """State and context, or None when nobody is asked."""
        context, waiting = self._guard.call(
            "flow", lambda client: client.hmget(self._key(flow_uuid), list(PENDING[:2]))
        )
        if context is None or waiting is None:
            return None
        return json.loads(waiting), PendingFeedbackContext.from_dict(json.loads(context))

    def clear_pending_feedback(self, flow_uuid: str) -> None:
        """The human has answered."""
        self._guard.call("flow", lambda client: client.hdel(self._key(flow_uuid), *PENDING))

    def _key(self, flow_uuid: str) -> str:
        return keys.flow(self._prefix, flow_uuid)

    def _write(self, flow_uuid: str, fields: dict[str, Any]) -> None:
        key = self._key(flow_uuid)

        def ask(client: Client) -> None:
            pipeline = client.pipeline(transaction=True)
            pipeline.hset(key, mapping={**fields, "at": repr(time.time())})
            if self._ttl is not None:
                pipeline.pexpire(key, int(self._ttl * 1000))
            pipeline.execute()

        self._guard.call("flow", ask)


def _json(state: dict[str, Any] | BaseModel) -> str:
    plain = state.model_dump(mode="json") if isinstance(state, BaseModel) else state
    return json.dumps(plain, default=_plain)


def _plain(value: Any) -> Any:
    for known, told in _PLAIN:
        if isinstance(value, known):
            return told(value)
    raise TypeError(f"a flow's state cannot hold a {type(value).__name__}: it is not JSON")


_PLAIN: tuple[tuple[type | tuple[type, ...], Callable[[Any], Any]], ...] = (
    (BaseModel, lambda value: value.model_dump(mode="json")),
    ((datetime, date), lambda value: value.isoformat()),
    (UUID, str),
    ((set, frozenset), sorted),
)
