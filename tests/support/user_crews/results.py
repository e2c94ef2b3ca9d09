"""Crews and flows whose results are not plain text; no network."""

import uuid
from datetime import UTC, date, datetime
from enum import Enum
from typing import Any

from crewai import Agent, Crew, Task
from crewai.flow.flow import Flow, start
from crewai.flow.persistence import persist
from pydantic import BaseModel

from support.user_crews import plain


class Urgency(Enum):
    HIGH = "high"


class Guest(BaseModel):
    name: str
    born: date


class Booking(BaseModel):
    urgency: Urgency = Urgency.HIGH
    at: datetime = datetime(2026, 1, 2, 3, 4, tzinfo=UTC)
    id: uuid.UUID = uuid.UUID(int=7)
    guest: Guest = Guest(name="Ann", born=date(2000, 1, 1))


class Clerk(plain.EchoLLM):
    """Answers with a booking, and counts as a provider of CrewAI's does."""

    def call(self, *_: Any, response_model: Any = None, **__: Any) -> Any:
        self._track_token_usage_internal({"prompt_tokens": 3, "completion_tokens": 4})
        return Booking().model_dump_json()


def _crew(llm: Any, **more: Any) -> Crew:
    agent = Agent(role="Clerk", goal="answer", backstory="knows", llm=llm, max_iter=2)
    task = Task(name="book", description="Say booked", expected_output="a booking", agent=agent, **more)
    return Crew(agents=[agent], tasks=[task])


booking = _crew(Clerk(model="clerk"), output_pydantic=Booking)

silent = _crew(plain.EchoLLM(model="echo"))
silent.after_kickoff_callbacks = [lambda result: None]


class NoTableError(Exception):
    """A user's own."""


def _fail(given: Any) -> Any:
    try:
        {}["table"]
    except KeyError as error:
        raise NoTableError("the house is full") from error


failing = _crew(plain.EchoLLM(model="echo"))
failing.before_kickoff_callbacks = [_fail]

menu = plain.make()
menu.tasks[0].description = "Say {dish}: {price}"
menu.tasks[1].description = "Say done"


@persist()
class Visits(Flow):
    """Old code saved no `vip`; with the input `new` it is the code that came after."""

    @start()
    def visit(self) -> str:
        if self.state.get("new"):
            return f"vip {self.state['vip']}"
        self.state["count"] = self.state.get("count", 0) + 1
        return f"visit {self.state['count']}"
