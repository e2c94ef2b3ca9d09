"""human_input: a person asks for a change, then approves."""

from crewai import Crew
from scripted import agent, note, task

who = agent()
crew = Crew(
    agents=[who],
    tasks=[
        task("Say one", who, callback=lambda output: note(f"done {output.raw}")),
        task("Say two\nRepeat the context", who, human_input=True, callback=lambda output: note(f"done {output.raw}")),
        task("Say three\nRepeat the context", who),
    ],
)
