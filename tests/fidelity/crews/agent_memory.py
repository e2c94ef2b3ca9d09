"""Agent(memory=True) whose LLM is made by LLM(...)."""

import os

from crewai import LLM, Crew, Memory
from scripted import EMBEDDER, agent, task

llm = LLM(model="openai/gpt-4o", base_url=f"{os.environ['FIDELITY_HTTP']}/v1", api_key="none", timeout=20)
who = agent("Clerk", llm, memory=Memory(llm=llm, embedder=EMBEDDER))
crew = Crew(agents=[who], tasks=[task("Keep in mind peanuts remember-{what}", who)])
