"""A crew with memory, asked twice by one session and once by another."""

from typing import Any

from crewai import Crew
from crewai.tools import tool
from scripted import EMBEDDER, Scripted, agent, task


class Filing(Scripted):
    def filled(self, model: Any, messages: Any) -> Any:
        return super().filled(model, messages)


def make() -> Crew:
    @tool("facts")
    def facts(fact: str) -> str:
        """What is remembered, after it kept the fact."""
        known = sorted({one.record.content for one in memory().recall("likes", limit=50, depth="shallow")})
        memory().remember(f"likes {fact}", scope="/likes", categories=["c"], importance=0.5)
        memory().drain_writes()
        return ", ".join(one for one in known if one.startswith("likes")) or "nothing"

    who = agent("Host", Filing(model="host", quiet=True), tools=[facts])
    crew = Crew(agents=[who], tasks=[task('Use facts {"fact": "{what}"}', who)], memory=True, embedder=EMBEDDER)

    def memory() -> Any:
        return crew._memory

    return crew
