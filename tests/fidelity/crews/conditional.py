"""Conditional tasks: one is skipped, one runs."""

from crewai import Crew
from crewai.tasks.conditional_task import ConditionalTask
from scripted import agent, task

who = agent()


def only_if(word: str, text: str) -> ConditionalTask:
    return ConditionalTask(
        description=text, expected_output="a line", agent=who, condition=lambda output: word in output.raw
    )


crew = Crew(
    agents=[who],
    tasks=[task("Say tea", who), only_if("soup", "Say skipped"), only_if("", "Say ran"), task("Say last", who)],
)
