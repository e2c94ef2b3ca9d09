"""function_calling_llm of the crew and of an agent: each parses the tool calls that are its own."""

from typing import Any

from crewai import Crew
from crewai.tools import tool
from scripted import Scripted, agent, note, task


class Caller(Scripted):
    def filled(self, model: Any, messages: Any) -> Any:
        note(f"{self.model} parsed")
        return super().filled(model, messages)

    def answer(self, messages: Any) -> str:
        note(f"{self.model} parsed")
        return '{"tool_name": "weigh", "arguments": {"what": "tea"}'


@tool("weigh")
def weigh(what: str) -> str:
    """Weigh."""
    return f"{what} weighs 5 g"


of_agent = agent("Weigher", tools=[weigh], function_calling_llm=Caller(model="of agent"))
of_crew = agent("Other", tools=[weigh])
crew = Crew(
    agents=[of_agent, of_crew],
    tasks=[task('Use weigh {"what": "tea"}', of_agent), task('Use weigh {"what": "tea"}', of_crew)],
    function_calling_llm="openai/gpt-4o",
    task_callback=lambda output: note([type(crew.function_calling_llm).__name__, output.raw]),
)
