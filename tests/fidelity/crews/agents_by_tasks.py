"""A crew that is given its agents by its tasks alone."""

from crewai import Crew
from scripted import agent, task

crew = Crew(tasks=[task("Say one", agent("First")), task("Say two\nRepeat the context", agent("Second"))])
