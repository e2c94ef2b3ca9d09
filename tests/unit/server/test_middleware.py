"""What a request passes before the application sees it."""

import pytest

from crew_server.http import probes
from crew_server.http.middleware import DROP, MAX_BODY, BodyLimit

CHUNK = 64 * 1024


class Client:
    """Sends chunks for as long as it is listened to."""

    def __init__(self, chunks):
        self.left = chunks
        self.taken = 0

    async def __call__(self):
        if not self.left:
            return {"type": "http.disconnect"}
        self.left -= 1
        self.taken += CHUNK
        return {"type": "http.request", "body": b" " * CHUNK, "more_body": self.left > 0}


async def _post(limited, client):
    """Status of the answer, and the bytes that came through to the application."""
    came, sent = [], []

    async def app(_, receive, send):
        came.append(len((await receive())["body"]))
        await send({"type": "http.response.start", "status": 200, "headers": []})

    async def send(message):
        sent.append(message)

    await limited(app)({"type": "http", "method": "POST", "path": "/"}, client, send)
    return sent[0]["status"], sum(came)


async def test_a_body_within_the_limit_comes_through_in_one_piece():
    assert await _post(BodyLimit, Client(3)) == (200, 3 * CHUNK)


@pytest.mark.parametrize(
    ("limited", "drop"),
    [(BodyLimit, DROP), (lambda app: BodyLimit(app, probes.MAX_BODY, probes.DROP), probes.DROP)],
)
async def test_no_more_is_read_than_is_dropped(limited, drop):
    client = Client(2 * DROP // CHUNK)
    assert await _post(limited, client) == (413, 0)
    assert client.taken <= drop + CHUNK


async def test_a_body_that_is_over_the_limit_is_read_to_its_end_where_that_is_near():
    """A client that still sends when the connection closes never sees the answer."""
    client = Client(MAX_BODY // CHUNK + 1)
    assert await _post(BodyLimit, client) == (413, 0)
    assert client.left == 0
