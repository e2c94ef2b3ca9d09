"""An agent that plans its steps by an LLM of its planning's own."""

from typing import Any

from crewai import Crew
from crewai.agent.planning_config import PlanningConfig
from scripted import Scripted, agent, note, task


class Planner(Scripted):
    def answer(self, messages: Any) -> str:
        note("the agent's planner was asked")
        return "Thought: plan.\nFinal Answer: 1. Answer.\nREADY: I am ready to execute the task."


who = agent("Thinker", planning_config=PlanningConfig(llm=Planner(model="planner"), max_attempts=1))
crew = Crew(agents=[who], tasks=[task("Say thought through", who)])
