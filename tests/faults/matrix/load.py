"""Clients of a crew, from outside through its HTTP API: they ask all the time, and each notes what it was told."""

import threading
import time
import uuid
from collections.abc import Callable
from typing import Any

import httpx

from faults.matrix.door import Door
from faults.matrix.figures import Request

CLIENTS = 3
OUTSTANDING = 2
"""Kickoffs of a client at once: one runs, and one waits for it, since a session's run in order."""
PAUSE = 0.3
"""Seconds before a client tries again, or looks again."""
FORGOTTEN_AFTER = 12.0
"""Seconds of 404 after which nobody knows a kickoff any more."""
ENDED = ("completed", "error", "timeout", "cancelled")


class Load:
    """Begins with `start`; `stop` lets it ask no more, `wait_ended` sees the rest through."""

    def __init__(self, door: Door, name: str) -> None:
        self._door = door
        self._stopping, self._closing = threading.Event(), threading.Event()
        self._threads: list[threading.Thread] = []
        self._missing: dict[str, float] = {}
        self._run = uuid.uuid4().hex[:6]
        self._name = name
        self.requests: list[Request] = []

    def session(self, client: int) -> str:
        """The session of a client, one for each fault."""
        return f"{self._name}-{self._run}-{client}"

    def start(self) -> None:
        for target in [*(self._asking(number) for number in range(CLIENTS)), self._look_after_them]:
            self._threads.append(threading.Thread(target=target, daemon=True))
            self._threads[-1].start()

    def stop(self) -> None:
        """No new kickoffs from now on."""
        self._stopping.set()
        for one in self._threads[:-1]:
            one.join(30)

    def close(self) -> None:
        self._stopping.set()
        self._closing.set()
        self._threads[-1].join(30)

    @property
    def outstanding(self) -> list[Request]:
        """Accepted, and not known to have ended."""
        return [one for one in self.requests if one.accepted and not one.ended]

    def served_since(self, moment: float) -> set[int]:
        """The clients of whom a kickoff completed that was asked for after that moment."""
        return {one.client for one in self.requests if one.asked > moment and one.status == "completed"}

    def _asking(self, client: int) -> Callable[[], None]:
        def ask_on() -> None:
            while not self._stopping.is_set():
                if sum(one.client == client for one in self.outstanding) >= OUTSTANDING:
                    time.sleep(PAUSE / 3)
                    continue
                one = Request(client, f"fact {uuid.uuid4().hex}", time.monotonic())
                self.requests.append(one)
                while not self._accepted(one) and not self._stopping.is_set():
                    one.refusals += 1
                    time.sleep(PAUSE)

        return ask_on

    def _accepted(self, one: Request) -> bool:
        body = {"inputs": {"fact": one.fact}, "session_id": self.session(one.client), "idempotency_key": one.fact[5:]}
        answer = self._asked("kickoff", body)
        if answer is None or answer.status_code != httpx.codes.OK:
            return False
        one.kickoffs.add(str(answer.json()["kickoff_id"]))
        one.accepted = time.monotonic()
        return True

    def _look_after_them(self) -> None:
        while not self._closing.is_set():
            for one in self.outstanding:
                self._look(one)
            time.sleep(PAUSE)

    def _look(self, one: Request) -> None:
        answer = self._asked(f"status/{min(one.kickoffs)}")
        now = time.monotonic()
        if answer is not None and answer.status_code == httpx.codes.NOT_FOUND:
            if now - self._missing.setdefault(one.fact, now) > FORGOTTEN_AFTER:
                one.status, one.ended = "unknown", now
            return
        self._missing.pop(one.fact, None)
        if answer is None or answer.status_code != httpx.codes.OK:
            return
        seen: dict[str, Any] = answer.json()
        one.attempt = int(seen.get("attempt") or one.attempt)
        if seen["status"] in ENDED and ("memory" in seen or seen["status"] != "completed"):
            one.status, one.reason = str(seen["status"]), _reason(seen)
            one.remembers = seen["status"] == "completed" and seen.get("memory") == "ok"
            one.ended = now

    def _asked(self, path: str, body: dict[str, Any] | None = None) -> httpx.Response | None:
        """None: there was no answer."""
        try:
            return self._door.ask(path, body)
        except Exception:
            return None


def _reason(seen: dict[str, Any]) -> str:
    """Why it ended so; of a failed memory with the kind of the first failure."""
    first = (seen.get("memory_failures") or {}).get("first") or [{}]
    kind = first[0].get("kind")
    return f"{seen.get('reason') or ''}{f' ({kind})' if kind and seen.get('reason') == 'MemoryFailed' else ''}"
