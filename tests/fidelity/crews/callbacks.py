"""Every callback: of steps, of tasks, of a task, before and after the kickoff; a before_kickoff that adds an input."""

from typing import Any

from crewai import Crew
from crewai.tools import tool
from scripted import agent, note, task


@tool("ping")
def ping() -> str:
    """Ping."""
    return "pong"


def before(inputs: Any) -> Any:
    note(f"before {inputs}")
    return {**inputs, "added": "added"}


def after(result: Any) -> Any:
    note(f"after {result.raw}")
    result.raw += " and after"
    return result


who = agent(tools=[ping], step_callback=lambda step: note(f"agent's step {type(step).__name__}"))
other = agent("Other")
crew = Crew(
    agents=[who, other],
    tasks=[
        task("Use ping {}\nSay {x} {added}", who, callback=lambda output: note(f"the task's own {output.raw}")),
        task("Say two", other),
    ],
    step_callback=lambda step: note(f"crew's step {type(step).__name__}"),
    task_callback=lambda output: note(f"task {output.raw}"),
    before_kickoff_callbacks=[before],
    after_kickoff_callbacks=[after],
)
