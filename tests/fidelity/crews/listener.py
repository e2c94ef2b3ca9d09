"""An event listener of the author's own, made at import."""

from typing import Any

from crewai import Crew
from crewai.events import (
    BaseEventListener,
    CrewKickoffCompletedEvent,
    CrewKickoffStartedEvent,
    TaskCompletedEvent,
    ToolUsageFinishedEvent,
)
from crewai.tools import tool
from scripted import agent, note, task


@tool("ping")
def ping() -> str:
    """Ping."""
    return "pong"


class Listener(BaseEventListener):
    def setup_listeners(self, bus: Any) -> None:
        @bus.on(CrewKickoffStartedEvent)
        def started(source: Any, event: Any) -> None:
            note(f"started {event.crew_name} {event.inputs}")

        @bus.on(TaskCompletedEvent)
        def task_done(source: Any, event: Any) -> None:
            note(f"task {event.output.raw}")

        @bus.on(ToolUsageFinishedEvent)
        def tool_done(source: Any, event: Any) -> None:
            note(f"tool {event.tool_name} {event.output}")

        @bus.on(CrewKickoffCompletedEvent)
        def done(source: Any, event: Any) -> None:
            note(f"completed {event.output.raw}")


listener = Listener()
who = agent(tools=[ping])
crew = Crew(name="listened", agents=[who], tasks=[task("Use ping {}\nSay {x}", who)])
