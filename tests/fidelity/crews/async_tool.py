"""A coroutine as a tool, and a tool with `_run` and `_arun`."""

import asyncio
import contextvars

from crewai import Crew
from crewai.tools import BaseTool, tool
from scripted import agent, task

current = contextvars.ContextVar("current", default="unset")
current.set("set at import")


@tool("later")
async def later(word: str) -> str:
    """Later."""
    await asyncio.sleep(0.01)
    return f"{word} later"


class Both(BaseTool):
    name: str = "both"
    description: str = "Both."

    def _run(self, word: str) -> str:
        return f"{word} sync {current.get()}"

    async def _arun(self, word: str) -> str:
        return f"{word} async {current.get()}"


who = agent(tools=[later, Both()])
crew = Crew(agents=[who], tasks=[task('Use later {"word": "tea"}', who), task('Use both {"word": "tea"}', who)])
