"""allow_delegation between agents of a sequential crew."""

from crewai import Crew
from scripted import Scripted, agent, task

cook = agent("Cook", Scripted(model="cook"))
waiter = agent("Waiter", Scripted(model="waiter"), allow_delegation=True)
order = '{"task": "Say soup for {guest}", "context": "table nine", "coworker": "Cook"}'
crew = Crew(agents=[waiter, cook], tasks=[task(f"Use delegate_work_to_coworker {order}", waiter)])
