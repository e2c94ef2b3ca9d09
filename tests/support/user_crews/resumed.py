"""Crews and flows whose replica is lost half way: each use of a tool, callback and method is a line in the file CALLS.

A tool that is to be lost waits for ever the first time: until there is a file CALLS.free.
"""

import enum
import os
import time
from pathlib import Path
from typing import Any

from crewai import Agent, Crew, Process, Task
from crewai.flow.flow import Flow, and_, listen, router, start
from crewai.flow.persistence import persist
from crewai.llms.base_llm import BaseLLM
from crewai.tasks.conditional_task import ConditionalTask
from crewai.tools import tool
from pydantic import BaseModel

STUCK = 120.0
"""Seconds: nobody stays for ever."""


def note(line: str) -> None:
    with Path(os.environ["CALLS"]).open("a") as file:
        file.write(line + "\n")


def stick(name: str) -> None:
    """Wait, if it is this one's turn."""
    if os.environ.get("STICK") != name:
        return
    free, until = Path(os.environ["CALLS"] + ".free"), time.monotonic() + STUCK
    while not free.exists() and time.monotonic() < until:
        time.sleep(0.02)


@tool
def act(name: str) -> str:
    """Does something that must not be done twice."""
    note(f"tool {name}")
    stick(name)
    return f"acted {name}"


class ActingLLM(BaseLLM):
    """Uses the tool once for its task, then says what it and the tasks before gave."""

    def call(self, messages: Any, *_: Any, response_model: Any = None, **__: Any) -> Any:
        text = "\n".join(str(one["content"]) for one in messages)
        name = text.partition("Do ")[2].split()[0]
        self._track_token_usage_internal({"prompt_tokens": 7, "completion_tokens": 3, "total_tokens": 10})
        if f"acted {name}" not in text:
            return f'Thought: I act.\nAction: act\nAction Input: {{"name": "{name}"}}'
        asked = text.partition("Do ")[2].splitlines()[0]
        given = sorted({word for word in text.split() if word.startswith("did-") and word != f"did-{name}"})
        return f"Thought: I know.\nFinal Answer: did-{name} as {asked} given {','.join(given)}"

    def supports_function_calling(self) -> bool:
        return False

    def get_input_tokens_count(self, *_: Any, **__: Any) -> int:
        return 1


class TypingLLM(ActingLLM):
    def call(self, messages: Any, *rest: Any, **named: Any) -> Any:
        said = super().call(messages, *rest, **named)
        return 'Thought: I know.\nFinal Answer: {"name": "typed", "size": 3}' if "Final Answer" in said else said


class Thing(BaseModel):
    name: str
    size: int


def agent(llm: type[BaseLLM] = ActingLLM, role: str = "Doer") -> Agent:
    return Agent(role=role, goal="do", backstory="does", llm=llm(model="acting"), tools=[act], max_iter=4)


def task(name: str, who: Agent | None, **more: Any) -> Task:
    done: Any = lambda output: note(f"callback {output.name}")  # noqa: E731
    given = {"callback": done} | more
    return Task(name=name, description=f"Do {name} for {{topic}}", expected_output="a line", agent=who, **given)


def three(*names: str) -> Crew:
    doer = agent()
    return Crew(agents=[doer], tasks=[task(name, doer) for name in names or ("one", "two", "three")])


def crew() -> Crew:
    return three()


def changed() -> Crew:
    return three("one", "other", "three")


def led() -> Crew:
    return Crew(
        agents=[agent()],
        tasks=[task("one", None, tools=[act]), task("two", None, tools=[act])],
        process=Process.hierarchical,
        manager_llm=ActingLLM(model="acting"),
    )


def beside() -> Crew:
    """The first task runs beside the second."""
    doer = agent()
    return Crew(agents=[doer], tasks=[task("one", doer, async_execution=True), task("two", doer), task("three", doer)])


def prepared() -> Crew:
    """Its inputs are made by a callback that says something else each time."""
    doer = agent()

    def prepare(inputs: Any) -> Any:
        note("before_kickoff")
        return {**inputs, "topic": f"{inputs['topic']}-{time.time_ns()}"}

    return Crew(
        agents=[doer], tasks=[task(name, doer) for name in ("one", "two", "three")], before_kickoff_callbacks=[prepare]
    )


