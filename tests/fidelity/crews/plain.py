"""Two tasks, two agents: the second is given what the first said."""

from crewai import Crew
from scripted import agent, task

first, second = agent("First"), agent("Second")
crew = Crew(
    agents=[first, second],
    tasks=[task("Say good {when}", first, name="greet"), task("Say bye\nRepeat the context", second, name="leave")],
)
