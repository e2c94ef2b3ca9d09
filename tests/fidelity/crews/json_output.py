"""output_json, and a task after it that reads it."""

from crewai import Crew
from pydantic import BaseModel
from scripted import Fixed, agent, task


class Menu(BaseModel):
    dishes: list[str]
    price: float


cook, waiter = agent("Cook", Fixed(model="cook", says='{"dishes": ["soup", "tea"], "price": 4.5}')), agent("Waiter")
crew = Crew(
    agents=[cook, waiter],
    tasks=[task("Write the menu", cook, output_json=Menu), task("Say read\nRepeat the context", waiter)],
)


def menu() -> Crew:
    return Crew(agents=[cook], tasks=[task("Write the menu", cook, output_json=Menu)])
