"""Crews and flows that work: a rehearsal must find nothing in them."""

import os
import urllib.request
from datetime import date
from decimal import Decimal
from enum import Enum
from typing import Annotated, Any, ClassVar, Literal

from crewai import LLM, Agent, Crew, Process, Task
from crewai.events import BaseEventListener, CrewKickoffStartedEvent, crewai_event_bus
from crewai.flow.conversational import ConversationConfig, ConversationState
from crewai.flow.flow import Flow, listen, router, start
from crewai.flow.persistence import persist
from crewai.flow.persistence.base import FlowPersistence
from crewai.hooks import before_llm_call, before_tool_call
from crewai.knowledge.source.string_knowledge_source import StringKnowledgeSource
from crewai.mcp import MCPServerStdio
from crewai.memory.unified_memory import Memory
from crewai.project import CrewBase, agent, before_kickoff, crew, task
from crewai.tasks.conditional_task import ConditionalTask
from crewai.tasks.task_output import TaskOutput
from pydantic import BaseModel, Field, field_validator

from support.rehearsed.effects import Mail, OwnLLM, embed, llm, note, noting
from support.rehearsed.embedding import Own


def one_agent(**more: Any) -> Agent:
    given = {"role": "Host", "goal": "be kind to {guest}", "backstory": "has time", "llm": llm(), **more}
    return Agent(**given)


def one_task(who: Agent | None, **more: Any) -> Task:
    return Task(description="Greet {guest}.", expected_output="a greeting", agent=who, **more)


def plain() -> Crew:
    who = one_agent()
    return Crew(agents=[who], tasks=[one_task(who)])


def react_with_tools() -> Crew:
    who = one_agent(llm=llm(tools_by_api=False), tools=[Mail()])
    return Crew(agents=[who], tasks=[one_task(who)])


def native_tools() -> Crew:
    who = one_agent(tools=[Mail(result_as_answer=True)])
    return Crew(agents=[who], tasks=[one_task(who, tools=[Mail()])])


def agents_only_in_tasks() -> Crew:
    return Crew(tasks=[one_task(one_agent())])


def mcp_server() -> Crew:
    who = one_agent(mcps=[MCPServerStdio(command="touch", args=["mcp-was-started"]), "https://mcp.example.com/x"])
    return Crew(agents=[who], tasks=[one_task(who)])


def platform_apps() -> Crew:
    who = one_agent(apps=["gmail"])
    return Crew(agents=[who], tasks=[one_task(who)])


def hierarchical() -> Crew:
    return Crew(
        agents=[one_agent(), one_agent(role="Cook")], tasks=[one_task(None)], process=Process.hierarchical,
        manager_llm=llm(),
    )  # fmt: skip


def manager_agent() -> Crew:
    return Crew(
        agents=[one_agent()], tasks=[one_task(None)], process=Process.hierarchical, manager_agent=one_agent(role="Boss")
    )


def planning_with_its_own_llm() -> Crew:
    who = one_agent()
    return Crew(agents=[who], tasks=[one_task(who)], planning=True, planning_llm=llm())


def reasoning() -> Crew:
    who = one_agent(reasoning=True, max_reasoning_attempts=3)
    other = one_agent(role="Cook", reasoning=True, llm=llm(tools_by_api=False))
    return Crew(agents=[who, other], tasks=[one_task(who), one_task(other)])


def memory_of_the_crew() -> Crew:
    who, keyed = one_agent(), {"provider": "openai", "config": {"api_key": "x"}}
    return Crew(agents=[who], tasks=[one_task(who)], memory=True, embedder=keyed)


def memory_of_an_agent() -> Crew:
    os.environ["OPENAI_API_KEY"] = "x"  # its embedder is CrewAI's default
    who = one_agent(llm=LLM(model="openai/gpt-4o-mini", api_key="x", timeout=3), memory=True)
    return Crew(agents=[who], tasks=[one_task(who)], memory=Memory(llm=llm(), embedder=embed))


