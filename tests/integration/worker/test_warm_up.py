"""What a spare process loads before a kickoff needs it: the function of `spec.crew.warmUp`, and a local embedder."""

from pathlib import Path

import pytest

from support import tiny_onnx
from support.worker_peer import START, WorkerPeer

WARMED = "support.user_crews.warmed"
CREW = f"{WARMED}:crew"
THREADED = f"""
import threading
from {WARMED} import crew
threading.Thread(target=threading.Event().wait, daemon=True).start()
"""
UNLICENSED = 'raise OSError("no licence")\n'


def noted(folder: Path, pid: int) -> list[str]:
    """What one process did, in its order."""
    notes = folder / "notes"
    lines = notes.read_text().splitlines() if notes.exists() else []
    return [what for who, _, what in (line.partition(" ") for line in lines) if int(who) == pid]


@pytest.mark.parametrize(("entrypoint", "mode"), [(CREW, "Preload"), ("threaded:crew", "Fork")])
async def test_a_process_calls_the_warm_up_once_before_it_is_ready_and_then_kicks_off(
    tmp_path, redis_env, entrypoint, mode
):
    (tmp_path / "threaded.py").write_text(THREADED)
    async with WorkerPeer(tmp_path) as peer:
        peer.start_worker(entrypoint, CREWOPS_WARM_UP=f"{WARMED}:warm", CREWOPS_PROCESSES="Shared", **redis_env)
        report = (await peer.phase("ready"))["report"]
        assert (report["fork_mode"], report["warm_up"]) == (mode, [f"{WARMED}:warm"]), report
        slot, spare = await peer.fork(), await peer.fork()
        assert [noted(tmp_path, one.pid) for one in (slot, spare)] == [["warm-up"], ["warm-up"]]
        for _ in range(2):
            assert (await slot.run({"message": "hi"}))["output"] == "two hi"
            assert (await slot.idle())["reusable"] is True
        assert noted(tmp_path, slot.pid) == ["warm-up", "kickoff", "kickoff"]
        assert noted(tmp_path, spare.pid) == ["warm-up"]


async def test_a_forked_process_imports_nothing_of_the_runtime_by_itself(tmp_path, redis_env):
    async with WorkerPeer(tmp_path) as peer:
        peer.start_worker(f"{WARMED}:importing", fresh=True, **redis_env)
        assert (await peer.phase("ready"))["report"]["fork_mode"] == "Preload"
        slot = await peer.fork()
        assert (await slot.run({"message": "hi"}))["output"] == "two hi"
        assert noted(tmp_path, slot.pid) == ["imported []"]


@pytest.mark.parametrize(
    ("warm_up", "words", "own"),
    [
        (f"{WARMED}:failing", "failed: OSError('no model')", 'raise OSError("no model")'),
        (f"{WARMED}:leaving", "failed: SystemExit(3)", "sys.exit(3)"),
        ("unlicensed:load", "importing unlicensed for the warm-up failed: OSError('no licence')", UNLICENSED.strip()),
        (f"{WARMED}:nowhere", f"was not found: module '{WARMED}' has no attribute 'nowhere'", ""),
        ("nowhere:load", "was not found: No module named 'nowhere'", ""),
        (f"{WARMED}:NUMBER", "is no function", ""),
        (WARMED, "is not of the form module:function", ""),
    ],
)
async def test_a_warm_up_that_is_missing_or_fails_ends_the_start_and_says_why(tmp_path, redis_env, warm_up, words, own):
    (tmp_path / "unlicensed.py").write_text(UNLICENSED)
    async with WorkerPeer(tmp_path) as peer:
        peer.start_worker(CREW, CREWOPS_WARM_UP=warm_up, **redis_env)
        await peer.connected()
        told = await peer.zygote.expect("phase", where=lambda one: one["phase"] in ("failed", "ready"), timeout=START)
        assert await peer.ended() == 78
        assert (told["phase"], told["reason"]) == ("failed", "WarmUpBroken"), told
        assert words in told["message"]
        assert own in told["message"], "the user's own last lines"
        assert "crew_runtime" not in told["message"]


async def test_a_warm_up_that_fails_after_the_start_is_logged_and_the_kickoff_runs(tmp_path, redis_env):
    async with WorkerPeer(tmp_path) as peer:
        peer.start_worker(CREW, CREWOPS_WARM_UP=f"{WARMED}:fails_again", **redis_env)
        await peer.phase("ready")
        slot = await peer.fork()
        assert "no model" in await peer.logged("the warm-up failed")
        assert (await slot.run({"message": "hi"}))["output"] == "two hi"
        assert noted(tmp_path, slot.pid) == ["warm-up", "kickoff"]


@pytest.mark.parametrize("name", ["local", "nameless_local", "local_by_settings", "own_local_by_settings"])
async def test_an_embedder_that_needs_no_network_is_called_once_before_the_kickoff(tmp_path, redis_env, name):
    async with WorkerPeer(tmp_path) as peer:
        peer.start_worker(f"{WARMED}:{name}", **redis_env)
        await peer.phase("ready")
        slot = await peer.fork()
        assert noted(tmp_path, slot.pid) == ["embedded warm-up"]
        assert (await slot.run({"message": "hi"}))["memory"] == "ok"
        first, *later = noted(tmp_path, slot.pid)
        assert later
        assert first not in later


