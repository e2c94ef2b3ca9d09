"""Agents of one role, each with an LLM and a tool of its own."""

from crewai import Crew
from crewai.tools import tool
from scripted import Fixed, Scripted, agent, task


@tool("left")
def left() -> str:
    """Left."""
    return "went left"


@tool("right")
def right() -> str:
    """Right."""
    return "went right"


people = [agent("Worker", Scripted(model=one.name), tools=[one]) for one in (left, right)]
people.append(agent("Worker", Fixed(model="third", says="stayed")))
crew = Crew(
    agents=people,
    tasks=[task("Use left", people[0]), task("Use right", people[1]), task("Do as you like", people[2])],
)
