"""An agent with `apps`, resolved as CrewAI's platform would, but by its author's own tools."""

from typing import Any

from crewai import Agent, Crew
from crewai.tools import tool
from scripted import Scripted, note, task


@tool("send_mail")
def send_mail(to: str) -> str:
    """Send."""
    return f"sent to {to}"


class Platform(Agent):
    def get_platform_tools(self, apps: list[Any]) -> list[Any]:
        note(f"apps {sorted(apps)}")  # a set, inside CrewAI
        return [send_mail]


who = Platform(
    role="Clerk", goal="work", backstory="works", llm=Scripted(model="scripted"), apps=["gmail", "slack"], max_iter=4
)
crew = Crew(agents=[who], tasks=[task('Use send_mail {"to": "{to}"}', who)])
