"""A client of a crew that never rests, in a pod of its own: it shows what a rollout does to those who ask.

As a program: `caller.py URL`. It asks over new connections and over one that it keeps, and prints a line for each
failure and each tenth success.
"""

import http.client
import json
import sys
import threading
import time
import urllib.parse

WAIT = 30


def ask(connection: http.client.HTTPConnection) -> None:
    """Kick off, wait for the end. Raises when there is none."""
    body = json.dumps({"inputs": {"message": "hello"}})
    connection.request("POST", f"/kickoff?wait={WAIT}", body, {"Content-Type": "application/json"})
    response = connection.getresponse()
    told = json.loads(response.read())
    if response.status != 200:
        raise RuntimeError(f"{response.status} {told}")
    while told.get("status", "running") == "running":
        time.sleep(0.2)
        connection.request("GET", f"/status/{told['kickoff_id']}")
        response = connection.getresponse()
        told = {**told, **json.loads(response.read())}
        if response.status != 200:
            raise RuntimeError(f"status {response.status} {told}")
    if told["status"] != "completed" or told["memory"] != "ok":
        raise RuntimeError(str(told))


def say(line: str) -> None:
    """In one piece: print writes a line and its end apart, and the other thread gets in between."""
    sys.stdout.write(f"{line}\n")
    sys.stdout.flush()


def call(address: str, *, keep: bool) -> None:
    """For ever."""
    how, done, kept = ("kept" if keep else "new"), 0, None
    while True:
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
        if done % 10 == 0:
            say(f"answered {how} {done}")


if __name__ == "__main__":
    netloc = urllib.parse.urlsplit(sys.argv[1]).netloc
    threading.Thread(target=call, args=(netloc,), kwargs={"keep": True}, daemon=True).start()
    call(netloc, keep=False)
