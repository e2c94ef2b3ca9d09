"""An LLM with a timeout, whose model is slower."""

from crewai import LLM, Crew
from scripted import agent, task

who = agent("Clerk", LLM(model="openai/gpt-4o", timeout=1, max_retries=0), max_retry_limit=0)
crew = Crew(agents=[who], tasks=[task("Answer slowly", who)])
