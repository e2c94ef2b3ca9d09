"""Ways to fail: an LLM, a callback, an exception class of the author's own, an input that is missing."""

from typing import Any

from crewai import Crew
from scripted import agent, task


class OutOfSoup(RuntimeError):
    def __init__(self, left: int) -> None:
        super().__init__(f"{left} soups left")
        self.left = left


def fail(inputs: Any) -> Any:
    raise OutOfSoup(0)


who = agent()
llm_fails = Crew(agents=[who], tasks=[task("Fail with no route to {host}", who)])
callback_fails = Crew(agents=[who], tasks=[task("Say x", who)], before_kickoff_callbacks=[fail])
missing_input = Crew(
    agents=[who], tasks=[task("Say {x} to {y}", who)], before_kickoff_callbacks=[lambda inputs: inputs]
)
