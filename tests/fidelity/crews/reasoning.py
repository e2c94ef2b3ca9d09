"""reasoning=True: the agent reflects before it works."""

from crewai import Crew
from scripted import agent, task

who = agent("Thinker", reasoning=True, max_reasoning_attempts=2)
crew = Crew(agents=[who], tasks=[task("Say reasoned", who)])