def mixed() -> Crew:
    """A typed output, a guardrail, and a task that is skipped."""
    doer, typist = agent(), agent(TypingLLM, "Typist")
    never: Any = lambda output: False  # noqa: E731

    def holds(output: Any) -> tuple[bool, Any]:
        note("guardrail")
        return True, output.raw

    skipped = ConditionalTask(
        name="skipped", description="Do skipped", expected_output="a line", agent=doer, condition=never
    )
    tasks = [
        task("typed", typist, output_pydantic=Thing),
        skipped,
        task("guarded", doer, guardrail=holds),
        task("last", doer),
    ]
    return Crew(agents=[doer, typist], tasks=tasks)


def reviewed() -> Crew:
    doer = agent()
    tasks = [task("one", doer), task("two", doer, human_input=True), task("three", doer), task("four", doer)]
    return Crew(agents=[doer], tasks=tasks)


class Grade(enum.Enum):
    GOOD = "good"
    BAD = "bad"


class Ledger(BaseModel):
    id: str = ""
    topic: str = ""
    drafts: int = 0
    grade: str = ""


@persist()
class Written(Flow[Ledger]):
    """A loop by a router, until the second draft is good; then two that listen, one behind the other."""

    @start("again")
    def draft(self) -> Thing:
        note("draft")
        self.state.drafts += 1
        self.state.topic = f"{self.state.topic}+"
        return Thing(name=self.state.topic, size=self.state.drafts)

    @router(draft)
    def judge(self, thing: Thing) -> str:
        note(f"judge {type(thing).__name__} {thing.size}")
        return "again" if thing.size < 2 else "good"

    @listen("good")
    def publish(self) -> Grade:
        note("publish")
        stick("publish")
        return Grade.GOOD

    @listen(publish)
    def praise(self, grade: Grade) -> str:
        note(f"praise {grade.name}")
        stick("praise")
        return f"{grade.value} {self.state.topic} {self.state.drafts}"


class Unkept(Flow[Ledger]):
    @start()
    def first(self) -> str:
        note("first")
        return "first"

    @listen(first)
    def second(self, said: str) -> str:
        note("second")
        stick("second")
        return f"{said} second"


@persist()
class Renamed(Flow[Ledger]):
    """As if the image had changed: other methods."""

    @start()
    def begin(self) -> str:
        note("begin")
        return "begun"


@persist()
class Opaque(Flow[Ledger]):
    """What its method gives cannot be kept."""

    @start()
    def first(self) -> Any:
        note("first")
        return object()

    @listen(first)
    def second(self, _: Any) -> str:
        note("second")
        return "second"


@persist()
class Gathered(Flow[Ledger]):
    """Two methods side by side, and one that waits for both."""

    @start()
    def begin(self) -> str:
        note("begin")
        return "begun"

    @listen(begin)
    def left(self, said: str) -> str:
        note(f"left {said}")
        return "left"

    @listen(left)
    def further(self, said: str) -> str:
        note(f"further {said}")
        stick("further")
        return "further"

    @listen(begin)
    def right(self, said: str) -> str:
        note(f"right {said}")
        return "right"

    @listen(and_(further, right))
    def gather(self) -> str:
        note("gather")
        return "gathered"


class Partly(Flow[Ledger]):
    """Only its first method is persisted."""

    @persist()
    @start()
    def first(self) -> str:
        note("first")
        self.state.drafts += 1
        return "first"

    @listen(first)
    def second(self, said: str) -> str:
        note(f"second {said}")
        self.state.drafts += 1
        return "second"

    @listen(second)
    def third(self, said: str) -> int:
        note(f"third {said}")
        stick("third")
        return self.state.drafts


@persist()
class Carrying(Flow[Ledger]):
    """Keeps something beside its state."""

    @start()
    def first(self) -> str:
        note("first")
        self.helper = "helper"
        return "first"

    @listen(first)
    def second(self, said: str) -> str:
        note("second")
        stick("second")
        return f"{said} {self.helper}"
