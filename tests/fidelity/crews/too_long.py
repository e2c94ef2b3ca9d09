"""A memory whose embedder refuses a text that is too long."""

import os

from crewai import Crew, Memory
from scripted import Scripted, agent, task

config = {
    "provider": "openai",
    "config": {
        "api_key": "none",
        "api_base": f"{os.environ['FIDELITY_HTTP']}/v1",
        "model_name": "text-embedding-3-small",
    },
}
memory = Memory(llm=Scripted(model="filing"), embedder=config, query_analysis_threshold=100_000)
who = agent()
crew = Crew(agents=[who], tasks=[task("Say short\nMind {text}", who)], memory=memory)
