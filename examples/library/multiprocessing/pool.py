"""The concierge in a pool, a new process for each message: `python pool.py fork|spawn|forkserver`."""

import json
import multiprocessing
import os
import sys

import crew_runtime


def ask(session_id, message):
    from concierge.crew import Concierge  # imports CrewAI: after install()

    with crew_runtime.session(session_id):
        said = Concierge().crew().kickoff(inputs={"message": message})
    return {"reply": said.raw, "pid": os.getpid()}


def main(method):
    context = multiprocessing.get_context(method)
    with context.Pool(1, initializer=crew_runtime.install, maxtasksperchild=1) as pool:
        for message in ("I am allergic to peanuts.", "What should the kitchen avoid?"):
            print(json.dumps(pool.apply(ask, ("room-214", message))), flush=True)


if __name__ == "__main__":
    main(sys.argv[1])
