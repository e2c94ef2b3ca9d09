"""Globals, a class attribute, a counter in an LLM, a cache of functools and one of the tools', os.environ and cwd."""

import functools
import os
import tempfile
from pathlib import Path
from typing import Any, ClassVar

from crewai import Crew
from crewai.tools import tool
from scripted import Scripted, agent, note, task

SEEN: list[str] = []


class Desk:
    served: ClassVar[list[str]] = []


class Counting(Scripted):
    calls: int = 0
    said: list[str] = []

    def answer(self, messages: Any) -> str:
        self.calls += 1
        note(f"call {self.calls} of this LLM")
        return super().answer(messages)


@functools.lru_cache
def price(_item: str) -> str:
    return SEEN[-1]


@tool("look_up")
def look_up(item: str) -> str:
    """Look it up, which is cached."""
    note(f"looked up {item}")
    return item


@tool("keep")
def keep(guest: str) -> str:
    """Keep it everywhere."""
    SEEN.append(guest)
    Desk.served.append(guest)
    before = os.environ.get("LAST_GUEST"), Path.cwd().name.startswith("guest-")
    os.environ["LAST_GUEST"] = guest
    os.chdir(tempfile.mkdtemp(prefix="guest-"))
    kept = Counting.model_fields["said"].default, len(llm.said)
    llm.said.append(guest)
    note([SEEN, Desk.served, price("tea"), before, kept])
    return ", ".join([*SEEN, *Desk.served, price("tea")])


llm = Counting(model="counting", quiet=True)
who = agent("Host", llm, tools=[keep, look_up])
crew = Crew(agents=[who], tasks=[task('Use look_up {"item": "tea"}\nUse keep {"guest": "{guest}"}', who)])
