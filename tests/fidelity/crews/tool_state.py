"""A tool that keeps what it was given in its object."""

from typing import Any

from crewai import Crew
from crewai.tools import BaseTool
from scripted import agent, task


class Basket(BaseTool):
    name: str = "basket"
    description: str = "Put something in."
    items: list[str] = []

    def _run(self, item: str) -> str:
        self.items.append(item)
        return f"has {', '.join(self.items)}"


who: Any = agent("Shopper", tools=[Basket()])
crew = Crew(agents=[who], tasks=[task('Use basket {"item": "{item}"}', who)])
