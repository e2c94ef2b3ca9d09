"""The messages of a session as both halves know them: LangChain's, in the list of its `RedisChatMessageHistory`. Pure.

The list is what `langchain_community.chat_message_histories.RedisChatMessageHistory` (0.4.2) keeps: the newest first,
each element `json.dumps(message_to_dict(message))`. One element that LangChain's `messages_from_dict` (langchain-core
1.7.2) does not know makes its whole history unreadable, so nothing else is written here. Whoever else has the crew's
Redis writes there too: what is read may be anything.
"""

import json
import math
from collections.abc import Mapping
from typing import Any, Final

HUMAN: Final = "human"
AI: Final = "ai"
_KIND = "MessageChunk"
_REQUIRED: Final[Mapping[str, str]] = {"tool": "tool_call_id", "chat": "role", "function": "name"}
_STREAMED = ("Human", "AI", "System", "Tool", "Chat", "Function")
TYPES: Final = frozenset((HUMAN, AI, "system", *_REQUIRED, *(f"{one}{_KIND}" for one in _STREAMED)))
"""Those that `messages_from_dict` reads, but for `remove`, which says nothing. What each needs beside `content` is in
`_REQUIRED`."""

MOST_TEXT: Final = 65_536
"""Characters of a message that is written; what is longer is cut, and says so."""
MOST_ELEMENT: Final = 1024 * 1024
"""Bytes of an element that is read; one that is written has 790 kB at most, where each character takes 12 bytes."""
MOST_PAGE: Final = 2 * 1024 * 1024
"""Bytes of the elements that are read at once."""
MOST_DEPTH: Final = 64
"""Objects and lists within each other in a message that is read."""


def written(kind: str, content: str, message_id: str, told: Mapping[str, Any]) -> str:
    """A message as LangChain writes it, field by field in its order.

    Args:
        kind: HUMAN or AI.
        content: its text; cut after MOST_TEXT characters.
        message_id: by which it is known again.
        told: what we say of it, as `additional_kwargs.crewops`: LangChain's classes keep it and hand it on.
    """
    ours = dict(told)
    if len(content) > MOST_TEXT:
        ours["cut_from"] = len(content)
    data: dict[str, Any] = {
        "content": content[:MOST_TEXT],
        "additional_kwargs": {"crewops": ours},
        "response_metadata": {},
        "type": kind,
        "name": None,
        "id": message_id,
    }
    if kind == AI:
        data |= {"tool_calls": [], "invalid_tool_calls": [], "usage_metadata": None}
    return json.dumps({"type": kind, "data": data})


def read(element: str | bytes) -> dict[str, Any] | None:
    """An element as `{"type": ..., "data": {...}}`, which `messages_from_dict` takes; None for what it would refuse.

    JSON has no NaN and no infinity: they are null here.
    """
    if len(element) > MOST_ELEMENT:
        return None
    try:
        found = json.loads(element, parse_constant=lambda _: None, parse_float=_finite)
    except (ValueError, RecursionError):
        return None
    if not isinstance(found, dict) or not _shallow(found):
        return None
    kind, data = found.get("type"), found.get("data")
    if not isinstance(kind, str) or kind not in TYPES or not isinstance(data, dict):
        return None
    if not isinstance(data.get("content"), str | list):
        return None
    needed = _REQUIRED.get(_plain(kind))
    if needed and not isinstance(data.get(needed), str):
        return None
    return {"type": kind, "data": data}


def is_human(message: Mapping[str, Any]) -> bool:
    """Whether a turn begins with it."""
    return _plain(message["type"]) == HUMAN


def text(message: Mapping[str, Any]) -> str:
    """What it says, without pictures and the like."""
    content = message["data"]["content"]
    if isinstance(content, str):
        return content
    blocks = (one.get("text") if isinstance(one, dict) else one for one in content)
    return "\n".join(one for one in blocks if isinstance(one, str))


def transcript(messages: list[dict[str, Any]], most: int) -> str:
    """Messages, the oldest first, as a text for a prompt: a line for each, with who said it.

    `most`: characters; the oldest messages that do not fit are left out.
    """
    lines: list[str] = []
    for one in reversed(messages):
        line = f"{_SPEAKERS.get(_plain(one['type']), 'Other')}: {text(one)}"
        most -= len(line) + 1
        if most < 0 and lines:
            break
        lines.append(line[: most + len(line) + 1] if most < 0 else line)
    return "\n".join(reversed(lines))


_SPEAKERS: Final = {HUMAN: "User", AI: "Assistant", "system": "System", "tool": "Tool", "function": "Tool"}


def _plain(kind: str) -> str:
    """A message that was streamed is one like any other."""
    return kind.removesuffix(_KIND).lower()


def _finite(number: str) -> float | None:
    value = float(number)
    return value if math.isfinite(value) else None


def _shallow(value: Any) -> bool:
    level = [value]
    for _ in range(MOST_DEPTH):
        level = [
            inner
            for one in level
            if isinstance(one, dict | list)
            for inner in (one.values() if isinstance(one, dict) else one)
        ]
        if not level:
            return True
    return False
