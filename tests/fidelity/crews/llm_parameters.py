"""LLM(...) of OpenAI's API with every setting that somebody needs: headers, timeout, seed, stop."""

import os

from crewai import LLM, Crew
from scripted import agent, task

llm = LLM(
    model="openai/gpt-4o",
    base_url=f"{os.environ['FIDELITY_HTTP']}/v1",
    api_key="none",
    temperature=0.25,
    top_p=0.5,
    max_tokens=77,
    seed=42,
    timeout=33,
    max_retries=0,
    presence_penalty=0.125,
    stop=["END"],
    default_headers={"X-Tenant": "acme"},
)
who = agent("Clerk", llm)
crew = Crew(agents=[who], tasks=[task("Tell what reached you", who)])
