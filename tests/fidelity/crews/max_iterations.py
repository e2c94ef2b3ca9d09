"""An agent that never comes to an end by itself, with max_iter, max_rpm and a date in its prompt."""

import re
from typing import Any

from crewai import Crew
from crewai.tools import tool
from scripted import Scripted, agent, note, task


@tool("dig")
def dig() -> str:
    """Dig."""
    return "deeper"


class Endless(Scripted):
    def answer(self, messages: Any) -> str:
        text = str(messages)
        note(bool(re.search(r"Current Date: \d{4}-\d\d-\d\d", text)))
        if "MUST give your absolute best final answer" in text:
            return "Thought: enough.\nFinal Answer: a hole"
        return "Thought: on.\nAction: dig\nAction Input: {}"


who = agent(llm=Endless(model="endless"), tools=[dig], max_iter=3, max_rpm=600, inject_date=True)
crew = Crew(agents=[who], tasks=[task("Dig", who)], max_rpm=600)
