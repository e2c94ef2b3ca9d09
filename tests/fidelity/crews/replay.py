"""A flow that replays a crew from its second task."""

from typing import Any

from crewai import Crew
from crewai.flow.flow import Flow, listen, start
from scripted import agent, note, task

who = agent()
crew = Crew(
    agents=[who],
    tasks=[task("Say one {x}", who, name="one"), task("Say two\nRepeat the context", who, name="two")],
)


class Again(Flow[dict[str, Any]]):
    @start()
    def first(self) -> str:
        return str(crew.kickoff(inputs={"x": self.state["x"]}).raw)

    @listen(first)
    def second(self, before: str) -> str:
        note(before)
        return str(crew.replay(str(crew.tasks[1].id)).raw)
