"""From the environment to a worker that says ready, and every way of not getting there."""

import json
import time
from pathlib import Path

import pytest

from support.worker_peer import START, WorkerPeer

CREWS = Path(__file__).parents[2] / "support/user_crews"
NOWHERE = {"CREWOPS_REDIS_URL": "redis://127.0.0.1:1/0", "CREWOPS_BACKEND_DEADLINE": "0.1"}


async def failure(peer: WorkerPeer, entrypoint: str, *, fresh: bool = False, **environ: str) -> dict[str, str]:
    """Start a worker that cannot start, and hear why."""
    process = peer.start_worker(entrypoint, fresh=fresh, **environ)
    await peer.connected()
    told = await peer.zygote.expect("phase", where=lambda one: one["phase"] == "failed", timeout=START)
    assert await peer.ended() == 78
    assert process.returncode == 78
    return told


@pytest.mark.parametrize(
    ("entrypoint", "mode", "kind", "inputs"),
    [
        ("support.user_crews.plain:crew", "Preload", "crew", ["message"]),
        ("support.user_crews.plain:make", "Preload", "crew", ["message"]),
        ("support.user_crews.decorated:Greeter", "Preload", "crew", ["name"]),
        ("support.user_crews.plain:Conversation", "Preload", "flow", []),
        ("support.user_crews.plain:flow", "Preload", "flow", []),
        ("support.user_crews.eager_flow:crew", "Fork", "crew", ["message"]),
        ("support.user_crews.threaded:crew", "Fork", "crew", ["message"]),
    ],
)
async def test_each_kind_of_entrypoint_gives_a_slot_that_answers(tmp_path, redis_env, entrypoint, mode, kind, inputs):
    async with WorkerPeer(tmp_path) as peer:
        peer.start_worker(entrypoint, **redis_env)
        report = (await peer.phase("ready"))["report"]
        assert (report["fork_mode"], report["kind"], report["crew_inputs"]) == (mode, kind, inputs), report
        slot = await peer.fork()
        answer = await slot.run({"message": "hi", "name": "Ann"}, session="s-1")
        assert answer["t"] == "result", answer
        assert answer["output"] in ("two hi", "hello Ann", "heard hi")
        assert (await slot.exited())["code"] == 0
        if kind == "flow":
            assert answer["json"] == {"id": "s-1", "message": "hi", "heard": ["hi"]}


async def test_a_package_that_starts_a_thread_when_a_kickoff_imports_it_is_left_to_the_kickoff(tmp_path, redis_env):
    async with WorkerPeer(tmp_path) as peer:
        peer.start_worker("support.user_crews.lazily:crew", **redis_env)
        report = (await peer.phase("ready"))["report"]
        assert report["fork_mode"] == "Preload", report
        slots = [await peer.fork() for _ in range(2)]
        # What may be imported before the fork was.
        assert [(await one.run({"message": "hi"}))["output"] for one in slots] == ["['numpy.random'] True"] * 2


async def test_phases_come_in_order_and_the_report_says_what_was_found(tmp_path, redis_env):
    async with WorkerPeer(tmp_path) as peer:
        peer.start_worker("support.user_crews.plain:crew", fresh=True, **redis_env)
        report = (await peer.phase("ready"))["report"]
        told = [one["phase"] for one in peer.zygote.of("phase")]
        assert sorted(set(told), key=told.index) == ["importing", "loading", "ready"]
        assert report["crewai_version"].startswith("1.")
        assert report["entrypoint"] == "support.user_crews.plain:crew"
        assert report["tasks"] == 2
        assert report["uses_memory"] is False
        assert report["fork_reason"]
        assert report["processes"] == "PerKickoff"


async def test_a_definition_needs_no_module(tmp_path, redis_env):
    async with WorkerPeer(tmp_path) as peer:
        peer.start_worker(CREWOPS_DEFINITION=str(CREWS / "definition/crew.jsonc"), **redis_env)
        report = (await peer.phase("ready"))["report"]
        assert report["crew_inputs"] == ["name"], "the definition itself gives the other one"
        slots = [await peer.fork() for _ in range(2)]
        assert (await slots[0].run({"name": "Ann"}))["output"] == "hello Ann"
        assert (await slots[1].run({"name": "Ann", "greeting": "good night"}))["output"] == "good night Ann"


