"""chat_llm, and what its author does with it in a callback."""

from typing import Any

from crewai import Crew
from scripted import Fixed, agent, note, task


class Chatty(Fixed):
    tone: str = "dry"


def talk(output: Any) -> None:
    llm: Any = crew.chat_llm
    note([type(llm).__name__, llm.tone, llm.call("hello")])


who = agent()
crew = Crew(
    agents=[who],
    tasks=[task("Say done", who)],
    task_callback=talk,
    chat_llm=Chatty(model="chat", says="hi", tone="warm"),
)
