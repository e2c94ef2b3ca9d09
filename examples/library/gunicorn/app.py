"""The concierge behind gunicorn: `{"session_id", "message"}` in, `{"reply", "pid"}` out. All workers know a guest."""

import json
import os

import crew_runtime

crew_runtime.install()  # before anything that imports CrewAI; with --preload that is before the fork

from concierge.crew import Concierge  # noqa: E402


def app(environ, start_response):
    asked = json.loads(environ["wsgi.input"].read(int(environ["CONTENT_LENGTH"])))
    with crew_runtime.session(asked["session_id"]):
        said = Concierge().crew().kickoff(inputs={"message": asked["message"]})
    start_response("200 OK", [("Content-Type", "application/json")])
    return [json.dumps({"reply": said.raw, "pid": os.getpid()}).encode()]
