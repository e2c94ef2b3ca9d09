"""A task whose context is a task that ran before, in another crew of the author's."""

from crewai import Crew
from scripted import agent, task

clerk = agent("Clerk")
research = task("Say found", clerk)
report = task("Say reported\nRepeat the context", clerk, context=[research])


def crew() -> Crew:
    Crew(agents=[clerk], tasks=[research]).kickoff()
    return Crew(agents=[clerk], tasks=[report])