def memory_scopes_and_slices() -> Crew:
    memory = Memory(llm=llm(), embedder=embed)
    first = one_agent(memory=memory.scope("/host"))
    second = one_agent(role="Cook", memory=memory.slice(scopes=["/host", "/cook"], read_only=True))
    return Crew(agents=[first, second], tasks=[one_task(first), one_task(second)])


def knowledge() -> Crew:
    who = one_agent(knowledge_sources=[StringKnowledgeSource(content="Breakfast is at eight. " * 2000)])
    custom: Any = {"provider": "custom", "config": {"embedding_callable": Own}}
    return Crew(agents=[who], tasks=[one_task(who)], embedder=custom)


class Mood(Enum):
    GLAD = "glad"
    SAD = "sad"


class Room(BaseModel):
    number: Annotated[int, Field(ge=100, lt=1000, multiple_of=10)]
    beds: Annotated[list[Literal["single", "double"]], Field(min_length=2)]


class Booking(BaseModel):
    mood: Mood
    day: date
    price: Decimal
    rooms: dict[str, Room] | None
    room: Room
    code: Annotated[str, Field(min_length=20, max_length=30)]
    share: Annotated[float, Field(gt=0, lt=1)]
    note: str = "none"


def structured_outputs() -> Crew:
    who, other = one_agent(), one_agent(role="Cook", llm=llm(tools_by_api=False))
    return Crew(
        agents=[who, other],
        tasks=[one_task(who, output_pydantic=Booking), one_task(other, output_json=Room), one_task(who)],
    )


def refuses(output: TaskOutput) -> tuple[bool, Any]:
    note("guardrail")
    return False, f"never {output.raw}"


def guardrails() -> Crew:
    who = one_agent()
    return Crew(
        agents=[who],
        tasks=[
            one_task(who, guardrail=refuses, output_pydantic=Room),
            one_task(who, guardrail="It must be polite."),
            one_task(who, guardrails=[refuses, "It must be short."]),
        ],
    )


def callbacks() -> Crew:
    who = one_agent(step_callback=noting("agent step"))
    return Crew(
        agents=[who],
        tasks=[one_task(who, callback=noting("task callback"))],
        before_kickoff_callbacks=[noting("before kickoff")],
        after_kickoff_callbacks=[noting("after kickoff")],
        step_callback=noting("step callback"),
        task_callback=noting("tasks' callback"),
    )


class Greeter(BaseEventListener):
    """Sends each kickoff's start somewhere."""

    def setup_listeners(self, bus: Any) -> None:
        """As CrewAI asks for it."""
        bus.on(CrewKickoffStartedEvent)(noting("listener"))


def listeners_and_hooks() -> Crew:
    Greeter()
    before_llm_call(lambda _: note("llm hook"))
    before_tool_call(lambda _: note("tool hook"))
    crewai_event_bus.on(CrewKickoffStartedEvent)(noting("handler"))
    return plain()


def conditional() -> Crew:
    who = one_agent()
    second = ConditionalTask(
        description="Apologise.", expected_output="an apology", agent=who, condition=noting("condition", False)
    )
    return Crew(agents=[who], tasks=[one_task(who), second])


def asks_a_person() -> Crew:
    who = one_agent()
    return Crew(agents=[who], tasks=[one_task(who, human_input=True), one_task(who)])


def writes_files() -> Crew:
    who = one_agent()
    return Crew(
        agents=[who],
        tasks=[one_task(who, output_file="greeting-{guest}.md", create_directory=True)],
        output_log_file="log.json",
    )


def asynchronous() -> Crew:
    who = one_agent()
    first = one_task(who, async_execution=True)
    return Crew(agents=[who], tasks=[first, one_task(who, context=[first])])


def streaming() -> Crew:
    who = one_agent(llm=llm(stream=True))
    return Crew(agents=[who], tasks=[one_task(who)], stream=True)


def slow_by_limit() -> Crew:
    who = one_agent(max_rpm=1)
    return Crew(agents=[who], tasks=[one_task(who) for _ in range(3)], max_rpm=1)


def checkpoints() -> Crew:
    who = one_agent()
    return Crew(agents=[who], tasks=[one_task(who)], checkpoint=True)