@pytest.mark.parametrize("name", ["networked", "nameless_networked", "networked_by_settings"])
async def test_an_embedder_that_asks_a_server_is_called_by_the_kickoff_alone(tmp_path, redis_env, name):
    """A call of it may cost money."""
    async with WorkerPeer(tmp_path) as peer:
        peer.start_worker(f"{WARMED}:{name}", **redis_env)
        await peer.phase("ready")
        slot = await peer.fork()
        assert noted(tmp_path, slot.pid) == []
        assert (await slot.run({"message": "hi"}))["memory"] == "ok"
        called = noted(tmp_path, slot.pid)
        assert called, "it can be seen when it is called"
        assert "embedded warm-up" not in called


SENTENCES = """
from support.user_crews import remembering, warmed

class SentenceTransformer:
    def __init__(self, model_name_or_path, device):
        warmed.note(f"loaded {model_name_or_path}")

    def encode(self, texts, **_):
        return remembering.Hashed()(texts)
"""
"""For a library of gigabytes, as CrewAI's own provider calls it."""


@pytest.mark.parametrize(
    ("name", "loaded", "told"),
    [
        ("loads_in_the_module", "loaded", f"{WARMED}:by_a_function"),
        ("loads_in_its_class", "loaded", f"{WARMED}:InItsClass"),
        ("loads_by_a_provider", "loaded tiny", "sentence-transformer/tiny"),
        ("loads_by_the_crews_provider", "loaded tiny", "sentence-transformer/tiny"),
        ("own_loads_in_its_instance", "loaded", "@module"),
        ("own_of_two", "loaded", "@module"),
    ],
)
async def test_a_kickoff_loads_nothing_that_its_process_has_loaded_before(tmp_path, redis_env, name, loaded, told):
    (tmp_path / "sentence_transformers.py").write_text(SENTENCES)
    async with WorkerPeer(tmp_path) as peer:
        peer.start_worker(f"{WARMED}:{name}", **redis_env)
        assert (await peer.phase("ready"))["report"]["warm_up"] == [told]
        slot = await peer.fork()
        assert noted(tmp_path, slot.pid) == [loaded]
        assert (await slot.run({"message": "hi"}))["memory"] == "ok"
        assert [one for one in noted(tmp_path, slot.pid) if one.startswith("loaded")] == [loaded]


VOICES = f"""
import onnxruntime
from crewai.memory.unified_memory import Memory
from {WARMED} import InItsClass, note
from support.user_crews.remembering import FilingLLM

class Session(onnxruntime.InferenceSession):
    def __init__(self, *arguments, **named):
        note("loaded")
        super().__init__(*arguments, **named)

class OfAClass(InItsClass):
    pass

onnxruntime.InferenceSession = Session
filing = FilingLLM(model="filing")
memory = Memory(llm=filing, embedder={{"provider": "onnx"}})
"""
DECLARED = """
agents: {host: {role: Host, goal: answer, backstory: knows, llm: {python: voices.filing}}}
tasks: [{name: say, description: "Say {message}", expected_output: a line, agent: host}]
"""
OF_A_CLASS = "memory: true\nembedder: {provider: custom, config: {embedding_callable: {python: voices.OfAClass}}}"
OF_A_MEMORY = "memory: {python: voices.memory}"
OF_CREWAI = "memory: true\nembedder: {provider: onnx}"


async def declared(peer: WorkerPeer, folder: Path, told: str, **environ: str) -> list[str]:
    """Starts a worker with that crew; what it says that it warms up."""
    (folder / "definition").mkdir()
    (folder / "definition" / "crew.yaml").write_text(DECLARED + told)
    (folder / "definition" / "voices.py").write_text(VOICES)
    tiny_onnx.write(folder / "home")
    # Fresh: chromadb has looked for the home directory when it was imported.
    peer.start_worker(fresh=True, CREWOPS_DEFINITION=str(folder / "definition"), **environ)
    return (await peer.phase("ready"))["report"]["warm_up"]


@pytest.mark.parametrize("told", [OF_A_CLASS, OF_A_MEMORY])
async def test_a_declared_crew_has_its_model_before_the_kickoff(tmp_path, redis_env, told):
    async with WorkerPeer(tmp_path) as peer:
        assert await declared(peer, tmp_path, told, **redis_env) == ["@module"]
        slot = await peer.fork()
        assert noted(tmp_path, slot.pid) == ["loaded"]
        assert (await slot.run({"message": "hi"}))["memory"] == "ok"
        assert noted(tmp_path, slot.pid) == ["loaded"]


@pytest.mark.parametrize(
    ("processes", "warmed", "seen"), [("PerKickoff", "@module", ["loaded"]), ("Shared", "onnx", [])]
)
async def test_an_embedder_of_crewais_own_is_called_too(tmp_path, redis_env, processes, warmed, seen):
    """For its files and libraries: CrewAI makes another one in the kickoff. Where several kickoffs run in a process the
    crew is not made before them, and with it the code that notes."""
    async with WorkerPeer(tmp_path) as peer:
        assert await declared(peer, tmp_path, OF_CREWAI, CREWOPS_PROCESSES=processes, **redis_env) == [warmed]
        slot = await peer.fork()
        assert noted(tmp_path, slot.pid) == seen
        assert "warming the embedder" not in peer.log.read_text()
        assert (await slot.run({"message": "hi"}))["memory"] == "ok"
