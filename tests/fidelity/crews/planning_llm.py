"""planning=True with a planning LLM of the author's own."""

from typing import Any

from crewai import Crew
from crewai.utilities.planning_handler import PlannerTaskPydanticOutput, PlanPerTask
from scripted import Scripted, agent, note, task

PLAN = PlannerTaskPydanticOutput(
    list_of_plans_per_task=[
        PlanPerTask(task_number=1, task="one", plan="\nSay the planned first"),
        PlanPerTask(task_number=2, task="two", plan="\nSay the planned second"),
    ]
)


class Planner(Scripted):
    def filled(self, model: Any, messages: Any) -> Any:
        note("planned")
        return PLAN

    def answer(self, messages: Any) -> str:
        note("planned")
        return PLAN.model_dump_json()


who = agent()
crew = Crew(
    agents=[who], tasks=[task("One {x}", who), task("Two", who)], planning=True, planning_llm=Planner(model="planner")
)
