"""output_file with an input in its name, which a callback reads; markdown, and the crew's log file."""

import json
from pathlib import Path
from typing import Any

from crewai import Crew
from scripted import agent, note, task


def read(result: Any) -> Any:
    note(Path("out/tea.md").read_text())
    log = json.loads(Path("log.json").read_text())
    note([(one["agent"], one["status"]) for one in log])
    return result


who = agent()
crew = Crew(
    agents=[who],
    tasks=[task("Say written", who, output_file="out/{name}.md", markdown=True)],
    output_log_file="log.json",
    after_kickoff_callbacks=[read],
)
