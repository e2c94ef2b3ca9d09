"""A requests.Session with a connection that the import opened."""

import os

import requests
from crewai import Crew
from crewai.tools import tool
from scripted import Scripted, agent, task

URL = os.environ["FIDELITY_HTTP"]
session = requests.Session()
session.get(f"{URL}/pages/warm", timeout=20).raise_for_status()


@tool("fetch")
def fetch(number: int) -> str:
    """Fetch pages, and see that each is the one that was asked for."""
    names = [f"{number}-{os.getpid()}-{count}" for count in range(5)]
    got = [session.get(f"{URL}/pages/{name}", timeout=20).text for name in names]
    return "all right" if got == names else "others' pages"


who = agent("Clerk", Scripted(model="scripted", quiet=True), tools=[fetch])
crew = Crew(agents=[who], tasks=[task('Use fetch {"number": {number}}', who)])
