"""A @CrewBase class with YAML, hooks, and something that it keeps in itself."""

from typing import Any

from crewai import Agent, Crew, Process, Task
from crewai.project import CrewBase, after_kickoff, agent, before_kickoff, crew, task
from scripted import Scripted, note


@CrewBase
class Office:
    agents_config: Any = "config/agents.yaml"
    tasks_config: Any = "config/tasks.yaml"

    def __init__(self) -> None:
        self.visits: list[str] = []

    @before_kickoff
    def prepare(self, inputs: Any) -> Any:
        self.visits.append(inputs["topic"])
        inputs["topic"] = inputs["topic"].upper()
        return inputs

    @after_kickoff
    def finish(self, result: Any) -> Any:
        note(f"visits {self.visits}")
        result.raw = f"{result.raw} after {len(self.visits)} visit"
        return result

    @agent
    def clerk(self) -> Agent:
        return Agent(config=self.agents_config["clerk"], llm=Scripted(model="scripted"))

    @task
    def file(self) -> Task:
        return Task(config=self.tasks_config["file"])

    @crew
    def crew(self) -> Crew:
        return Crew(agents=self.agents, tasks=self.tasks, process=Process.sequential)