AGENTS = """
greeter:
  role: >
    Greeter of {name}
  goal: greet
  backstory: polite
  llm: {python: voices.echo}
"""
TASKS = """
greet:
  description: Say {greeting} {name}
  expected_output: a greeting
  agent: greeter
thank:
  description: Say thanks, {name}
  expected_output: thanks
  agent: greeter
  context: [greet]
"""
CREW = """
agents: [greeter]
tasks:
  - name: greet
    description: Say {greeting} {name}
    expected_output: a greeting
    agent: greeter
inputs: {greeting: hello}
"""
BOTH = ["name", "greeting"]
GREETER = "{greeter: {role: Greeter, goal: greet, backstory: polite, llm: {python: voices.echo}}}"
IN_ONE = CREW.replace("[greeter]", GREETER)


@pytest.mark.parametrize(
    ("written", "inputs", "output"),
    [
        ({"agents.yaml": AGENTS, "tasks.yaml": TASKS, "crew.json": '{"memory": false}'}, BOTH, "thanks, Ann"),
        ({"crew.yaml": CREW, "greeter.yml": AGENTS.partition("\n")[2].partition("\n")[2]}, ["name"], "hello Ann"),
        ({"crew.yml": IN_ONE}, ["name"], "hello Ann"),
    ],
    ids=["as-crewai-create-makes-it", "agents-beside", "in-one-file"],
)
async def test_a_definition_may_be_yaml(tmp_path, redis_env, written, inputs, output):
    folder = tmp_path / "definition"
    folder.mkdir()
    for name, text in {**written, "voices.py": (CREWS / "definition/voices.py").read_text()}.items():
        (folder / name).write_text(text)
    async with WorkerPeer(tmp_path) as peer:
        peer.start_worker(CREWOPS_DEFINITION=str(folder), HOME=str(tmp_path), **redis_env)
        report = (await peer.phase("ready"))["report"]
        assert sorted(report["crew_inputs"]) == sorted(inputs)
        slot = await peer.fork()
        assert (await slot.run({"name": "Ann", **dict.fromkeys(set(inputs) - {"name"}, "hello")}))["output"] == output


async def test_a_definition_that_cannot_say_so_remembers(tmp_path, redis_env):
    folder = tmp_path / "definition"
    folder.mkdir()
    for name, text in {
        "agents.yaml": AGENTS,
        "tasks.yaml": TASKS,
        "voices.py": (CREWS / "definition/voices.py").read_text(),
    }.items():
        (folder / name).write_text(text)
    async with WorkerPeer(tmp_path) as peer:
        # Nobody is asked, but without a key there is no embedder.
        key = {"OPENAI_API_KEY": "none"}
        peer.start_worker(CREWOPS_DEFINITION=str(folder), HOME=str(tmp_path), **key, **redis_env)
        assert (await peer.phase("ready"))["report"]["uses_memory"] is True


async def test_memory_without_an_embedder_can_never_work(tmp_path, redis_env):
    folder = tmp_path / "definition"
    folder.mkdir()
    for name, text in {"agents.yaml": AGENTS, "tasks.yaml": TASKS}.items():
        (folder / name).write_text(text)
    (folder / "voices.py").write_text((CREWS / "definition/voices.py").read_text())
    async with WorkerPeer(tmp_path) as peer:
        told = await failure(peer, "", CREWOPS_DEFINITION=str(folder), HOME=str(tmp_path), **redis_env)
        assert told["reason"] == "KickoffBroken"
        assert "OPENAI_API_KEY" in told["message"]


async def test_a_module_below_src_is_found(tmp_path, redis_env):
    (tmp_path / "src/mine").mkdir(parents=True)
    (tmp_path / "src/mine/__init__.py").write_text("from support.user_crews.plain import crew\n")
    async with WorkerPeer(tmp_path) as peer:
        peer.start_worker("mine:crew", **redis_env)
        await peer.phase("ready")


@pytest.mark.parametrize(
    ("entrypoint", "words"),
    [
        ("", "set exactly one of CREWOPS_ENTRYPOINT and CREWOPS_DEFINITION"),
        ("support.user_crews.plain", "not of the form module:attr"),
        ("support.user_crews.nowhere:crew", "there is no module support.user_crews.nowhere"),
        ("support.user_crews.plain:crw", "has no 'crw'; it has crew, Conversation"),
        ("support.user_crews.plain:NUMBER", "is an int: name a Crew"),
        ("support.user_crews.plain:State", "is the class State, which is neither"),
        ("support.user_crews.plain:needs_arguments", "needs arguments (name, size)"),
        ("support.user_crews.plain:later", "is an async function"),
        ("support.user_crews.plain:nothing", "gave a NoneType, not a Crew"),
        ("support.user_crews.broken:crew", "No module named 'a_package_that_nobody_has'"),
        ("support.user_crews.leaving:crew", "called sys.exit(3)"),
    ],
)
async def test_an_entrypoint_that_gives_no_crew_says_what_to_change(tmp_path, redis_env, entrypoint, words):
    async with WorkerPeer(tmp_path) as peer:
        told = await failure(peer, entrypoint, **redis_env)
        assert told["reason"] == "EntrypointBroken"
        assert words in told["message"]
        assert told["report"]["crewai_version"], "what was learned until then is told"


