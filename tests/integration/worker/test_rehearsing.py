"""Crews rehearsed with real CrewAI and a real Redis: which can kick off, and that a rehearsal does nothing else.

The crews are in `support.rehearsed`; each is rehearsed in a process of its own.
"""

import inspect
import json
import os
import subprocess
import sys
import time
from pathlib import Path

import pytest

from crew_runtime import telemetry
from support.redis_server import start_redis
from support.worker_peer import WorkerPeer

telemetry.turn_off(os.environ)

from crew_runtime.contract import keys  # noqa: E402
from support.rehearsed import broken, working  # noqa: E402

ROOT = Path(__file__).parents[3]
PREFIX = "hotel/concierge"
SECONDS = 500
pytestmark = pytest.mark.timeout(600)
"""Forty crews in one run of processes; a busy machine takes its time."""
TOLD = {
    "no_key": "ValueError: OPENAI_API_KEY is required",
    "no_key_for_planning": "ValueError: OPENAI_API_KEY is required",
    "manager_with_tools": "Exception: Manager agent should not have tools",
    "unfinished_llm": "AttributeError: 'Half' object has no attribute 'client'",
    "person_in_an_asynchronous_task": "UnsupportedHumanInputError: these tasks have human_input and async_execution",
    "knowledge_without_an_embedder": "ValueError: Invalid Knowledge Configuration: no model at /models/none",
    "memory_without_an_embedder": "the crew's memory fails: Memory requires an embedder",
    "process_ended": "the kickoff called sys.exit('no licence')",
}
LEFT_OUT = {
    "callbacks": [
        "before_kickoff callbacks: called", "after_kickoff callbacks: called", "step callbacks: called",
        "callbacks of all tasks: called", "callbacks of tasks: 1",
    ],
    "conditional": ["conditions of tasks: 2"],
    "decorated": ["before_kickoff callbacks: Decorated.prepare"],
    "flow_with_its_own_persistence": ["stores of the crew's own: Ledger", "methods of the flow: arrive"],
    "guardrails": ["guardrails of tasks: 1, 3"],
    "listeners_and_hooks": ["hooks: <lambda>"],
    "mcp_server": ["MCP servers of agents: Host"],
    "other_framework": ["agents that do their tasks themselves: Host"],
    "own_class": ["methods of Sub: kickoff"],
    "platform_apps": ["platform apps of agents: Host"],
    "prepares_by_a_callback": ["before_kickoff callbacks: fetch_the_key"],
    "typed_flow": ["methods of the flow: arrive, sort, greet"],
    "untyped_flow": ["methods of the flow: go, back"],
    "writes_files": ["files: log.json, greeting-{guest}.md"],
}  # fmt: skip
"""Of the crews in `working`; nothing of the others."""
OWN_LINES = {
    "unfinished_llm": "return self.client.has_tools",
    "knowledge_without_an_embedder": 'raise ValueError("no model at /models/none")',
    "process_ended": 'sys.exit("no licence")',
}


def _names(module):
    found = inspect.getmembers(module, inspect.isfunction)
    return [name for name, one in found if one.__module__ == module.__name__ and not inspect.signature(one).parameters]


WORKING = _names(working)
BROKEN = _names(broken)


@pytest.fixture(scope="module")
def server(tmp_path_factory):
    # With the search module: no index may be left either.
    with start_redis(tmp_path_factory.mktemp("redis"), with_search=True) as made:
        yield made


def _rehearse(server, folder, entrypoints):
    kept = {name: value for name, value in os.environ.items() if not name.startswith(("CREWOPS_", "OPENAI_"))}
    environ = {
        **kept,
        "CREWOPS_REDIS_URL": server.url,
        "CREWOPS_KEY_PREFIX": PREFIX,
        "CREWOPS_BACKEND_DEADLINE": "10",
        "PYTHONPATH": str(ROOT / "tests"),
        "HOME": str(folder),
    }
    program = [sys.executable, "-m", "support.rehearsed.stage", str(folder), *entrypoints]
    done = subprocess.run(program, env=environ, capture_output=True, text=True, timeout=SECONDS, check=False)
    found = {one.stem: json.loads(one.read_text()) for one in folder.glob("*.json")}
    assert len(found) == len(entrypoints), (done.stdout + done.stderr)[-4000:]
    return found


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    return tmp_path_factory.mktemp("rehearsed")


@pytest.fixture(scope="module")
def found(server, folder):
    server.client().set("somebody:elses", "1")
    entrypoints = [f"support.rehearsed.working:{one}" for one in WORKING]
    return _rehearse(server, folder, entrypoints + [f"support.rehearsed.broken:{one}" for one in BROKEN])


