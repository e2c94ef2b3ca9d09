"""The concierge as a Celery task. Any worker process knows every guest."""

import os

from celery import Celery
from celery.signals import worker_process_init

import crew_runtime

app = Celery("tasks", broker=os.environ["CELERY_BROKER_URL"], backend=os.environ["CELERY_BROKER_URL"])
app.conf.worker_proc_alive_timeout = 60  # Celery gives up on a process after 4 s, and importing CrewAI may take longer


@worker_process_init.connect
def _install(**_):
    crew_runtime.install()


@app.task
def ask(session_id, message):
    from concierge.crew import Concierge  # imports CrewAI: after install()

    with crew_runtime.session(session_id):
        said = Concierge().crew().kickoff(inputs={"message": message})
    return {"reply": said.raw, "pid": os.getpid()}
