"""A client that asks a crew all the time, in a pod of its own: it shows what a rollout does to those who ask.

As a program: `caller.py URL`, with the API's token in CREW_TOKEN. It asks over new connections and over one that it
keeps, and prints a line for each failure and each fifth success.
"""

import http.client
import json
import os
import sys
import threading
import time
import urllib.parse
from typing import Any

WAIT = 30
PAUSE = 1.0
"""Seconds between an answer and the next question: a kickoff takes a second of CPU time, which new replicas need."""
TOLD_EVERY = 5
"""Answers."""
TRIES = 20 if os.environ.get("CALLER_RETRIES") else 1
"""Times that it asks when it is told to come again."""
HEADERS = {"Content-Type": "application/json", "Authorization": f"Bearer {os.environ.get('CREW_TOKEN', '')}"}


def ask(connection: http.client.HTTPConnection) -> None:
    """Kick off, wait for the end. Raises when there is none."""
    told = answer(connection, "POST", f"/kickoff?wait={WAIT}", json.dumps({"inputs": {"message": "hello"}}))
    while told.get("status", "running") == "running":
        time.sleep(0.2)
        told = {**told, **answer(connection, "GET", f"/status/{told['kickoff_id']}")}
    if told["status"] != "completed" or told["memory"] != "ok":
        raise RuntimeError(str(told))


def answer(connection: http.client.HTTPConnection, method: str, path: str, body: str | None = None) -> dict[str, Any]:
    """What it says, asked again while it says 503. Raises for anything but 200."""
    for _ in range(TRIES):
        connection.request(method, path, body, HEADERS)
        response = connection.getresponse()
        told: dict[str, Any] = json.loads(response.read())
        if response.status != http.client.SERVICE_UNAVAILABLE:
            break
        time.sleep(min(2.0, float(response.headers.get("Retry-After", 1))))
    if response.status != http.client.OK:
        raise RuntimeError(f"{method} {path}: {response.status} {told}")
    return told


def say(line: str) -> None:
    """In one piece: print writes a line and its end apart, and the other thread gets in between."""
    sys.stdout.write(f"{line}\n")
    sys.stdout.flush()


def call(address: str, *, keep: bool) -> None:
    """For ever."""
    how, done, kept = ("kept" if keep else "new"), 0, None
    while True:
        time.sleep(PAUSE)
        connection = kept or http.client.HTTPConnection(address, timeout=WAIT + 10)
        try:
            ask(connection)
            done += 1
        except Exception as error:
            say(f"FAILED over a {how} connection: {error!r}")
            connection.close()
            kept = None
            continue
        kept = connection if keep else None
        if not keep:
            connection.close()
        if done % TOLD_EVERY == 0:
            say(f"answered {how} {done}")


if __name__ == "__main__":
    netloc = urllib.parse.urlsplit(sys.argv[1]).netloc
    threading.Thread(target=call, args=(netloc,), kwargs={"keep": True}, daemon=True).start()
    call(netloc, keep=False)