@CrewBase
class Decorated:
    agents_config: ClassVar[Any] = {}
    tasks_config: ClassVar[Any] = {}

    @agent
    def host(self) -> Agent:
        return one_agent()

    @task
    def greet(self) -> Task:
        return one_task(self.host())

    @before_kickoff
    def prepare(self, inputs: Any) -> Any:
        note("before kickoff")
        return inputs

    @crew
    def crew(self) -> Crew:
        return Crew(agents=self.agents, tasks=self.tasks)


def decorated() -> Crew:
    made: Crew = Decorated().crew()
    return made


class Sub(Crew):
    """A class of the author's, which does more around a kickoff."""

    def kickoff(self, *arguments: Any, **named: Any) -> Any:
        """With an effect."""
        note("own kickoff")
        return super().kickoff(*arguments, **named)


class Elsewhere(Agent):
    """Its tasks are done by another framework."""

    def execute_task(self, *_: Any, **__: Any) -> str:
        """With an effect."""
        note("own execution")
        return "done"


def other_framework() -> Crew:
    who = Elsewhere(role="Host", goal="be kind", backstory="has time", llm=llm())
    return Crew(agents=[who], tasks=[one_task(who)])


def own_class() -> Crew:
    who = one_agent()
    return Sub(agents=[who], tasks=[one_task(who)])


class Visit(BaseModel):
    id: str = ""
    guest: str = "nobody"


def typed_flow() -> Flow[Any]:
    @persist()
    class Visits(Flow[Visit]):
        @start()
        def arrive(self) -> str:
            note("flow method")
            return "in"

        @router(arrive)
        def sort(self) -> str:
            note("flow method")
            return "guest"

        @listen("guest")
        def greet(self) -> str:
            note("flow method")
            return plain().kickoff({"guest": self.state.guest}).raw

    return Visits()


def untyped_flow() -> Flow[Any]:
    class Loops(Flow[dict[str, Any]]):
        @start("again")
        def go(self) -> None:
            note("flow method")

        @router(go)
        def back(self) -> str:
            note("flow method")
            return "again"

    return Loops()


class Ledger(FlowPersistence):
    """The author's own store of flow states."""

    def init_db(self) -> None:
        """Nothing."""

    def save_state(self, flow_uuid: str, method_name: str, state_data: Any) -> None:
        """To somewhere else."""
        note("own persistence")

    def load_state(self, flow_uuid: str) -> None:
        """From somewhere else."""
        note("own persistence")


def flow_with_its_own_persistence() -> Flow[Any]:
    @persist(Ledger())
    class Visits(Flow[Visit]):
        @start()
        def arrive(self) -> None:
            note("flow method")

    return Visits()


@persist()
class Talk(Flow[ConversationState]):
    """A conversation by CrewAI's own turn."""

    conversational = True
    conversational_config = ConversationConfig(llm=llm())


def conversation() -> Flow[Any]:
    return Talk()


class Odd(BaseModel):
    """Only its author knows what is valid."""

    word: str

    @field_validator("word")
    @classmethod
    def _known(cls, word: str) -> str:
        if word != "abracadabra":
            raise ValueError("not the word")
        return word


def odd_output() -> Crew:
    who = one_agent()
    return Crew(agents=[who], tasks=[one_task(who, output_pydantic=Odd)])


def calls_the_network() -> Crew:
    class Remote(OwnLLM):
        def get_context_window_size(self) -> int:
            return len(urllib.request.urlopen("http://models.example.com/size", timeout=5).read())

    who = one_agent(llm=Remote(model="remote"))
    return Crew(agents=[who], tasks=[one_task(who)])


def prepares_by_a_callback() -> Crew:
    who = one_agent(llm=LLM(model="openai/gpt-4o-mini"))

    def fetch_the_key(inputs: Any) -> Any:
        who.llm.api_key = "fetched"
        return inputs

    return Crew(agents=[who], tasks=[one_task(who)], before_kickoff_callbacks=[fetch_the_key])


OPEN = ("odd_output", "prepares_by_a_callback")
"""Those of which a rehearsal cannot know."""
