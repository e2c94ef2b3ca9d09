"""Random numbers of every kind: no two kickoffs may have the same."""

import random
import secrets
import uuid
from typing import Any

import numpy as np
from crewai import Crew
from scripted import agent, note, task

generator = np.random.default_rng()
own = random.Random()


def dice(output: Any) -> None:
    note(["random", random.getrandbits(64)])
    note(["own", own.getrandbits(64)])
    note(["numpy", float(np.random.random())])
    note(["generator", float(generator.random())])
    note(["uuid", uuid.uuid4().hex])
    note(["secrets", secrets.token_hex()])


who = agent("Clerk")
who.llm.quiet = True  # type: ignore[union-attr]
crew = Crew(agents=[who], tasks=[task("Say rolled", who)], task_callback=dice)
