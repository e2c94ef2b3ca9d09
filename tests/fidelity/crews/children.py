"""Tools that start processes: subprocess, multiprocessing's pool, a process pool of futures."""

import multiprocessing
import subprocess
import sys
from concurrent.futures import ProcessPoolExecutor

from crewai import Crew
from crewai.tools import tool
from scripted import agent, task


@tool("run")
def run() -> str:
    """Run."""
    said = subprocess.run([sys.executable, "-c", "print(6 * 7)"], capture_output=True, text=True, check=True)
    with multiprocessing.get_context("spawn").Pool(1) as pool:
        root = pool.apply(abs, (-9,))
    with ProcessPoolExecutor(1, mp_context=multiprocessing.get_context("fork")) as futures:
        power = futures.submit(pow, 2, 5).result(20)
    return f"{said.stdout.strip()} {root} {power}"


who = agent(tools=[run])
crew = Crew(agents=[who], tasks=[task("Use run {}", who)])
