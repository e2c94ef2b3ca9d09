"""What a crew knows of itself afterwards: usage, tasks' durations, its tasks' outputs and executions."""

from typing import Any

from crewai import Crew
from scripted import agent, note, task


def after(result: Any) -> Any:
    note(
        [crew.tasks[0].output.raw, crew.tasks[0].execution_duration is not None, len(crew.tasks[0].processed_by_agents)]
    )
    note([result.tasks_output[0].summary, result.token_usage.total_tokens, crew.calculate_usage_metrics().total_tokens])
    note([crew.name, crew.agents[0].role, str(crew.fingerprint.uuid_str) != ""])
    return result


who = agent("Clerk of {town}")
crew = Crew(name="hall", agents=[who], tasks=[task("Say done", who)], after_kickoff_callbacks=[after])
