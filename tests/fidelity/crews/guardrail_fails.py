"""A guardrail that nothing passes."""

from crewai import Crew
from scripted import agent, task

who = agent()
crew = Crew(
    agents=[who],
    tasks=[task("Say one", who, guardrail=lambda output: (False, "never good"), guardrail_max_retries=2)],
)
