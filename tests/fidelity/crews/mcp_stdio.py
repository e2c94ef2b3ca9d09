"""An agent whose tools come from an MCP server over stdio."""

import sys
from pathlib import Path

from crewai import Crew
from crewai.mcp import MCPServerStdio
from scripted import agent, task

path = str(Path(__file__).with_name("mcp_server.py"))
server = MCPServerStdio(command=sys.executable, args=[path])
who = agent("Librarian", mcps=[server])
# CrewAI calls a server's tools by its command.
crew = Crew(agents=[who], tasks=[task(f'Use {sys.executable}_{path}_look_up {{"shelf": "{{shelf}}"}}', who)])
