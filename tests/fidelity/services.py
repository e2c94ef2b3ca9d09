"""What the corpus' crews talk to, on this machine's loopback: a model and an embedder behind OpenAI's API, which tell
what reached them, an OTLP receiver, a web page, a gRPC server and a Redis of the crews' own.
"""

import contextlib
import json
import re
import subprocess
import threading
import time
from collections.abc import Iterator
from dataclasses import dataclass
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any

from support import openai_server
from support.interpreters import crew_python
from support.redis_server import start_redis

FOLDER = Path(__file__).parent
PARAMETERS = ("temperature", "top_p", "max_tokens", "max_completion_tokens", "seed", "stop", "presence_penalty", "user")
HEADERS = ("x-tenant", "x-stainless-read-timeout", "x-stainless-retry-count")
EMBEDDER_LIMIT = 3000
"""Characters that the embedder takes."""


@dataclass(frozen=True)
class Services:
    """Where they are."""

    http: str
    grpc: str
    redis: str

    def environ(self, notes: Path) -> dict[str, str]:
        """The variables by which a crew finds them; spans are written to its notes."""
        return {
            "FIDELITY_HTTP": self.http,
            "FIDELITY_GRPC": self.grpc,
            "FIDELITY_REDIS": self.redis,
            "FIDELITY_NOTES": str(notes),
            "OPENAI_BASE_URL": f"{self.http}/v1",
            "OPENAI_API_KEY": "none",
            "OTEL_EXPORTER_OTLP_ENDPOINT": f"{self.http}/otlp{notes}",
        }


@contextlib.contextmanager
def running(folder: Path) -> Iterator[Services]:
    """All of them, ended at the end. The crews' own Redis keeps its files below `folder`; it is none of this project's,
    so everybody may do everything there."""
    server = ThreadingHTTPServer(("127.0.0.1", 0), _Handler)
    threading.Thread(target=server.serve_forever, daemon=True).start()
    grpc = subprocess.Popen([crew_python(), str(FOLDER / "grpc_server.py")], stdout=subprocess.PIPE, text=True)
    try:
        assert grpc.stdout is not None
        port = int(grpc.stdout.readline())
        with start_redis(folder / "authors", least=False) as redis:
            yield Services(f"http://127.0.0.1:{server.server_address[1]}", f"127.0.0.1:{port}", redis.url)
    finally:
        grpc.kill()
        grpc.wait(10)
        server.shutdown()
        server.server_close()


class _Handler(BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"

    def do_GET(self) -> None:
        """The page says which one it is."""
        self._send(200, self.path.rsplit("/", 1)[1].encode(), "text/plain")

    def do_POST(self) -> None:
        body = self.rfile.read(int(self.headers["Content-Length"]))
        if self.path.startswith("/otlp/"):
            notes = Path(self.path.removeprefix("/otlp").removesuffix("/v1/traces"))
            with notes.open("a") as file:
                file.writelines(json.dumps(f"received {one.decode()}") + "\n" for one in spans(body))
            self._send(200, b"", "application/x-protobuf")
            return
        asked = json.loads(body)
        if self.path.endswith("/embeddings"):
            self._embeddings(asked)
        else:
            self._completion(asked)

    def _embeddings(self, asked: dict[str, Any]) -> None:
        texts = [asked["input"]] if isinstance(asked["input"], str) else asked["input"]
        if any(len(str(one)) > EMBEDDER_LIMIT for one in texts):
            error = {"message": "maximum context length exceeded", "type": "invalid_request_error", "code": None}
            self._send(400, json.dumps({"error": error}).encode())
            return
        self._send(200, json.dumps(openai_server._embeddings(asked)).encode())

    def _completion(self, asked: dict[str, Any]) -> None:
        if "slowly" in json.dumps(asked["messages"]):
            time.sleep(4)
        if (asked.get("response_format") or {}).get("json_schema"):
            content = openai_server.reply(asked)
        else:
            content = f"Thought: I know.\nFinal Answer: {self._reached(asked)}"
        usage = {"prompt_tokens": 10, "completion_tokens": 5, "total_tokens": 15}
        with contextlib.suppress(BrokenPipeError, ConnectionResetError):
            self._send(200, json.dumps(completion(asked, content, usage)).encode())

    def _reached(self, asked: dict[str, Any]) -> str:
        """What of the LLM's settings came over, and what it was given of memories."""
        told = {"model": asked["model"], **{one: asked[one] for one in PARAMETERS if one in asked}}
        told |= {one: self.headers[one] for one in HEADERS if one in self.headers}
        remembered = sorted(set(re.findall(r"remember-\w+", json.dumps(asked["messages"]))))
        return json.dumps(told | {"remembered": remembered}, sort_keys=True)

    def _send(self, status: int, body: bytes, kind: str = "application/json") -> None:
        self.send_response(status)
        self.send_header("Content-Type", kind)
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)

    def log_message(self, *_: Any) -> None:
        """Nobody reads it."""


def completion(asked: dict[str, Any], content: str, usage: dict[str, int]) -> dict[str, Any]:
    """OpenAI's answer."""
    return {
        "id": "chatcmpl-1",
        "object": "chat.completion",
        "created": 0,
        "model": asked["model"],
        "choices": [{"index": 0, "message": {"role": "assistant", "content": content}, "finish_reason": "stop"}],
        "usage": usage,
    }


def spans(body: bytes) -> list[bytes]:
    """The names in an OTLP request; the corpus' spans have names that begin so. No protobuf is needed to find them."""
    return re.findall(rb"span-[a-z]+", body)
