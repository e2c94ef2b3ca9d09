"""One request whose answer is read up to a bound: a replica runs whatever image its spec names."""

from typing import Any, Final

import httpx

from crewctl.errors import UnreadableError

MOST: Final = 1024 * 1024
"""Bytes of an answer: many times what a replica of ours says of itself."""


def ask(
    http: httpx.Client, url: str, body: dict[str, Any] | None, timeout: httpx.Timeout, headers: dict[str, str]
) -> httpx.Response:
    """GET, or POST `body`. Raises UnreadableError on what is too long or compressed, HTTPError without an answer."""
    method = "GET" if body is None else "POST"
    plain = {**headers, "Accept-Encoding": "identity"}
    with http.stream(method, url, json=body, timeout=timeout, headers=plain) as answer:
        if answer.headers.get("Content-Encoding", "identity").strip().lower() not in ("", "identity"):
            raise UnreadableError("its answer is compressed, which was not asked for")
        found = bytearray()
        for piece in answer.iter_raw():
            found += piece
            if len(found) > MOST:
                raise UnreadableError(f"its answer is longer than {MOST // 1024} KiB")
        return httpx.Response(answer.status_code, content=bytes(found), request=answer.request)
