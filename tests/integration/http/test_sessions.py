"""/sessions over what CrewAI in other processes really wrote, in both ways of searching."""

import asyncio
import re
import time
from pathlib import Path
from urllib.parse import quote

import pytest

from crew_runtime.contract import keys
from crew_server import redis_client
from crew_server.metrics import Metrics
from crew_server.sessions import sweeper
from crew_server.sessions.store import SessionStore
from crew_server.settings import from_environ
from support.idle_sessions import let_pass
from support.interpreters import crew_python
from support.programs import Programs
from support.redis_server import start_redis
from support.replicas import wait_until

ODD = "a/b ä%2F{x}|*"


@pytest.fixture(scope="module")
def programs(tmp_path_factory):
    made = Programs(tmp_path_factory.mktemp("programs"), crew_python())
    yield made
    made.close()


@pytest.fixture(scope="module", params=["index", "plain"])
def server(request, tmp_path_factory):
    with start_redis(tmp_path_factory.mktemp(request.param), with_search=request.param == "index") as made:
        yield made


class Crew:
    """The crew's processes: CrewAI's own Memory and Flow on the replica's keys."""

    def __init__(self, programs, url: str, prefix: str, folder: Path) -> None:
        self.programs, self.folder = programs, folder
        self.environ = {"CREWOPS_REDIS_URL": url, "CREWOPS_KEY_PREFIX": prefix}

    def start(self, name: str, *arguments: str, **environ: str) -> None:
        question = {"name": name, "arguments": arguments, "environ": {**self.environ, **environ}}
        self.programs.ask(**question, folder=str(self.folder))

    async def answer(self):
        return await asyncio.to_thread(self.programs.answer)

    async def __call__(self, name: str, *arguments: str, **environ: str):
        self.start(name, *arguments, **environ)
        return await self.answer()


@pytest.fixture
async def pair(make, server, programs, request, tmp_path):
    prefix = "t/" + re.sub(r"\W", "-", request.node.name)
    replica = await make(redis_url=server.url, CREWOPS_KEY_PREFIX=prefix)
    return replica, Crew(programs, server.url, prefix, tmp_path)


def _of(session: str) -> str:
    return f"/sessions/{quote(session, safe='')}"


async def _ids(replica, **params):
    answer = await replica.api.get("/sessions", params=params)
    assert answer.status_code == 200, answer.text
    page = answer.json()
    return [one["session_id"] for one in page["sessions"]], page["cursor"]


async def test_a_session_is_found_exported_and_erased(pair):
    replica, crew = pair
    for session in ("1", "10", ODD):
        await crew("remember", session, f"fact of {session}", f"more of {session}")
    await crew("flow", "1")
    await crew("kick_off", "1", "Ada")
    _, checkpoints = await crew("checkpoint_flow", "1")
    await crew("checkpoint_flow", "10")
    await crew("ask_human_of", ODD)
    kickoff = await replica.kickoff("1", say="a secret")
    await replica.ended(kickoff)

    seen = (await replica.api.get(_of("1"))).json()
    assert (seen["records"], seen["flow_states"], seen["kickoffs"], seen["running"]) == (2, 1, 1, 0)
    assert seen["first_used"] <= seen["last_used"]
    assert seen["expires"] is None
    exported = (await replica.api.get(_of("1") + "/export")).json()
    assert [one["content"] for one in exported["records"]] == ["fact of 1", "more of 1"]
    assert exported["records"][0]["scope"] == "/crew/concierge/guests"
    assert "embedding" not in exported["records"][0]
    assert exported["flow_states"][0]["state"]["visits"] == 1
    assert [one["output"]["raw"] for one in exported["task_outputs"]] == ["drafted", "checked: drafted"]
    assert exported["kickoffs"][0]["inputs"] == {"say": "a secret"}
    assert exported["kickoffs"][0]["result"]["output"] == "a secret"
    with_vectors = (await replica.api.get(_of("1") + "/export", params={"embeddings": True})).json()
    assert len(with_vectors["records"][0]["embedding"]) > 1

    gone = await replica.api.delete(_of("1"))
    erased = {"records": 2, "flow_states": 1, "pending_feedback": 0, "task_outputs": 2, "messages": 0, "kickoffs": 1}
    erased["checkpoints"] = len(checkpoints)
    assert checkpoints
    assert gone.json() == {"session_id": "1", **erased}
    assert await crew("replay_last", "1") is None
    assert await crew("restore_flow", "1", checkpoints[-1]) is None
    assert len((await crew("checkpoint_flow", "10"))[1]) > 1, "1 is not 10"
    assert (await replica.api.get(_of("1"))).json()["reason"] == "UnknownSession"
    assert (await replica.api.get(_of("1") + "/export")).status_code == 404
    assert await crew("recall", "1", "fact") == []
    assert len(await crew("recall", "10", "fact")) == 2, "1 is not 10"
    status = await replica.status(kickoff)
    assert "a secret" not in str(status)
    assert status["status"] == "completed"
    again = (await replica.api.delete(_of("1"))).json()
    assert again["records"] == again["kickoffs"] == again["flow_states"] == 0

    odd = (await replica.api.get(_of(ODD))).json()
    assert (odd["session_id"], odd["records"], odd["pending_feedback"]) == (ODD, 2, 1)
    assert (await replica.api.delete(_of(ODD))).json()["pending_feedback"] == 1
    assert (await _ids(replica))[0] == ["10"]
    await crew("remember", "1", "a new fact")
    assert await crew("recall", "1", "fact") == ["a new fact"], "an erased session may begin anew"


