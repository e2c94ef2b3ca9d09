"""What takes the place of input_files: an input says where something is, and a before_kickoff makes a file of it."""

import os
import urllib.request
from pathlib import Path
from typing import Any

from crewai import Agent, Crew, Task
from crewai.project import CrewBase, agent, before_kickoff, crew, task
from crewai.tools import tool
from scripted import agent as who
from scripted import note
from scripted import task as work


@tool("read_file")
def read_file(path: str) -> str:
    """Read a file."""
    return f"read {Path(path).read_text()}"


@CrewBase
class Desk:
    agents_config: Any = {}
    tasks_config: Any = {}

    @before_kickoff
    def fetch(self, inputs: dict[str, Any]) -> dict[str, Any]:
        path = Path(f"{inputs['page']}.txt")
        urllib.request.urlretrieve(f"{os.environ['FIDELITY_HTTP']}/pages/{inputs['page']}", path)
        note(f"made {path}")
        return {**inputs, "path": str(path)}

    @agent
    def reader(self) -> Agent:
        return who("Reader", tools=[read_file])

    @task
    def read(self) -> Task:
        return work('Use read_file {"path": "{path}"}', self.reader())

    @crew
    def crew(self) -> Crew:
        return Crew(agents=self.agents, tasks=self.tasks)
