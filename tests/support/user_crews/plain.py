"""Crews of two agents and two tasks with an LLM that needs no network: as a Crew, a factory, a class, a Flow."""

from typing import Any

from crewai import Agent, Crew, Process, Task
from crewai.flow.flow import Flow, listen, start
from crewai.llms.base_llm import BaseLLM
from pydantic import BaseModel


class EchoLLM(BaseLLM):
    """Answers with the last line of its prompt that begins with `Say`."""

    def call(self, messages: Any, *_: Any, response_model: Any = None, **__: Any) -> Any:
        text = messages if isinstance(messages, str) else messages[-1]["content"]
        said = [line for line in text.splitlines() if "Say " in line] or ["nothing"]
        return f"Thought: I know.\nFinal Answer: {said[-1].partition('Say ')[2]}"

    def get_input_tokens_count(self, *_: Any, **__: Any) -> int:
        return 1


def make() -> Crew:
    llm = EchoLLM(model="echo")
    agents = [Agent(role=role, goal="answer", backstory="knows", llm=llm, max_iter=2) for role in ("First", "Second")]
    tasks = [
        Task(name=name, description=f"Say {name} {{message}}", expected_output="a line", agent=one)
        for name, one in zip(("one", "two"), agents, strict=True)
    ]
    return Crew(agents=agents, tasks=tasks, process=Process.sequential)


crew = make()


class State(BaseModel):
    id: str = ""
    message: str = ""
    heard: list[str] = []


class Conversation(Flow[State]):
    """Two steps that keep what they heard."""

    @start()
    def hear(self) -> str:
        self.state.heard.append(self.state.message)
        return self.state.message

    @listen(hear)
    def answer(self, message: str) -> str:
        return f"heard {message}"


def flow() -> Conversation:
    return Conversation()


def needs_arguments(name: str, *, size: int) -> Crew:
    raise AssertionError(f"never called: {name} {size}")


async def later() -> Crew:
    return crew


def nothing() -> None:
    return None


NUMBER = 7
