"""LangChain's own class on a session's messages, in an interpreter that has it: tests compare with the real package.

`python langchain_lists.py` reads `{url, prefix, session, add, ttl}` and answers with what the class then reads.
"""

import json
import subprocess
import sys
from typing import Any


def read(url: str, prefix: str, session: str, **more: Any) -> list[dict[str, Any]]:
    """What LangChain reads, oldest first, as `message_to_dict` has it. `add`: messages that it writes before."""
    from support.interpreters import crew_python

    question = json.dumps({"url": url, "prefix": prefix, "session": session, **more})
    done = subprocess.run(
        [crew_python(), __file__], input=question, capture_output=True, text=True, timeout=60, check=False
    )
    assert done.returncode == 0, done.stderr[-3000:]
    found: list[dict[str, Any]] = json.loads(done.stdout)
    return found


def _answer(question: dict[str, Any]) -> list[dict[str, Any]]:
    from langchain_community.chat_message_histories import RedisChatMessageHistory
    from langchain_core.messages import message_to_dict, messages_from_dict

    history = RedisChatMessageHistory(
        question["session"], url=question["url"], key_prefix=question["prefix"], ttl=question.get("ttl")
    )
    for one in messages_from_dict(question.get("add", [])):
        history.add_message(one)
    return [message_to_dict(one) for one in history.messages]


if __name__ == "__main__":
    json.dump(_answer(json.load(sys.stdin)), sys.stdout)
