"""A crew whose tools do what the input `deed` says. One agent, one task, an LLM that calls the tool once."""

import ctypes
import os
import re
import subprocess
import sys
import threading
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

from crewai import Agent, Crew, Task
from crewai.llms.base_llm import BaseLLM
from crewai.tools import tool


def _sleep() -> str:
    time.sleep(120)
    return "slept"


def _nap() -> str:
    time.sleep(0.5)
    return "napped"


def _spin() -> str:
    until = time.monotonic() + 120
    while time.monotonic() < until:
        pass
    return "spun"


def _hold_gil() -> str:
    # Exponential backtracking: one call into C that never lets go of the GIL.
    re.match(r"(a+)+$", "a" * 40 + "b")
    return "matched"


def _swallow() -> str:
    until = time.monotonic() + 120
    while time.monotonic() < until:
        try:
            time.sleep(10)
        except BaseException:
            continue
    return "swallowed"


def _exit() -> str:
    sys.exit(5)


def _os_exit() -> str:
    os._exit(6)


def _segfault() -> str:
    ctypes.string_at(0)
    return "survived"


def _allocate() -> str:
    return f"got {len(bytearray(2 * 1024**3))}"


def _grow() -> str:
    kept = []
    while True:
        kept.append(os.urandom(1024) * (8 * 1024))
        time.sleep(0.005)


def _own_session_child() -> str:
    child = subprocess.Popen(["sleep", "300"], start_new_session=True)
    Path(os.environ["CHILD_PID_FILE"]).write_text(str(child.pid))
    return "left a child"


def _daemon() -> str:
    # The middle process ends, so the grandchild is nobody's child but the slot's.
    script = "setsid sleep 300 >/dev/null 2>&1 & echo $!"
    told = subprocess.run(["sh", "-c", script], stdout=subprocess.PIPE, check=True)
    Path(os.environ["CHILD_PID_FILE"]).write_text(told.stdout.decode())
    return "left a daemon"


def _thread() -> str:
    threading.Thread(target=threading.Event().wait, name="left-behind", daemon=True).start()
    return "left a thread"


def _chdir() -> str:
    os.chdir("/")
    return "moved"


def _environ() -> str:
    os.environ["LEFT_BEHIND"] = "1"
    return "set"


def _open_file() -> str:
    os.open("/etc/hostname", os.O_RDONLY)
    return "opened"


def _recurse() -> str:
    def down(depth: int) -> int:
        return down(depth + 1) + 1

    return str(down(0))


def _raise() -> str:
    raise ValueError("the tool is broken")


DEEDS: dict[str, Callable[[], str]] = {
    name.removeprefix("_"): deed
    for name, deed in list(globals().items())
    if callable(deed) and name.startswith("_") and getattr(deed, "__module__", "") == __name__
}


@tool
def act(deed: str) -> str:
    """Do one of the deeds."""
    print(f"{deed} begins in {os.getpid()}", flush=True)
    return DEEDS[deed]() if deed in DEEDS else deed


class CallingLLM(BaseLLM):
    """Calls the tool with the deed out of its prompt, then answers with what the tool said."""

    def call(self, messages: Any, *_: Any, **__: Any) -> Any:
        text = "\n".join(str(one["content"]) for one in messages)
        # The instructions, up to "Begin!", show what an observation looks like.
        _, observed, said = text.rpartition("Begin!")[2].rpartition("Observation:")
        if observed:
            return f"Thought: done.\nFinal Answer: {said.strip().splitlines()[0]}"
        deed = re.findall(r"Do the deed (\w+)", text)[-1]
        return f'Thought: I use the tool.\nAction: act\nAction Input: {{"deed": "{deed}"}}'

    def supports_stop_words(self) -> bool:
        return False

    def get_input_tokens_count(self, *_: Any, **__: Any) -> int:
        return 1


def crew() -> Crew:
    agent = Agent(role="Doer", goal="do", backstory="does", llm=CallingLLM(model="calling"), tools=[act], cache=False)
    task = Task(description="Do the deed {deed}", expected_output="what was done", agent=agent)
    return Crew(agents=[agent], tasks=[task], cache=False)
