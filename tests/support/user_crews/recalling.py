"""Crews that use what was said before in their session: by the input `history`, and by their own code."""

import json
from typing import Any

from crewai import Agent, Crew, Task
from crewai.flow.flow import Flow, start
from crewai.llms.base_llm import BaseLLM

import crew_runtime


class Told(BaseLLM):
    """Answers with what stands between `<<` and `>>` in its prompt."""

    def call(self, messages: Any, *_: Any, **__: Any) -> Any:
        text = messages if isinstance(messages, str) else messages[-1]["content"]
        return f"Thought: I know.\nFinal Answer: {text.partition('<<')[2].partition('>>')[0]}"

    def get_input_tokens_count(self, *_: Any, **__: Any) -> int:
        return 1


def asking() -> Crew:
    agent = Agent(role="r", goal="g", backstory="b", llm=Told(model="told"), max_iter=2)
    task = Task(description="Answer <<[{history}] {message}>>", expected_output="a line", agent=agent)
    return Crew(agents=[agent], tasks=[task])


class Reading(Flow[dict[str, Any]]):
    """Answers with what its own code reads."""

    @start()
    def read(self) -> str:
        found = crew_runtime.history(turns=int(self.state["turns"]))
        return json.dumps([[one["type"], one["data"]["content"]] for one in found])
