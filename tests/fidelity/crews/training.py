"""A flow that trains a crew of its own, then uses what it learned."""

import builtins
from pathlib import Path
from typing import Any

from crewai import Crew
from crewai.flow.flow import Flow, listen, start
from scripted import Scripted, agent, note, task


class Teacher(Scripted):
    def filled(self, model: Any, messages: Any) -> Any:
        note(f"evaluated as {model.__name__}")
        return model(suggestions=["be brief"], quality=9.0, final_summary="brief")

    def answer(self, messages: Any) -> str:
        if "suggestions" in str(messages):
            return '{"suggestions": ["be brief"], "quality": 9.0, "final_summary": "brief"}'
        return super().answer(messages)


def small() -> Crew:
    who = agent("Clerk", Teacher(model="teacher"))
    return Crew(agents=[who], tasks=[task("Say trained", who)])


class School(Flow[dict[str, Any]]):
    @start()
    def train(self) -> bool:
        asked, builtins.input = builtins.input, lambda *_: "shorter"
        try:
            small().train(n_iterations=1, filename="learned.pkl")
        finally:
            builtins.input = asked
        return Path("learned.pkl").exists()

    @listen(train)
    def work(self, trained: bool) -> str:
        crew = small()
        crew.trained_agents_file = "learned.pkl"
        return f"{trained} {crew.kickoff().raw}"
