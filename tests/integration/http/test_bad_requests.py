"""What cannot be taken is refused with a code, a reason and what to change; nothing is lost."""

import contextlib
from pathlib import Path

import httpx
import pytest

TOKEN = "sesame"


@pytest.fixture
async def asks(make):
    return await make(SCRIPTED_INPUTS="city,guest", CREWOPS_API_TOKEN=TOKEN)


def headers(**more):
    return {"Authorization": f"Bearer {TOKEN}", "Content-Type": "application/json", **more}


GOOD = {"inputs": {"city": "Rome", "guest": "Ann"}}


async def test_every_bad_request_has_its_code_and_says_what_to_change(asks):
    table = [
        (b"{not json", 400, "InvalidJson", "not JSON"),
        (b"", 400, "InvalidJson", "empty"),
        (b"[" * 100_000, 400, "", ""),
        (b"[]", 422, "InvalidField", "body"),
        (b'"text"', 422, "InvalidField", "body"),
        ({"inputs": "Rome"}, 422, "InvalidField", "inputs"),
        ({"inputs": [1]}, 422, "InvalidField", "inputs"),
        ({**GOOD, "session_id": 7}, 422, "InvalidField", "session_id"),
        ({**GOOD, "meta": "x"}, 422, "InvalidField", "meta"),
        ({**GOOD, "sessionId": "a"}, 422, "InvalidField", "sessionId"),
        ({**GOOD, "taskWebhookURL": "http://x"}, 422, "InvalidField", "taskWebhookURL"),
        ({**GOOD, "taskWebhookUrl": "ftp://x/y"}, 422, "InvalidField", "http:// or https://"),
        ({**GOOD, "stepWebhookUrl": "http://me:pw@x/y"}, 422, "InvalidField", "authentication"),
        ({**GOOD, "crewWebhookUrl": "https:///y"}, 422, "InvalidField", "host"),
        ({**GOOD, "session_id": "x" * 10_240}, 422, "InvalidField", "at most 256"),
        ({**GOOD, "session_id": "a\u0000b"}, 422, "InvalidField", "control"),
        (b'{"inputs": {"city": 1, "guest": 2}, "session_id": "\\ud800"}', 422, "InvalidField", "session_id"),
        ({**GOOD, "inputs": {**GOOD["inputs"], "big": "x" * 1_100_000}}, 413, "TooLarge", "1048576"),
    ]
    for body, code, reason, words in table:
        options = {"content": body} if isinstance(body, bytes) else {"json": body}
        answer = await asks.api.post("/kickoff", headers=headers(), **options)
        told = answer.json()
        assert answer.status_code == code, (body[:40] if isinstance(body, bytes) else body, told)
        assert set(told) == {"error", "reason", "message", "details"}
        assert reason in told["reason"]
        assert words in told["message"]
    assert (await asks.report())["running"] == 0


async def test_missing_inputs_are_named(asks):
    answer = await asks.api.post("/kickoff", headers=headers(), json={"inputs": {"city": "Rome"}})
    assert answer.status_code == 422
    assert answer.json()["reason"] == "MissingInputs"
    assert answer.json()["details"] == {"missing_inputs": ["guest"]}
    assert (await asks.api.get("/inputs", headers=headers())).json() == {"inputs": ["city", "guest"]}


async def test_session_header_of_ten_kilobytes_is_refused(asks):
    answer = await asks.api.post("/kickoff", headers=headers(**{"X-Session-Id": "x" * 10_240}), json=GOOD)
    assert answer.status_code == 422
    assert "at most 256" in answer.json()["message"]


async def test_body_without_its_length_is_limited_too(asks):
    async def stream():
        for _ in range(40):
            yield b" " * 65_536

    answer = await asks.api.post("/kickoff", headers=headers(), content=stream())
    assert answer.status_code == 413


async def test_body_of_another_content_type_is_told_so(asks):
    answer = await asks.api.post(
        "/kickoff", headers=headers(**{"Content-Type": "text/plain"}), content=b'{"inputs":{}}'
    )
    assert answer.status_code == 415
    assert "application/json" in answer.json()["message"]


@pytest.mark.parametrize("path", ["/status/nope", "/status/00000000-0000-0000-0000-000000000000", "/status/%00{x}"])
async def test_unknown_kickoff_is_404(asks, path):
    answer = await asks.api.get(path, headers=headers())
    assert (answer.status_code, answer.json()["reason"]) == (404, "UnknownKickoff")


async def test_unknown_paths_and_methods_have_the_same_shape(asks):
    for method, path, code in [("GET", "/nowhere", 404), ("PUT", "/kickoff", 405), ("GET", "/kickoff", 405)]:
        answer = await asks.api.request(method, path, headers=headers())
        assert answer.status_code == code
        assert set(answer.json()) == {"error", "reason", "message", "details"}


