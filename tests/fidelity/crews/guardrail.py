"""A guardrail that refuses the first answer and changes the second."""

from typing import Any

from crewai import Crew
from scripted import agent, note, task


def checked(output: Any) -> tuple[bool, Any]:
    note(f"checked {output.raw}")
    if "after" not in output.raw:
        return False, "say it after me"
    return True, output.raw.upper()


who = agent()
crew = Crew(agents=[who], tasks=[task("Say one", who, guardrail=checked), task("Say two\nRepeat the context", who)])
