"""The crew's cache of tools' results, and a tool that says what may be cached."""

from typing import Any

from crewai import Crew
from crewai.tools import tool
from scripted import agent, note, task

calls: list[str] = []


@tool("price")
def price(item: str) -> str:
    """Price."""
    calls.append(item)
    note(f"looked up {item}")
    return f"{item} costs {len(calls)}"


price.cache_function = lambda arguments, result: arguments["item"] == "tea"
one, two = agent("One", tools=[price]), agent("Two", tools=[price])


def after(result: Any) -> Any:
    note(f"{len(calls)} calls")
    return result


crew = Crew(
    agents=[one, two],
    tasks=[
        task(f'Use price {{"item": "{item}"}}', who)
        for item, who in (("tea", one), ("tea", two), ("soup", one), ("soup", two))
    ],
    after_kickoff_callbacks=[after],
)
