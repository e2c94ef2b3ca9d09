"""The zygote's own ends, and what becomes of its children at each of them."""

import asyncio
import os
import signal
import time
from pathlib import Path

from crew_runtime.worker.processes import anonymous, children, descendants
from support import processes
from support.waiting import wait_until
from support.worker_peer import START, WorkerPeer

PLAIN = "support.user_crews.plain:crew"


async def ready(peer: WorkerPeer, entrypoint: str, environ: dict[str, str]) -> None:
    peer.start_worker(entrypoint, **environ)
    await peer.phase("ready")


def all_gone(pids: list[int]) -> bool:
    return not any(processes.alive(pid) for pid in pids)


async def test_a_zygote_that_is_killed_takes_all_its_children_along(tmp_path, redis_env):
    async with WorkerPeer(tmp_path) as peer:
        await ready(peer, "support.user_crews.hostile:crew", redis_env)
        slots = [await peer.fork() for _ in range(3)]
        slots[0].kick_off({"deed": "swallow"})
        await peer.logged("swallow begins")
        pids = [one.pid for one in slots]
        os.kill(peer.process.pid, signal.SIGKILL)
        wait_until(lambda: all_gone(pids), "all slots are gone", timeout=10)
        await slots[0].line.wait_ended()


async def test_exit_ends_children_first_and_then_the_zygote(tmp_path, redis_env):
    async with WorkerPeer(tmp_path) as peer:
        await ready(peer, "support.user_crews.hostile:crew", redis_env)
        slot = await peer.fork()
        slot.kick_off({"deed": "swallow"})
        await peer.logged("swallow begins")
        peer.zygote.send("exit")
        assert await peer.ended(timeout=10) == 0
        assert (await slot.exited())["signal"] == "SIGKILL"
        assert not processes.alive(slot.pid)


async def test_sigterm_is_told_and_the_zygote_stays_until_exit(tmp_path, redis_env):
    async with WorkerPeer(tmp_path) as peer:
        await ready(peer, "support.user_crews.hostile:crew", redis_env)
        slot = await peer.fork()
        slot.kick_off({"deed": "nap"})
        await peer.logged("nap begins")
        peer.process.terminate()
        await peer.zygote.expect("draining", timeout=10)
        assert (await slot.answer())["output"] == "napped", "running kickoffs go on"
        assert peer.process.poll() is None
        peer.zygote.send("exit")
        assert await peer.ended() == 0


async def test_without_an_exit_the_grace_period_ends_it(tmp_path, redis_env):
    async with WorkerPeer(tmp_path) as peer:
        await ready(peer, PLAIN, {**redis_env, "CREWOPS_GRACE_PERIOD": "0.5"})
        slot = await peer.fork()
        peer.process.terminate()
        assert await peer.ended(timeout=10) == 143
        assert not processes.alive(slot.pid)


async def test_pings_are_answered_while_the_crew_is_loaded_and_while_a_tool_holds_the_gil(tmp_path, redis_env):
    (tmp_path / "slow.py").write_text(
        "import time\ntime.sleep(3)\nfrom support.user_crews.hostile import crew as make\ncrew = make()\n"
    )
    async with WorkerPeer(tmp_path) as peer:
        peer.start_worker("slow:crew", **redis_env)
        await peer.phase("loading")
        await answers(peer, 1, within=2)
        assert [one["phase"] for one in peer.zygote.of("phase")][-1] == "loading"
        await peer.phase("ready")
        slot = await peer.fork()
        slot.kick_off({"deed": "hold_gil"})
        await peer.logged("hold_gil begins")
        await answers(peer, 2, within=0.3)


async def answers(peer: WorkerPeer, n: int, within: float) -> None:
    peer.zygote.send("ping", n=n)
    await peer.zygote.expect("pong", where=lambda one: one["n"] == n, timeout=within)


async def test_a_lost_server_ends_all_slots_and_the_next_one_is_told_all_again(tmp_path, redis_env):
    async with WorkerPeer(tmp_path) as peer:
        await ready(peer, "support.user_crews.hostile:crew", redis_env)
        slots = [await peer.fork() for _ in range(2)]
        slots[0].kick_off({"deed": "spin"})
        await peer.logged("spin begins")
        await peer.close()
        wait_until(lambda: all_gone([one.pid for one in slots]), "all slots are gone", timeout=10)
        await peer.listen()
        again = await peer.connected(2, timeout=5)
        told = await again.expect("phase")
        assert told["phase"] == "ready"
        assert told["report"]["fork_mode"] == "Preload"
        slot = await peer.fork()
        assert (await slot.run({"deed": "again"}))["output"] == "again"
        assert not again.of("exited"), "the new server knows nothing of the old one's slots"


