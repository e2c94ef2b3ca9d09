"""after_kickoff that returns nothing."""

from typing import Any

from crewai import Crew
from scripted import agent, note, task


def forget(result: Any) -> None:
    note(f"finished {result.raw}")


who = agent()
crew = Crew(agents=[who], tasks=[task("Say one", who), task("Say two", who)], after_kickoff_callbacks=[forget])
