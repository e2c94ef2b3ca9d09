"""A module that does what a project's main.py does: .env in the folder, logging to a file, argv."""

import logging
import os
import sys
from pathlib import Path
from typing import Any

from crewai import Crew
from dotenv import load_dotenv
from scripted import agent, note, task

load_dotenv(Path.cwd() / ".env")
logging.basicConfig(filename="app.log", level=logging.INFO, format="%(message)s")
log = logging.getLogger("app")
log.info("imported")


def after(result: Any) -> Any:
    log.info("finished %s", result.raw)
    note([os.environ["GREETING"], Path("app.log").read_text().splitlines()[-1], len(sys.argv) > 0, __name__])
    return result


who = agent()
crew = Crew(agents=[who], tasks=[task(f"Say {os.environ['GREETING']}", who)], after_kickoff_callbacks=[after])