async def test_a_broken_module_is_shown_with_the_users_own_traceback(tmp_path, redis_env):
    async with WorkerPeer(tmp_path) as peer:
        told = await failure(peer, "support.user_crews.broken:crew", **redis_env)
        assert "broken.py" in told["message"]
        assert "import a_package_that_nobody_has" in told["message"]
        assert "crew_runtime" not in told["message"]


@pytest.mark.parametrize(
    ("text", "words"),
    [
        ("{nonsense", "crew.jsonc"),
        ('{"agents": ["ghost"], "tasks": []}', "ghost"),
        ("[]", "crew.jsonc"),
        ("agents: [", "invalid YAML"),
        ("agents: {ghost: {role: x}}\ntasks: [{name: t, agent: ghost}]", "missing required field 'goal'"),
        ("agents: [ghost]\ntasks: []", "there is no file for the agent ghost"),
        ("agents: 7", "write each by its name"),
        ("agents: [../ghost]", "which has no slash"),
    ],
)
async def test_a_bad_definition_says_what_is_wrong(tmp_path, redis_env, text, words):
    path = tmp_path / ("crew.yaml" if text.startswith("agents") else "crew.jsonc")
    path.write_text(text)
    async with WorkerPeer(tmp_path) as peer:
        told = await failure(peer, "", CREWOPS_DEFINITION=str(path), HOME=str(tmp_path), **redis_env)
        assert told["reason"] == "DefinitionBroken"
        assert words in told["message"]


async def test_a_definition_that_is_not_there_names_the_path(tmp_path, redis_env):
    async with WorkerPeer(tmp_path) as peer:
        told = await failure(peer, "", CREWOPS_DEFINITION=str(tmp_path / "crew.jsonc"), **redis_env)
        assert f"no crew definition at {tmp_path}/crew.jsonc" in told["message"]


async def test_both_entrypoint_and_definition_are_one_too_many(tmp_path, redis_env):
    async with WorkerPeer(tmp_path) as peer:
        told = await failure(peer, "a:b", CREWOPS_DEFINITION="/c", **redis_env)
        assert "both are set" in told["message"]


async def test_a_home_that_cannot_be_written_is_named(tmp_path, redis_env):
    (tmp_path / "file").write_text("")
    async with WorkerPeer(tmp_path) as peer:
        told = await failure(
            peer, "support.user_crews.plain:crew", fresh=True, HOME=str(tmp_path / "file/home"), **redis_env
        )
        assert told["reason"] == "HomeNotWritable"
        assert str(tmp_path / "file/home") in told["message"]


async def test_a_number_that_is_none_is_named(tmp_path, redis_env):
    async with WorkerPeer(tmp_path) as peer:
        told = await failure(peer, "support.user_crews.plain:crew", CREWOPS_SLOT_MEMORY="lots", **redis_env)
        assert told["reason"] == "InvalidSettings"
        assert "CREWOPS_SLOT_MEMORY" in told["message"]


async def test_a_backend_that_cannot_be_reached_keeps_the_worker_from_starting(tmp_path):
    async with WorkerPeer(tmp_path) as peer:
        begun = time.monotonic()
        told = await failure(peer, "support.user_crews.plain:crew", **NOWHERE)
        assert told["reason"] == "BackendUnavailable"
        assert "127.0.0.1:1" in told["message"]
        assert time.monotonic() - begun < 20


async def test_nothing_is_ever_kept_in_a_local_file_instead(tmp_path):
    async with WorkerPeer(tmp_path) as peer:
        await failure(peer, "support.user_crews.plain:crew", fresh=True, **NOWHERE)
        assert not list(tmp_path.rglob("*lance*"))


async def test_telemetry_is_off_unless_the_user_wants_it(tmp_path, redis_env):
    module = "import json, os\nfrom support.user_crews.plain import crew\nprint('SEEN', json.dumps(dict(os.environ)))\n"
    (tmp_path / "mine.py").write_text(module)
    async with WorkerPeer(tmp_path) as peer:
        peer.start_worker("mine:crew", fresh=True, CREWAI_TRACING_ENABLED="true", **redis_env)
        await peer.phase("ready")
        seen = json.loads((await peer.logged("SEEN")).partition(" ")[2])
        assert seen["CREWAI_DISABLE_TELEMETRY"] == "true"
        assert seen["CREWAI_TRACING_ENABLED"] == "true"
        assert "OTEL_SDK_DISABLED" not in seen, "it would switch off the user's own telemetry"
