"""A subclass of Crew with a field and a method of its own."""

from typing import Any

from crewai import Crew
from scripted import agent, note, task


class Audited(Crew):
    auditor: str = "nobody"

    def kickoff(self, inputs: Any = None, **more: Any) -> Any:
        note(f"audited by {self.auditor}")
        result = super().kickoff(inputs=inputs, **more)
        result.raw = f"{result.raw} (seen by {self.auditor})"
        return result


who = agent()
crew = Audited(agents=[who], tasks=[task("Say {x}", who)], auditor="Ada")
