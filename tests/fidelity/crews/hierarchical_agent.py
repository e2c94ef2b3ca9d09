"""A manager agent of the author's own, which asks a coworker."""

from crewai import Crew, Process
from scripted import Scripted, agent, task

cook, boss = agent("Cook", Scripted(model="cook")), agent("Boss", Scripted(model="boss"), allow_delegation=True)
question = '{"question": "Say yes", "context": "dinner", "coworker": "Cook"}'
crew = Crew(
    agents=[cook],
    tasks=[task(f"Use ask_question_to_coworker {question}", None)],
    process=Process.hierarchical,
    manager_agent=boss,
)
