"""The conditions of a crew over time, looked at as `kubectl get` would."""

import threading
import time
from collections.abc import Callable

from faults.matrix.figures import Look
from support.hotel import Hotel

EVERY = 0.2
"""Seconds between two looks."""


class Watch:
    """Looks from its start to its end; a look without an answer is none."""

    def __init__(self, hotel: Hotel) -> None:
        self._hotel = hotel
        self._ending = threading.Event()
        self._thread = threading.Thread(target=self._watch, daemon=True)
        self.looks: list[Look] = []
        """Those that differ from the one before."""

    def start(self) -> None:
        self._thread.start()

    def close(self) -> None:
        self._ending.set()
        self._thread.join(30)

    def wait(self, wanted: Callable[[Look], bool], since: float, seconds: float) -> bool:
        """Whether a look after `since` is as wanted, within that many seconds from now."""
        ends = time.monotonic() + seconds
        while time.monotonic() < ends:
            if any(wanted(one) for one in list(self.looks) if one.at > since):
                return True
            time.sleep(EVERY)
        return False

    def _watch(self) -> None:
        while not self._ending.wait(EVERY):
            try:
                conditions = (self._hotel.crew().get("status") or {}).get("conditions") or []
            except Exception:
                continue
            found = {one["type"]: (one["status"], one["reason"]) for one in conditions}
            if not self.looks or self.looks[-1].conditions != found:
                self.looks.append(Look(time.monotonic(), found))
