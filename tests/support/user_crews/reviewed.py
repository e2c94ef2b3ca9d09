"""Crews and flows that ask people, with an LLM that notes each of its calls in the file CALLS."""

import os
import re
from pathlib import Path
from typing import Any

from crewai import Agent, Crew, Process, Task
from crewai.flow.flow import Flow, listen, start
from crewai.flow.human_feedback import HumanFeedbackResult, human_feedback
from crewai.llms.base_llm import BaseLLM
from crewai.tasks.conditional_task import ConditionalTask
from crewai.tasks.task_output import TaskOutput
from pydantic import BaseModel


class NotingLLM(BaseLLM):
    """Says its task's name with all feedback so far, and what the task was given of others."""

    def call(self, messages: Any, *_: Any, response_model: Any = None, **__: Any) -> Any:
        text = "\n".join(str(one["content"]) for one in messages)
        name = re.findall(r"Write (\w+)", text)[0]
        feedback = re.findall(r"User feedback: (.*)", text)
        given = sorted(set(re.findall(r"<(\w+)", text.partition("Write ")[2])) - {name, *feedback})
        note(f"{name}:{','.join(feedback)}")
        said = "".join(f"<{one}" for one in (name, *feedback))
        return f"Thought: I know.\nFinal Answer: {said} given {','.join(given) or 'nothing'}"

    def get_input_tokens_count(self, *_: Any, **__: Any) -> int:
        return 1


class Line(BaseModel):
    said: str


class JsonLLM(NotingLLM):
    def call(self, messages: Any, *rest: Any, **named: Any) -> Any:
        super().call(messages, *rest, **named)
        return 'Thought: I know.\nFinal Answer: {"said": "json"}'


def note(line: str) -> None:
    with Path(os.environ["CALLS"]).open("a") as file:
        file.write(line + "\n")


def agent(llm: type[BaseLLM] = NotingLLM, role: str = "Writer") -> Agent:
    return Agent(role=role, goal="write", backstory="writes", llm=llm(model="noting"), max_iter=3)


def task(name: str, who: Agent | None, **more: Any) -> Task:
    return Task(name=name, description=f"Write {name} for {{topic}}", expected_output="a line", agent=who, **more)


def three() -> Crew:
    """Tasks two and three are reviewed."""
    writer = agent()
    done: Any = lambda output: note(f"callback {output.name}")  # noqa: E731
    tasks = [
        task("one", writer, callback=done),
        task("two", writer, human_input=True, callback=done),
        task("three", writer, human_input=True, callback=done),
    ]
    return Crew(agents=[writer], tasks=tasks)


crew = three()


def mixed() -> Crew:
    """One runs beside, one is skipped, one has a model for its output; the last is reviewed."""
    writer = agent()
    never: Any = lambda output: False  # noqa: E731
    skipped = ConditionalTask(
        name="skipped", description="Write skipped", expected_output="a line", agent=writer, condition=never
    )
    typed = typed_task()
    beside = task("beside", writer, async_execution=True)
    tasks = [beside, task("one", writer), skipped, typed, task("last", writer, human_input=True)]
    return Crew(agents=[writer, typed.agent], tasks=tasks)


def typed_task(**more: Any) -> Task:
    who = agent(JsonLLM, "Typist")
    return Task(
        name="typed", description="Write typed", expected_output="JSON", agent=who, output_pydantic=Line, **more
    )


def typed() -> Crew:
    """The reviewed answer is JSON for a model."""
    one = typed_task(human_input=True)
    return Crew(agents=[one.agent], tasks=[one])


def guarded() -> Crew:
    """An approved answer has to hold before a guardrail as well."""

    def long_enough(output: TaskOutput) -> tuple[bool, Any]:
        return ("<more" in output.raw, output.raw if "<more" in output.raw else "User feedback: more")

    writer = agent()
    return Crew(agents=[writer], tasks=[task("one", writer, human_input=True, guardrail=long_enough)])


def led() -> Crew:
    """A manager does the tasks."""
    tasks = [task("one", None), task("two", None, human_input=True)]
    return Crew(agents=[agent()], tasks=tasks, process=Process.hierarchical, manager_llm=NotingLLM(model="noting"))


def both() -> Crew:
    writer = agent()
    return Crew(agents=[writer], tasks=[task("one", writer, human_input=True, async_execution=True)])


class ReviewFlow(Flow[dict[str, Any]]):
    """Its draft is reviewed before it is published."""

    @start()
    @human_feedback(message="Is the draft good?")
    def draft(self) -> str:
        self.state["drafted"] = self.state.get("drafted", 0) + 1
        note("draft")
        return f"a draft of {self.state['topic']}"

    @listen(draft)
    @human_feedback(message="And the headline?")
    def headline(self, result: HumanFeedbackResult) -> str:
        note(f"headline after {result.feedback}")
        return f"{result.output}, {result.feedback}"

    @listen(headline)
    def publish(self, result: HumanFeedbackResult) -> str:
        note(f"publish after {result.feedback}")
        if os.environ.get("STUCK") and not Path(os.environ["CALLS"]).with_suffix(".free").exists():
            import time

            time.sleep(600)
        return f"published {result.output}, {result.feedback}; drafted {self.state['drafted']}"


def made_flow() -> ReviewFlow:
    return ReviewFlow()


class NestingFlow(Flow[dict[str, Any]]):
    """Its crew asks, which cannot be put away."""

    @start()
    def nest(self) -> str:
        return str(three().kickoff(inputs={"topic": "x"}))


class AskingFlow(Flow[dict[str, Any]]):
    @start()
    def ask_in_the_middle(self) -> str:
        return f"heard {self.ask('What topic?')}"
