"""A webhook's receiver: a real HTTP server that answers as it is told, and keeps what it was sent."""

import contextlib
import json
import threading
import time
from collections.abc import Iterator
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any

HANG = "hang"
"""Takes the request and never answers."""
DROP = "drop"
"""Takes it and ends the connection."""


@dataclass
class Received:
    """One request."""

    path: str
    headers: dict[str, str]
    raw: bytes
    at: float

    @property
    def body(self) -> dict[str, Any]:
        return dict(json.loads(self.raw))


@dataclass
class Receiver:
    """`answers`: what the next requests get, a status, HANG or DROP; then 200."""

    port: int = 0
    answers: list[Any] = field(default_factory=list)
    headers: dict[str, str] = field(default_factory=dict)
    received: list[Received] = field(default_factory=list)
    ended: threading.Event = field(default_factory=threading.Event)

    def url(self, path: str) -> str:
        return f"http://127.0.0.1:{self.port}/{path}"

    def of(self, path: str) -> list[Received]:
        return [one for one in list(self.received) if one.path == f"/{path}"]


@contextlib.contextmanager
def receiver() -> Iterator[Receiver]:
    """On a free port of this machine."""
    mine = Receiver()

    class Handler(BaseHTTPRequestHandler):
        def do_POST(self) -> None:
            raw = self.rfile.read(int(self.headers["content-length"]))
            headers = {name.lower(): value for name, value in self.headers.items()}
            answer = mine.answers.pop(0) if mine.answers else 200
            mine.received.append(Received(self.path, headers, raw, time.monotonic()))
            if answer == HANG:
                mine.ended.wait(60)
                return
            if answer == DROP:
                self.connection.close()
                return
            self.send_response(answer)
            for name, value in mine.headers.items():
                self.send_header(name, value)
            self.end_headers()

        def log_message(self, *_: object) -> None:
            pass

    server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    server.daemon_threads = True
    mine.port = server.server_port
    thread = threading.Thread(target=server.serve_forever, daemon=True)
    thread.start()
    try:
        yield mine
    finally:
        mine.ended.set()
        server.shutdown()
        server.server_close()
