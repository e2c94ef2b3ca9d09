"""What a program does at its end: atexit, and a thread that is left behind and writes its last line."""

import atexit
import threading
import time
from typing import Any

from crewai import Crew
from scripted import agent, note, task


def beside() -> None:
    time.sleep(0.3)
    note("a thread's last line")


def leave(output: Any) -> None:
    threading.Thread(target=beside).start()


@atexit.register
def finish() -> None:
    note("at exit")


def crew() -> Crew:
    note("made")
    who = agent()
    return Crew(agents=[who], tasks=[task("Say bye", who)], task_callback=leave)
