"""A megabyte of text in other alphabets, lone surrogates' neighbours and control characters."""

from crewai import Crew
from scripted import Fixed, agent, task

TEXT = "grüße 你好 🍲 \u2028 tab\there " * 40_000
who = agent(llm=Fixed(model="big", says=TEXT))
crew = Crew(agents=[who], tasks=[task("Say much", who)])