async def test_a_slot_whose_connection_is_cut_ends(tmp_path, redis_env):
    async with WorkerPeer(tmp_path) as peer:
        await ready(peer, "support.user_crews.hostile:crew", redis_env)
        slot = await peer.fork()
        slot.kick_off({"deed": "sleep"})
        await peer.logged("sleep begins")
        slot.line.writer.transport.abort()
        assert (await slot.exited(timeout=10))["code"] == 1


async def test_a_worker_without_a_server_waits_for_it(tmp_path, redis_env):
    peer = WorkerPeer(tmp_path)
    peer.start_worker(PLAIN, **redis_env)
    await asyncio.sleep(0.5)
    async with peer:
        await peer.connected()
        assert peer.zygote.hello["pid"] == peer.process.pid


async def test_a_crew_that_dies_while_it_is_loaded_is_told(tmp_path, redis_env):
    (tmp_path / "dying.py").write_text("import os\nos._exit(9)\n")
    async with WorkerPeer(tmp_path) as peer:
        peer.start_worker("dying:crew", **redis_env)
        await peer.connected()
        told = await peer.zygote.expect("phase", where=lambda one: one["phase"] == "failed", timeout=START)
        assert told["reason"] == "EntrypointBroken"
        assert "exit code 9" in told["message"]


async def test_thirty_kickoffs_leave_descriptors_and_threads_as_they_were(tmp_path, redis_env):
    async with WorkerPeer(tmp_path) as peer:
        await ready(peer, PLAIN, {**redis_env, "CREWOPS_PROCESSES": "Shared"})
        slot = await peer.fork()
        seen = []
        for number in range(30):
            assert (await slot.run({"message": str(number)}))["output"] == f"two {number}"
            assert (await slot.idle())["reusable"] is True
            if number in (4, 29):
                seen.append([len(list(Path(f"/proc/{slot.pid}", kind).iterdir())) for kind in ("fd", "task")])
        assert seen[0][0] == seen[1][0]
        # CrewAI's pool of handlers grows up to ten.
        assert seen[1][1] <= seen[0][1] + 10
        assert anonymous(slot.pid) < 600e6
        assert children(slot.pid) == []


async def test_after_a_hundred_kickoffs_a_slot_goes(tmp_path, redis_env):
    async with WorkerPeer(tmp_path) as peer:
        await ready(peer, PLAIN, {**redis_env, "CREWOPS_PROCESSES": "Shared"})
        slot = await peer.fork()
        for _ in range(100):
            await slot.run({"message": "x"})
            idle = await slot.idle()
        assert idle["reusable"] is False
        assert "100 kickoffs" in idle["reason"]
        assert (await slot.exited())["code"] == 0


async def test_events_come_numbered_and_before_the_result(tmp_path, redis_env):
    async with WorkerPeer(tmp_path) as peer:
        await ready(peer, PLAIN, redis_env)
        slot = await peer.fork()
        await slot.run({"message": "x"})
        kinds = [one["t"] for one in slot.line.seen if one["t"] in ("event", "result")]
        assert kinds[-1] == "result"
        events = slot.line.of("event")
        assert sorted(one["seq"] for one in events) == [one["seq"] for one in events]
        assert {"crew_kickoff_started", "task_completed", "crew_kickoff_completed"} <= {one["type"] for one in events}
        assert {one["task"] for one in events if one["type"] == "task_completed"} == {"one", "two"}


