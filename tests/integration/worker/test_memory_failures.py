"""CrewAI gives a normal result when its memory fails; a slot does not."""

import os
import signal

import pytest

from support.redis_server import start_redis
from support.worker_peer import WorkerPeer

CREW = "support.user_crews.remembering:crew"
QUICK = {"CREWOPS_BACKEND_DEADLINE": "0.2"}


@pytest.fixture
def redis_stopped():
    """Stops a redis-server as a wedged one is: it takes connections and answers nothing."""
    stopped = []

    def stop(pid: int) -> None:
        os.kill(pid, signal.SIGSTOP)
        stopped.append(pid)

    yield stop
    for pid in stopped:
        os.kill(pid, signal.SIGCONT)


async def test_a_kickoff_with_memory_is_ok_and_the_slot_is_used_again(tmp_path, redis_env):
    async with WorkerPeer(tmp_path) as peer:
        peer.start_worker(CREW, CREWOPS_PROCESSES="Shared", **redis_env)
        report = (await peer.phase("ready"))["report"]
        assert report["uses_memory"] is True
        assert report["embedder"] == "custom/Hashed"
        assert {one["kind"]: one["local"] for one in report["state"]}["memory"] is False
        slot = await peer.fork()
        for _ in range(3):
            answer = await slot.run({"message": "hi"})
            assert (answer["output"], answer["memory"]) == ("hi", "ok")
            idle = await slot.idle()
            assert idle["reusable"] is True, idle
        assert not slot.line.of("guard")


@pytest.mark.parametrize("on_failure", ["FailClosed", "Degrade"])
async def test_a_wedged_store_is_told_and_judged_as_the_spec_says(
    tmp_path, redis_env, redis_pid, redis_stopped, on_failure
):
    async with WorkerPeer(tmp_path) as peer:
        peer.start_worker(CREW, CREWOPS_MEMORY_ON_FAILURE=on_failure, CREWOPS_PROCESSES="Shared", **QUICK, **redis_env)
        await peer.phase("ready")
        slot = await peer.fork()
        assert (await slot.run({"message": "before"}))["memory"] == "ok"
        await slot.idle()
        redis_stopped(redis_pid)
        slot.kick_off({"message": "during"})
        answer = await slot.answer(timeout=30)
        told = slot.line.of("guard")
        assert told
        assert {"op", "kind", "error"} <= told[0].keys()
        assert {one["kind"] for one in told} == {"Timeout"}, told
        if on_failure == "Degrade":
            assert (answer["t"], answer["output"], answer["memory"]) == ("result", "during", "degraded")
        else:
            assert (answer["t"], answer["kind"]) == ("error", "memory")
            assert answer["result"]["output"] == "during"
            assert told[0]["op"] in answer["message"]


@pytest.mark.parametrize("on_failure", ["FailClosed", "Degrade"])
async def test_a_memory_that_no_replica_of_redis_has_is_told_and_judged_as_the_spec_says(tmp_path, on_failure):
    with (
        start_redis(tmp_path / "primary", with_search=False, aof=True) as primary,
        start_redis(tmp_path / "follower", with_search=False) as follower,
    ):
        follower.follow(primary)
        environ = {
            "CREWOPS_REDIS_URL": primary.url,
            "CREWOPS_KEY_PREFIX": "test/durable",
            "CREWOPS_DURABILITY": "Replicated",
            "CREWOPS_MEMORY_ON_FAILURE": on_failure,
            "CREWOPS_PROCESSES": "Shared",
        }
        async with WorkerPeer(tmp_path) as peer:
            peer.start_worker(CREW, **environ)
            await peer.phase("ready")
            slot = await peer.fork()
            assert (await slot.run({"message": "before"}))["memory"] == "ok"
            await slot.idle()
            follower.stop()
            slot.kick_off({"message": "during"})
            answer = await slot.answer(timeout=60)
            assert {one["kind"] for one in slot.line.of("guard")} == {"NotAcknowledged"}
            if on_failure == "Degrade":
                assert (answer["t"], answer["output"], answer["memory"]) == ("result", "during", "degraded")
            else:
                assert (answer["t"], answer["kind"]) == ("error", "memory")
                assert answer["result"]["output"] == "during"


@pytest.mark.parametrize("on_failure", ["FailClosed", "Degrade"])
@pytest.mark.parametrize(
    ("missing", "kind"),
    [("without_embedder", "Embedder"), ("without_analysis", "LLM"), ("without_knowledge", "Embedder")],
)
async def test_what_fails_before_the_store_is_asked_is_told_as_well(tmp_path, redis_env, on_failure, missing, kind):
    """CrewAI says it in an event or in its log, and ends the kickoff as if nothing were."""
    async with WorkerPeer(tmp_path) as peer:
        entrypoint = f"support.user_crews.remembering:{missing}"
        peer.start_worker(entrypoint, CREWOPS_MEMORY_ON_FAILURE=on_failure, **redis_env)
        await peer.phase("ready")
        slot = await peer.fork()
        slot.kick_off({"message": "during"})
        answer = await slot.answer(timeout=60)
        told = slot.line.of("guard")
        assert {one["kind"] for one in told} == {kind}, told
        assert "refused the connection" in told[0]["error"]
        if on_failure == "Degrade":
            assert (answer["t"], answer["output"], answer["memory"]) == ("result", "during", "degraded")
        else:
            assert (answer["t"], answer["kind"]) == ("error", "memory")
            assert answer["result"]["output"] == "during"
            assert "refused the connection" in answer["message"]


@pytest.mark.parametrize("on_failure", ["FailClosed", "Degrade"])
async def test_an_embedder_of_the_same_dimension_that_is_another_is_no_secret(tmp_path, redis_env, on_failure):
    """Nothing would fail: every recall would only be wrong."""
    async with WorkerPeer(tmp_path) as peer:
        peer.start_worker(CREW, **redis_env)
        await peer.phase("ready")
        slot = await peer.fork()
        assert (await slot.run({"message": "hi"}))["memory"] == "ok"
    async with WorkerPeer(tmp_path) as peer:
        other = "support.user_crews.remembering:with_another_embedder"
        peer.start_worker(other, CREWOPS_MEMORY_ON_FAILURE=on_failure, **redis_env)
        await peer.connected()
        told = await peer.zygote.expect("phase", where=lambda one: one["phase"] in ("failed", "ready"), timeout=60)
        if on_failure == "FailClosed":
            assert (told["phase"], told["reason"]) == ("failed", "EmbedderMismatch"), told
            said = told["message"]
        else:
            assert told["phase"] == "ready"
            (memory,) = [one for one in told["report"]["state"] if one["kind"] == "memory"]
            assert memory["local"] is False
            said = memory["detail"]
        assert "custom/Hashed, and this crew uses custom/Otherwise" in said
        assert "keyPrefix" in said
