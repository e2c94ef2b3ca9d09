"""An LLM that calls tools natively, by functions and not by text."""

from typing import Any

from crewai import Crew
from crewai.tools import tool
from scripted import Scripted, agent, note, task


class Native(Scripted):
    def call(
        self, messages: Any, tools: Any = None, callbacks: Any = None, available_functions: Any = None, **_: Any
    ) -> Any:
        note([sorted(one["function"]["name"] for one in tools or ()), len(messages)])
        done = [one for one in messages if one.get("role") == "tool"]
        if done or not tools:
            return f"it is {done[-1]['content']}" if done else "no tools"
        call = {"id": "c1", "type": "function", "function": {"name": "weigh", "arguments": '{"what": "tea"}'}}
        return [call]

    def supports_function_calling(self) -> bool:
        return True


@tool("weigh")
def weigh(what: str) -> str:
    """Weigh."""
    return f"{what} 5 g"


who = agent(llm=Native(model="native"), tools=[weigh])
crew = Crew(agents=[who], tasks=[task("Weigh the tea", who)])