@pytest.mark.parametrize("name", [one for one in WORKING if one not in working.OPEN])
def test_crew_that_works_is_found_to(found, name):
    assert (found[name]["error"], found[name]["note"]) == ("", "")
    is_flow = "Flow" in str(inspect.signature(getattr(working, name)).return_annotation)
    assert is_flow or found[name]["answers"] >= 1, "its LLM's stand-in was never asked: that was no kickoff"


@pytest.mark.parametrize("name", WORKING)
def test_what_of_the_authors_code_was_not_run_is_told_and_nothing_else(found, name):
    assert found[name]["left_out"] == LEFT_OUT.get(name, [])


@pytest.mark.parametrize("name", working.OPEN)
def test_what_a_stand_in_may_have_caused_is_held_against_no_crew(found, name):
    assert found[name]["error"] == ""
    assert found[name]["note"]


@pytest.mark.parametrize("name", BROKEN)
def test_crew_that_cannot_work_is_named_with_type_message_and_its_own_lines(found, name):
    assert found[name]["error"].startswith(TOLD[name])
    assert OWN_LINES.get(name, "") in found[name]["detail"]
    assert "crew_runtime" not in found[name]["detail"]


def test_nothing_of_the_users_was_called(found, folder):
    assert {one.stem: one.read_text() for one in folder.glob("*.effects")} == {}


def test_no_file_was_written(found):
    assert {name: one["files"] for name, one in found.items() if one["files"]} == {}


def test_network_was_tried_by_nobody_but_the_one_who_is_named(found):
    tried = {name: one["network"] for name, one in found.items() if one["network"]}
    assert list(tried) == ["calls_the_network"]
    (line,) = set(tried["calls_the_network"])
    assert line.startswith("models.example.com (working.py:")


def test_redis_holds_what_it_held(found, server):
    left = sorted(one.decode() for one in server.client().scan_iter())
    assert [one for one in left if not one.startswith(keys.health(PREFIX, ""))] == ["somebody:elses"]
    assert server.client().execute_command("FT._LIST") == []


def test_a_rehearsal_that_was_killed_is_erased_by_a_later_one(server, tmp_path):
    client = server.client()
    old, young = "0ld", "y0ung"
    for nonce in (old, young):
        client.set(keys.root(keys.rehearsal_prefix(PREFIX, nonce)) + "m:1", "left")
    client.zadd(keys.rehearsals(PREFIX), {old: time.time() - 3600, young: time.time()})
    _rehearse(server, tmp_path, ["support.rehearsed.working:plain"])
    left = {one.decode() for one in client.scan_iter(match=f"{keys.root(PREFIX)}rehearsal*")}
    client.delete(*left)
    assert left == {keys.root(keys.rehearsal_prefix(PREFIX, young)) + "m:1", keys.rehearsals(PREFIX)}


@pytest.mark.parametrize("name", ["unfinished_llm", "manager_with_tools"])
async def test_worker_gives_up_on_a_crew_that_cannot_kick_off(tmp_path, redis_env, name):
    async with WorkerPeer(tmp_path) as peer:
        peer.start_worker(f"support.rehearsed.broken:{name}", **redis_env)
        told = await peer.phase("failed")
        assert told["reason"] == "KickoffBroken"
        assert TOLD[name] in told["message"]
        assert OWN_LINES.get(name, "") in told["message"]


async def test_worker_says_that_the_whole_of_a_crew_was_rehearsed(tmp_path, redis_env):
    async with WorkerPeer(tmp_path) as peer:
        peer.start_worker("support.rehearsed.working:plain", **redis_env)
        report = (await peer.phase("ready"))["report"]
        told = [report[f"rehearsal{part}"] for part in ("", "_note", "_left_out")]
        assert told == ["passed", "", []]


async def test_worker_serves_a_crew_that_the_rehearsal_did_not_touch(tmp_path, redis_env):
    """The slot's crew has the callbacks and the LLM that the trial's was rid of."""
    effects = tmp_path / "effects"
    async with WorkerPeer(tmp_path) as peer:
        peer.start_worker("support.rehearsed.working:callbacks", REHEARSED_EFFECTS=str(effects), **redis_env)
        report = (await peer.phase("ready"))["report"]
        assert report["rehearsal"] == "open"
        assert "callbacks of tasks: 1" in report["rehearsal_left_out"]
        assert not effects.exists()
        slot = await peer.fork()
        assert (await slot.run({"guest": "Ann"}))["output"]
        assert {"before kickoff", "llm", "task callback", "after kickoff"} <= set(effects.read_text().split("\n"))