async def test_wait_that_is_no_time_is_named(asks):
    answer = await asks.api.post("/kickoff?wait=soon", headers=headers(), json=GOOD)
    assert answer.status_code == 422
    assert "wait" in answer.json()["message"]


@pytest.mark.parametrize(
    "given", [None, "Bearer wrong", "Bearer", f"Basic {TOKEN}", f"bearer  {TOKEN}x", "Bearer ses\xe4me"]
)
async def test_without_the_token_nothing_is_told(asks, given):
    extra = {"Authorization": given.encode("latin-1")} if given else {}
    for method, path in [("GET", "/inputs"), ("POST", "/kickoff"), ("GET", "/status/x"), ("DELETE", "/kickoff/x")]:
        answer = await asks.api.request(method, path, headers=extra)
        assert answer.status_code == 401
        assert answer.headers["www-authenticate"] == "Bearer"


async def test_documentation_is_open_and_describes_the_api(asks):
    paths = (await asks.api.get("/openapi.json")).json()["paths"]
    kickoff = {"/kickoff", "/kickoff_for_each", "/kickoff/{kickoff_id}", "/kickoff/{kickoff_id}/events"}
    kickoffs = kickoff | {"/inputs", "/status/{kickoff_id}", "/resume"}
    assert set(paths) == kickoffs | {
        "/stop/{kickoff_id}",
        "/sessions",
        "/sessions/{session_id}",
        "/sessions/{session_id}/export",
        "/sessions/{session_id}/history",
        "/sessions/{session_id}/messages",
        "/failures",
    }
    # A page with scripts from elsewhere has no place beside a token.
    assert (await asks.api.get("/docs", headers=headers())).status_code == 404


async def test_the_token_may_come_in_a_header_of_its_own(asks):
    """What stands between, such as the API server's proxy, takes Authorization away."""
    assert (await asks.api.get("/inputs", headers={"X-API-Key": TOKEN})).status_code == 200
    for given in ({"X-API-Key": "wrong"}, {"X-API-Key": ""}, {"X-API-Key": f"Bearer {TOKEN}"}):
        assert (await asks.api.get("/inputs", headers=given)).status_code == 401


async def test_a_line_end_behind_the_token_is_not_part_of_it(make):
    replica = await make(CREWOPS_API_TOKEN=f"{TOKEN}\n")
    assert (await replica.api.get("/inputs", headers=headers())).status_code == 200


async def test_token_is_not_asked_for_on_the_health_port(asks):
    assert (await asks.health.get("/readyz")).status_code == 200


async def test_the_health_port_tells_no_text_of_a_kickoff(make):
    replica = await make(CREWOPS_API_TOKEN=TOKEN)
    replica.api.headers["Authorization"] = f"Bearer {TOKEN}"
    kickoff = await replica.kickoff(do="no act, my card is 4111-1111")
    seen = await replica.ended(kickoff)
    assert "4111-1111" in seen["error"]

    (told,) = (await replica.report())["failures"]
    assert (told["kind"], told["kickoff_id"], told["message"]) == (seen["reason"], kickoff, "")
    for path in ("/report", "/readyz", "/metrics"):
        assert "4111-1111" not in (await replica.health.get(path)).text

    (full,) = (await replica.api.get("/failures")).json()["failures"]
    assert (full["kickoff_id"], full["kind"]) == (kickoff, seen["reason"])
    assert "4111-1111" in full["message"]
    assert (await replica.api.get("/failures", headers={"Authorization": "Bearer x"})).status_code == 401


def _peak(replica):
    """MiB of memory that the server has had at most."""
    (line,) = [one for one in Path(f"/proc/{replica.server.pid}/status").read_text().splitlines() if "VmHWM" in one]
    return int(line.split()[1]) / 1024


async def test_a_body_to_the_health_port_is_not_kept(asks):
    async def much():
        for _ in range(300):
            yield b" " * 1024 * 1024

    assert (await asks.health.post("/proof", content=b" " * 5000)).status_code == 413
    before = _peak(asks)
    for method, path in [("POST", "/proof"), ("GET", "/report"), ("POST", "/nowhere")]:
        with contextlib.suppress(httpx.TransportError):  # it is cut off in the middle of sending
            await asks.health.request(method, path, content=much())
    assert _peak(asks) - before < 32
    assert (await asks.health.get("/livez")).status_code == 200


@pytest.mark.parametrize(
    "body", [b"", b"[]", b'{"action":"drop","nonce":"x"}', b'{"action":"read"}', b'{"action":"read","nonce":""}']
)
async def test_proof_that_cannot_be_is_422(asks, body):
    answer = await asks.health.post("/proof", content=body)
    assert answer.status_code == 422
    assert answer.json()["details"]["field"] in ("action", "nonce")
