"""A class as `crewai create crew` writes it."""

from typing import ClassVar

from crewai import Agent, Crew, Task
from crewai.project import CrewBase, agent, task
from crewai.project import crew as crew_method

from support.user_crews.plain import EchoLLM


@CrewBase
class Greeter:
    agents_config: ClassVar[dict[str, object]] = {}
    tasks_config: ClassVar[dict[str, object]] = {}

    @agent
    def greeter(self) -> Agent:
        return Agent(role="Greeter", goal="greet", backstory="polite", llm=EchoLLM(model="echo"))

    @task
    def greet(self) -> Task:
        return Task(description="Say hello {name}", expected_output="a greeting", agent=self.greeter())

    @crew_method
    def crew(self) -> Crew:
        return Crew(agents=self.agents, tasks=self.tasks)
