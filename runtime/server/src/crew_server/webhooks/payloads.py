"""What a webhook's receiver is sent: body and headers. Pure.

The fields are those of CrewAI's platform (https://docs.crewai.com/enterprise/guides/webhook-automation); `event` and
`session_id` are ours. The headers are those of Standard Webhooks (https://www.standardwebhooks.com).
"""

import base64
import hashlib
import hmac
import json
from collections.abc import Mapping
from datetime import UTC, datetime
from typing import Any

from crew_server.queue import state
from crew_server.webhooks.outbox import Delivery


def body(one: Delivery, kickoff: Mapping[str, str], now_ms: int) -> bytes:
    """JSON in UTF-8. `kickoff`: its stored fields."""
    told = {
        **_content(one, kickoff, now_ms),
        "kickoff_id": one.kickoff_id,
        "session_id": kickoff.get("session_id", ""),
        "meta": json.loads(kickoff.get("meta", "{}")),
        "event": {"id": one.id, "type": one.type, "attempt": one.attempt, "timestamp": _when(one)},
    }
    return json.dumps(told, allow_nan=False).encode()


def _content(one: Delivery, kickoff: Mapping[str, str], now_ms: int) -> dict[str, Any]:
    data: dict[str, Any] = json.loads(one.data)
    if one.channel == "step":
        return {
            "prompt": data.get("task", ""),
            "agent": data.get("agent", ""),
            "thought": "",  # CrewAI's events do not tell it
            "tool": data.get("tool", ""),
            "tool_input": data.get("tool_input"),
            "result": data.get("result", ""),
            **({"error": data["error"]} if "error" in data else {}),
        }
    if one.channel == "crew":
        seen = state.view(kickoff, now_ms)
        result = seen.get("result") or {}
        return {
            "status": seen["status"],
            "result": result.get("output"),
            "result_json": result.get("json"),
            "token_usage": result.get("usage"),
            **{name: seen[name] for name in ("error", "reason", "memory", "execution_time") if name in seen},
        }
    if one.channel == "human":
        # What the platform's guide says that it tells: execution, task and the output to be reviewed.
        return {"status": state.PENDING, "execution_id": one.kickoff_id, **data}
    return data


def headers(
    one: Delivery, content: bytes, authentication: Mapping[str, str], key: bytes | None, now: int
) -> dict[str, str]:
    """Those of the request; `key`: signs it, None: nothing does. `now` in epoch seconds."""
    message = f"{one.kickoff_id}-{one.id}"
    found = {"content-type": "application/json", "webhook-id": message, "webhook-timestamp": str(now)}
    if key is not None:
        signed = hmac.new(key, f"{message}.{now}.".encode() + content, hashlib.sha256).digest()
        found["webhook-signature"] = f"v1,{base64.b64encode(signed).decode()}"
    if authentication.get("strategy") == "bearer":
        found["authorization"] = f"Bearer {authentication['token']}"
    elif authentication.get("strategy") == "basic":
        user = f"{authentication['username']}:{authentication['password']}"
        found["authorization"] = f"Basic {base64.b64encode(user.encode()).decode()}"
    return found


def _when(one: Delivery) -> str:
    at = datetime.fromtimestamp(int(one.id.partition("-")[0]) / 1000, UTC)
    return at.isoformat(timespec="milliseconds").replace("+00:00", "Z")
