"""Tasks that run beside each other, and one that waits for both."""

from crewai import Crew
from scripted import agent, task

left, right, last = agent("Left"), agent("Right"), agent("Last")
one, two = task("Say left", left, async_execution=True), task("Say right", right, async_execution=True)
crew = Crew(
    agents=[left, right, last], tasks=[one, two, task("Say both\nRepeat the context", last, context=[one, two])]
)
