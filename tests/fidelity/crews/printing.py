"""What the crew prints, to stdout and stderr, also from C, and reads of an empty stdin."""

import os
import sys

from crewai import Crew
from crewai.tools import tool
from scripted import agent, note, task


@tool("speak")
def speak() -> str:
    """Speak."""
    print("to stdout")
    print("to stderr", file=sys.stderr)
    os.write(1, b"to the descriptor\n")
    note([sys.stdin.read(), os.isatty(0), sys.stdout.writable()])
    return "spoke"


who = agent(tools=[speak], verbose=True)
crew = Crew(agents=[who], tasks=[task("Use speak {}", who)], verbose=True)
