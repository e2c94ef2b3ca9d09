"""Agents with a scope and a slice of one memory."""

from typing import Any

from crewai import Crew, Memory
from crewai.tools import tool
from scripted import EMBEDDER, Scripted, agent, note, task

memory = Memory(llm=Scripted(model="filing", quiet=True), embedder=EMBEDDER)
scoped = memory.scope("/cook")
sliced = memory.slice(scopes=["/cook", "/waiter"], read_only=True)


def what(found: Any) -> list[str]:
    return sorted(one.record.content for one in found)


@tool("keep")
def keep(fact: str) -> str:
    """Keep."""
    memory.remember(fact, scope="/cook", categories=["c"], importance=0.5)
    memory.remember("the waiter knows table nine", scope="/waiter", categories=["c"], importance=0.5)
    memory.drain_writes()
    cook = next(one for one in crew.agents if one.role == "Cook").memory
    waiter = next(one for one in crew.agents if one.role == "Waiter").memory
    note([type(cook).__name__, what(cook.recall("fact", depth="shallow"))])
    note([type(waiter).__name__, what(waiter.recall("fact", depth="shallow"))])
    return "kept"


cook, waiter = agent("Cook", tools=[keep], memory=scoped), agent("Waiter", memory=sliced)
crew = Crew(
    agents=[cook, waiter], tasks=[task('Use keep {"fact": "the soup needs {what}"}', cook), task("Say served", waiter)]
)
