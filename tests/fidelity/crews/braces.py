"""Braces in a text that are no inputs."""

from crewai import Crew
from scripted import agent, task

who = agent(backstory="Writes templates such as {dish}: {price} by heart")
crew = Crew(agents=[who], tasks=[task("Say it is {dish}: {price}", who)])
