"""A model behind OpenAI's HTTP API that knows one thing: what it was told of peanuts.

`python openai_server.py ADDRESS PORT`. Runs as a pod of its own, from its source, so it has the standard library alone;
at the pod's own address, for on the local cluster others have the same port.
"""

import base64
import hashlib
import json
import struct
import sys
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any

WORD = "peanuts"
DIMENSION = 64


def reply(asked: dict[str, Any]) -> str:
    """What the last message says of the word; as JSON when the caller wants it by a schema."""
    said = asked["messages"][-1]["content"]
    text = said if isinstance(said, str) else " ".join(part.get("text", "") for part in said)
    known = [line.strip() for line in text.splitlines() if WORD in line]
    wanted = (asked.get("response_format") or {}).get("json_schema")
    if wanted is None:
        return known[0] if known else "I don't know"
    told = {"suggested_scope": "/guest", "categories": [], "importance": 0.5, "memories": known}
    return json.dumps({name: told.get(name, _empty(one)) for name, one in wanted["schema"]["properties"].items()})


def embedding(text: str) -> list[float]:
    """Of what a text says, in a way: the same text is the same vector."""
    return [byte / 255 for byte in hashlib.shake_128(text.encode()).digest(DIMENSION)]


def _empty(schema: dict[str, Any]) -> Any:
    return {"string": "", "array": [], "number": 0, "integer": 0, "boolean": False, "object": {}}.get(
        str(schema.get("type"))
    )


def _embeddings(asked: dict[str, Any]) -> dict[str, Any]:
    texts = [asked["input"]] if isinstance(asked["input"], str) else asked["input"]
    vectors = [embedding(str(one)) for one in texts]
    packed = asked.get("encoding_format") == "base64"
    data = [base64.b64encode(struct.pack(f"<{DIMENSION}f", *one)).decode() if packed else one for one in vectors]
    return {
        "object": "list",
        "model": asked.get("model", ""),
        "data": [{"object": "embedding", "index": index, "embedding": one} for index, one in enumerate(data)],
        "usage": {"prompt_tokens": 1, "total_tokens": 1},
    }


def _completion(asked: dict[str, Any]) -> dict[str, Any]:
    message = {"role": "assistant", "content": reply(asked)}
    return {
        "id": "chatcmpl-1",
        "object": "chat.completion",
        "created": 0,
        "model": asked.get("model", ""),
        "choices": [{"index": 0, "message": message, "finish_reason": "stop"}],
        "usage": {"prompt_tokens": 1, "completion_tokens": 1, "total_tokens": 2},
    }


class Handler(BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"

    def do_POST(self) -> None:
        asked = json.loads(self.rfile.read(int(self.headers["Content-Length"])))
        body = json.dumps(_embeddings(asked) if self.path.endswith("/embeddings") else _completion(asked)).encode()
        self.send_response(200)
        self.send_header("Content-Type", "application/json")
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)

    def log_message(self, *_: Any) -> None:
        """Nobody reads it."""


if __name__ == "__main__":
    ThreadingHTTPServer((sys.argv[1], int(sys.argv[2])), Handler).serve_forever()
