"""The crew: two agents, two tasks, CrewAI's own memory. It knows nothing of Redis or Kubernetes."""

import os
from typing import Any

from crewai import Agent, Crew, Process, Task
from crewai.agents.agent_builder.base_agent import BaseAgent
from crewai.project import CrewBase, agent, crew, task

from concierge import models


@CrewBase
class Concierge:
    """Input: `message`, what a guest (or a colleague who asks about the guest) says. Output: the concierge's reply."""

    agents: list[BaseAgent]
    tasks: list[Task]
    agents_config: Any = "config/agents.yaml"
    tasks_config: Any = "config/tasks.yaml"

    @agent
    def note_taker(self) -> Agent:
        return Agent(config=self.agents_config["note_taker"], llm=models.llm(os.environ))

    @agent
    def concierge(self) -> Agent:
        return Agent(config=self.agents_config["concierge"], llm=models.llm(os.environ))

    @task
    def note(self) -> Task:
        return Task(config=self.tasks_config["note"])  # type: ignore[call-arg]

    @task
    def reply(self) -> Task:
        return Task(config=self.tasks_config["reply"])  # type: ignore[call-arg]

    @crew
    def crew(self) -> Crew:
        return Crew(
            name="concierge",
            agents=self.agents,
            tasks=self.tasks,
            process=Process.sequential,
            memory=os.environ.get("CONCIERGE_MEMORY", "on") != "off",
            embedder=models.embedder(os.environ),
        )
