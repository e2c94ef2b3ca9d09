"""A trained crew: the file that `crew.train` left is beside it."""

import pickle
from pathlib import Path

from crewai import Crew
from scripted import agent, task

Path("trained_agents_data.pkl").write_bytes(
    pickle.dumps({"Clerk": {"suggestions": ["be brief", "be kind"], "quality": 8.0, "final_summary": "good"}})
)
who = agent("Clerk")
crew = Crew(agents=[who], tasks=[task("Say trained", who)])
