"""A manager made by CrewAI, with the author's LLM, that delegates."""

from crewai import Crew, Process
from scripted import Scripted, agent, task

cook = agent("Cook")
order = '{"task": "Say the soup is made", "context": "dinner", "coworker": "Cook"}'
crew = Crew(
    agents=[cook],
    tasks=[task(f"Use delegate_work_to_coworker {order}", None), task("Say done\nRepeat the context", None)],
    process=Process.hierarchical,
    manager_llm=Scripted(model="manager"),
)
