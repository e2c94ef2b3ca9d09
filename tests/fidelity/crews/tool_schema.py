"""A tool with a schema of its own, one whose result is the answer, and one that fails twice."""

from typing import Any

from crewai import Crew
from crewai.tools import BaseTool, tool
from pydantic import BaseModel, Field
from scripted import agent, note, task

tries: list[int] = []


class Order(BaseModel):
    dish: str
    count: int = Field(ge=1, default=2)


class Kitchen(BaseTool):
    name: str = "kitchen"
    description: str = "Order."
    args_schema: type[BaseModel] = Order
    result_as_answer: bool = True

    def _run(self, dish: str, count: int = 1) -> Any:
        note([type(dish).__name__, type(count).__name__])
        return f"{count} {dish}"


@tool("flaky")
def flaky() -> str:
    """Fails at first."""
    tries.append(1)
    if len(tries) < 3:
        raise OSError(f"try {len(tries)}")
    return f"worked at {len(tries)}"


cook = agent("Cook", tools=[Kitchen(), flaky])
crew = Crew(agents=[cook], tasks=[task("Use flaky {}", cook), task('Use kitchen {"dish": "soup", "count": "3"}', cook)])