async def test_nothing_of_it_is_left_in_redis(pair, server):
    replica, crew = pair
    await crew("remember", "zx-unmistakable", "qv-telling")
    kickoff = await replica.kickoff("zx-unmistakable", say="qv-telling")
    await replica.ended(kickoff)
    await replica.api.delete(_of("zx-unmistakable"))
    left = []
    with server.client() as client:
        for key in client.scan_iter(f"cs:{{{crew.environ['CREWOPS_KEY_PREFIX']}}}:*"):
            held = client.dump(key) or b""
            if b"qv-telling" in held or b"zx-unmistakable" in held + key:
                left.append(key)
    assert all(b"}:erased:" in key for key in left), left


async def test_copies_drop_it_and_a_late_write_stays_out(pair):
    replica, crew = pair
    await crew("remember", "1", "fact")
    sign = crew.folder / "erased"
    crew.start("copies_after", "1", str(sign))

    async def read():
        return Path(f"{sign}.read").exists()

    await wait_until(read, "the other process has its copy", 60)
    assert (await replica.api.delete(_of("1"))).json()["records"] == 1
    sign.touch()
    before, after, late, last = await crew.answer()
    assert (before, after, late, last) == (1, 0, "ErasedSessionError", 0)
    assert late == "ErasedSessionError"
    assert (await replica.api.get(_of("1"))).status_code in (200, 404)
    assert await crew("recall", "1", "fact") == []


async def test_a_session_that_works_is_erased_only_by_force(pair):
    replica, crew = pair
    await crew("remember", "1", "fact")
    kickoff = await replica.kickoff("1", do="sleep", seconds=60)
    await replica.started(kickoff)
    refused = await replica.api.delete(_of("1"))
    assert (refused.status_code, refused.json()["reason"]) == (409, "SessionBusy")
    assert (await replica.api.get(_of("1"))).json()["records"] == 1
    assert (await replica.api.delete(_of("10"))).status_code == 200, "another session is not in its way"
    forced = await replica.api.delete(_of("1"), params={"force": True})
    assert (forced.status_code, forced.json()["records"], forced.json()["kickoffs"]) == (200, 1, 1)
    assert (await replica.status(kickoff))["status"] == "cancelled"


async def test_pages_show_each_session_once(pair):
    replica, crew = pair
    for number in range(5):
        await crew("remember", f"s{number}", "fact")
    first, cursor = await _ids(replica, limit=2)
    assert first == ["s4", "s3"]
    await crew("recall", "s1", "fact")
    await replica.api.delete(_of("s3"))
    second, cursor = await _ids(replica, limit=2, cursor=cursor)
    third, end = await _ids(replica, limit=2, cursor=cursor)
    assert second + third == ["s2", "s1", "s0"]
    assert end is None
    assert (await replica.api.get("/sessions", params={"limit": 0})).status_code == 422


async def test_each_use_starts_the_time_anew_and_the_crews_memories_stay(pair, server):
    replica, crew = pair
    ttl = {"CREWOPS_SESSION_TTL": "60"}

    def passes(seconds):
        with server.client() as client:
            let_pass(client, crew.environ["CREWOPS_KEY_PREFIX"], seconds)

    await crew("remember", "1", "fact", **ttl)
    await crew("remember", "idle", "fact", **ttl)
    await crew("remember_for_all", "house rule", **ttl)
    begun = (await replica.api.get(_of("1"))).json()
    assert time.time() + 30 < begun["expires"] < time.time() + 60
    for _ in range(3):  # read by other processes, for longer than the time to live
        passes(25)
        assert "fact" in await crew("recall", "1", "fact", **ttl)
    used = (await replica.api.get(_of("1"))).json()
    assert begun["expires"] < used["expires"] < time.time() + 60
    assert used["records"] == 1
    assert (await _ids(replica))[0] == ["1"], "the idle one has ended"
    passes(61)
    assert (await _ids(replica))[0] == [], "the other one ends when it is idle"
    assert await crew("recall", "1", "fact", **ttl) == ["house rule"]