async def test_a_server_that_stops_reading_does_not_stop_the_crew(tmp_path, redis_env):
    (tmp_path / "chatty.py").write_text(
        "from crewai.events.event_bus import crewai_event_bus as bus\n"
        "from crewai.events.types.task_events import TaskEvaluationEvent as Event\n"
        "from support.user_crews.plain import make\n"
        "crew = make()\n"
        "def chat(output):\n"
        "    for number in range(6000):\n"
        "        bus.emit(None, Event(evaluation_type='x' * 50, task_name='t' * 200))\n"
        "    print('CHATTED', flush=True)\n"
        "crew.tasks[0].callback = chat\n"
    )
    async with WorkerPeer(tmp_path) as peer:
        await ready(peer, "chatty:crew", redis_env)
        slot = await peer.fork()
        slot.line.writer.transport.pause_reading()
        slot.kick_off({"message": "x"})
        await peer.logged("CHATTED", timeout=30)
        slot.line.writer.transport.resume_reading()
        assert (await slot.answer(timeout=30))["t"] == "result"
        assert max(one.get("dropped", 0) for one in slot.line.of("event")) > 0


async def test_slots_are_spawned_when_crewai_itself_starts_threads(tmp_path, redis_env):
    (tmp_path / "sitecustomize.py").write_text(
        "import threading\nthreading.Thread(target=threading.Event().wait, name='agent', daemon=True).start()\n"
    )
    async with WorkerPeer(tmp_path) as peer:
        path = os.pathsep.join([str(tmp_path), str(Path(__file__).parents[2])])
        peer.start_worker(PLAIN, fresh=True, PYTHONPATH=path, **redis_env)
        report = (await peer.phase("ready"))["report"]
        assert report["fork_mode"] == "Spawn"
        assert "agent" in report["fork_reason"]
        slot = await peer.fork()
        assert (await slot.run({"message": "hi"}))["output"] == "two hi"
        os.kill(peer.process.pid, signal.SIGKILL)
        wait_until(lambda: not processes.alive(slot.pid), "the spawned slot is gone", timeout=10)


async def test_the_prober_proves_through_crewais_memory(tmp_path, redis_env):
    async with WorkerPeer(tmp_path) as peer:
        await ready(peer, PLAIN, redis_env)
        provers = [await peer.fork("prober") for _ in range(2)]

        async def prove(which: int, action: str, n: int) -> dict:
            provers[which].line.send("proof", n=n, action=action, nonce="n-1")
            return await provers[which].line.expect("proof-result", where=lambda one: one["n"] == n)

        assert (await prove(0, "write", 1))["ok"] is True
        assert (await prove(1, "read", 2))["found"] is True
        assert (await prove(0, "forget", 3))["ok"] is True
        assert (await prove(1, "read", 4))["found"] is False
        assert (await prove(0, "sing", 5))["ok"] is False


async def test_a_child_of_an_unknown_role_is_not_made(tmp_path, redis_env):
    async with WorkerPeer(tmp_path) as peer:
        await ready(peer, PLAIN, redis_env)
        peer.zygote.send("fork", token="t", role="trial")
        await peer.logged("cannot be made")
        peer.zygote.send("ping", n=1)
        await peer.zygote.expect("pong")
        assert not peer.zygote.of("forked")
        assert descendants(peer.process.pid) == []


async def test_two_slots_draw_different_numbers(tmp_path, redis_env):
    (tmp_path / "dice.py").write_text(
        "import random, numpy\nfrom support.user_crews.plain import make\ncrew = make()\n"
        "crew.tasks[-1].callback = lambda output: print('DREW', random.random(), numpy.random.rand(), flush=True)\n"
    )
    async with WorkerPeer(tmp_path) as peer:
        await ready(peer, "dice:crew", redis_env)
        for slot in [await peer.fork(), await peer.fork()]:
            await slot.run({"message": "x"})
        wait_until(lambda: peer.log.read_text().count("DREW") == 2, "both drew", timeout=10)
        drawn = [line.split()[1:3] for line in peer.log.read_text().splitlines() if line.startswith("DREW")]
        assert drawn[0][0] != drawn[1][0]
        assert drawn[0][1] != drawn[1][1]


async def test_a_kill_is_heard_while_a_second_passes(tmp_path, redis_env):
    async with WorkerPeer(tmp_path) as peer:
        await ready(peer, "support.user_crews.hostile:crew", redis_env)
        slot = await peer.fork()
        slot.kick_off({"deed": "hold_gil"})
        await peer.logged("hold_gil begins")
        begun = time.monotonic()
        slot.kill()
        exited = await slot.exited()
        spare = await peer.fork()
        assert exited["_at"] - begun < 0.5
        assert (await spare.run({"deed": "next"}))["output"] == "next"
