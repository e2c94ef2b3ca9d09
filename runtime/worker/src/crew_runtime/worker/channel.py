"""A child's connection to the server: a thread that reads, a thread that writes and beats.

The kickoff runs in the main thread and never waits for the socket: a server that stops reading would otherwise stop the
crew. Events are dropped and counted when too many wait; results and errors are never dropped.
"""

import contextlib
import heapq
import itertools
import os
import queue
import signal
import socket
import threading
import time
from collections.abc import Mapping
from typing import Any

from crew_runtime.contract import PROTOCOL, frames

BEAT_EVERY = 1.0
MAX_EVENTS = 1000
"""Events that may wait; a kickoff with memory makes 50, of 150 bytes each."""
HOLD = 0.02
"""Seconds that an event waits for those emitted before it: CrewAI runs handlers in a pool, out of order."""
THREADS = ("crewops-reader", "crewops-writer")


class Channel:
    """Say hello, then `send`, `event` and `take`."""

    def __init__(self, sock: socket.socket, role: str, token: str) -> None:
        self._sock = sock
        self._incoming: queue.SimpleQueue[frames.Frame] = queue.SimpleQueue()
        self._outgoing: queue.SimpleQueue[tuple[bytes, threading.Event] | None] = queue.SimpleQueue()
        self._events: list[tuple[int, int, float, Mapping[str, Any]]] = []
        self._lock = threading.Lock()
        self._count = itertools.count()
        self._dropped = 0
        self.busy = False
        """Whether a kickoff runs, which a `term` is then allowed to interrupt."""
        sock.sendall(frames.encode(frames.HELLO, role=role, protocol=PROTOCOL, pid=os.getpid(), token=token))
        for name, target in zip(THREADS, (self._read, self._write), strict=True):
            threading.Thread(target=target, name=name, daemon=True).start()

    def take(self) -> frames.Frame:
        """Wait for the next frame that is for the main thread."""
        return self._incoming.get()

    def take_within(self, seconds: float) -> frames.Frame | None:
        """The same, or None when none came in time."""
        try:
            return self._incoming.get(timeout=seconds)
        except queue.Empty:
            return None

    def send(self, type_: str, /, **fields: Any) -> threading.Event:
        """Queue a frame behind all events so far; the event is set when the socket took it.

        Raises FrameError or TypeError as `frames.encode_for_server` does.
        """
        taken = threading.Event()
        self._outgoing.put((frames.encode_for_server(type_, **fields), taken))
        return taken

    def event(self, seq: int, **fields: Any) -> None:
        """Queue an event of the kickoff's progress, or drop and count it. Never blocks for long."""
        with self._lock:
            if not self.busy:
                # A handler that ran late, or a thread that was left behind: nobody would know whose event it is.
                return
            if len(self._events) >= MAX_EVENTS and fields.get("type") not in frames.KEPT:
                self._dropped += 1
                return
            heapq.heappush(self._events, (seq, next(self._count), time.monotonic(), fields))
        self._outgoing.put(None)

    def start_kickoff(self) -> None:
        """Forget what an earlier kickoff left waiting."""
        with self._lock:
            self._events.clear()
            self._dropped = 0
        self.busy = True

    # -- threads --------------------------------------------------------------------------------------------------

    def _read(self) -> None:
        decoder = frames.Decoder()
        try:
            while data := self._sock.recv(1 << 16):
                for frame in decoder.feed(data):
                    self._received(frame)
        except (OSError, frames.FrameError):
            pass
        # Without the server nobody would ever learn the result, and the zygote kills us anyway.
        os._exit(1)

    def _received(self, frame: frames.Frame) -> None:
        if frame["t"] != frames.TERM:
            self._incoming.put(frame)
        elif self.busy:
            os.kill(os.getpid(), signal.SIGTERM)

    def _write(self) -> None:
        beat = frames.encode(frames.BEAT)
        next_beat = time.monotonic() + BEAT_EVERY
        held = False
        with contextlib.suppress(OSError):
            while True:
                wait = HOLD if held else max(0.0, next_beat - time.monotonic())
                item: tuple[bytes, threading.Event] | None = None
                with contextlib.suppress(queue.Empty):
                    item = self._outgoing.get(timeout=wait)
                held = self._send_events(everything=item is not None)
                if item is not None:
                    self._sock.sendall(item[0])
                    item[1].set()
                if time.monotonic() >= next_beat:
                    self._sock.sendall(beat)
                    next_beat = time.monotonic() + BEAT_EVERY

    def _send_events(self, *, everything: bool) -> bool:
        """Send the events that have waited long enough, in their order; whether some still wait."""
        ripe = time.monotonic() - HOLD
        while True:
            with self._lock:
                if not self._events or (not everything and self._events[0][2] > ripe):
                    return bool(self._events)
                seq, _, _, fields = heapq.heappop(self._events)
                fields = {**fields, "dropped": self._dropped} if self._dropped else fields
            self._sock.sendall(_event(seq, fields))


def _event(seq: int, fields: Mapping[str, Any]) -> bytes:
    """What is too much to be told is told without its data: this thread has to go on."""
    try:
        return frames.encode_for_server(frames.EVENT, seq=seq, **fields)
    except frames.FrameError:
        return frames.encode(frames.EVENT, seq=seq, **{**fields, "data": {}})