async def test_memories_of_ended_sessions_go_though_nobody_uses_any(pair, server, monkeypatch):
    _, crew = pair
    monkeypatch.setattr(sweeper, "EVERY", 0.05)
    environ = {**crew.environ, "CREWOPS_NAME": "crew", "CREWOPS_REPLICA": "r1", "CREWOPS_SESSION_TTL": "60"}
    settings, metrics = from_environ(environ), Metrics()
    for session in ("1", "2", "3"):
        await crew("remember", session, "fact", "another", CREWOPS_SESSION_TTL="60")
    await crew("remember_for_all", "house rule", CREWOPS_SESSION_TTL="60")
    with server.client() as client:
        let_pass(client, settings.key_prefix, 61)
        await crew("remember", "4", "fact", CREWOPS_SESSION_TTL="60")
        let_pass(client, settings.key_prefix, 59)
        left = client.zcard(keys.memory_ids(settings.key_prefix))
        store = SessionStore(redis_client.connect(settings), settings)
        assert await store.sweep(30.0) == (0, False), "not by another time to live than the last use said"
        let_pass(client, settings.key_prefix, 2)
        running = asyncio.create_task(sweeper.Sweeper(store, settings.session_ttl, metrics).run())

        async def only_the_crews():
            return client.zcard(keys.memory_ids(settings.key_prefix)) == 1

        await wait_until(only_the_crews, "what the sessions remembered is gone")
        running.cancel()
        assert client.zcard(keys.sessions(settings.key_prefix)) == client.zcard(keys.idle(settings.key_prefix)) == 0
    assert metrics.registry.get_sample_value("crewops_memories_expired_total") == left - 1 > 0
    assert await crew("recall", "5", "rule", CREWOPS_SESSION_TTL="60") == ["house rule"]


async def test_the_token_is_asked_for(make, server):
    replica = await make(redis_url=server.url, CREWOPS_API_TOKEN="t", CREWOPS_KEY_PREFIX="t/token")
    for method, path in (("GET", "/sessions"), ("GET", "/sessions/1"), ("DELETE", "/sessions/1")):
        assert (await replica.api.request(method, path)).status_code == 401
    allowed = await replica.api.get("/sessions", headers={"Authorization": "Bearer t"})
    assert allowed.json() == {"sessions": [], "cursor": None}
    paths = (await replica.api.get("/openapi.json")).json()["paths"]
    assert {"/sessions", "/sessions/{session_id}", "/sessions/{session_id}/export"} <= set(paths)


async def test_half_of_a_character_pair_is_exported_too(pair):
    """A text that was cut in UTF-16; Python's strings and JSON have it, UTF-8 has not."""
    replica, crew = pair
    await crew("remember", "1", "cut \ud83d")
    exported = await replica.api.get(_of("1") + "/export")
    assert exported.status_code == 200, exported.text
    assert [one["content"] for one in exported.json()["records"]] == ["cut \ud83d"]


async def test_a_turn_of_the_message_history_brings_no_memory_of_an_ended_session_back(
    make, server, programs, tmp_path
):
    prefix = f"t/ended-{server.port}"
    ttl = {"CREWOPS_SESSION_TTL": "60"}
    replica = await make(redis_url=server.url, CREWOPS_KEY_PREFIX=prefix, CREWOPS_HISTORY_FORMAT="LangChain", **ttl)
    crew = Crew(programs, server.url, prefix, tmp_path)
    await crew("remember", "ended", "a secret", **ttl)
    with server.client() as client:
        let_pass(client, prefix, 61)
    for session in ("ended", "new"):
        assert (await replica.ended(await replica.kickoff(session, say="hello")))["status"] == "completed"
    assert (await _ids(replica))[0] == ["new"]
    assert (await replica.api.get(_of("ended"))).json()["records"] == 0
    assert (await replica.api.get(_of("ended") + "/messages")).json()["total"] == 2
    assert await crew("recall", "ended", "secret", **ttl) == []
