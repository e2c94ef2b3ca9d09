"""What one kickoff's tools do costs that kickoff and no other: real processes, real kills."""

import os
import signal
import time
from pathlib import Path

import pytest
import pytest_asyncio

from crew_runtime.worker.processes import descendants
from support import processes
from support.waiting import BUSY, wait_until
from support.worker_peer import Slot, WorkerPeer

pytestmark = pytest.mark.asyncio(loop_scope="module")

NEVER_ENDING = ("sleep", "spin", "hold_gil", "swallow")


@pytest_asyncio.fixture(scope="module", loop_scope="module")
async def peer(tmp_path_factory, redis_of_the_run):
    folder = tmp_path_factory.mktemp("hostile")
    async with WorkerPeer(folder) as made:
        environ = {"CHILD_PID_FILE": str(folder / "child"), "CREWOPS_SLOT_MEMORY": "200", **redis_of_the_run}
        made.start_worker("support.user_crews.hostile:crew", **environ)
        await made.phase("ready")
        yield made


@pytest_asyncio.fixture(scope="module", loop_scope="module")
async def sharing_peer(tmp_path_factory, redis_of_the_run):
    folder = tmp_path_factory.mktemp("shared")
    async with WorkerPeer(folder) as made:
        environ = {"CHILD_PID_FILE": str(folder / "child"), "CREWOPS_PROCESSES": "Shared", **redis_of_the_run}
        made.start_worker("support.user_crews.hostile:crew", **environ)
        await made.phase("ready")
        yield made


@pytest_asyncio.fixture(loop_scope="module")
async def slot(peer):
    made = await peer.fork()
    yield made
    made.kill()
    await made.exited()


@pytest_asyncio.fixture(loop_scope="module")
async def shared_slot(sharing_peer):
    """One that is used again, as long as it is clean."""
    made = await sharing_peer.fork()
    yield made
    made.kill()
    await made.exited()


@pytest_asyncio.fixture(loop_scope="module")
async def bystander(peer):
    """Another slot, which must not notice anything."""
    made = await peer.fork()
    yield made
    made.kill()
    await made.exited()


async def started(slot: Slot) -> None:
    """Until the tool is at work; one that holds the GIL lets no frame out."""
    await slot.peer.logged(f"begins in {slot.pid}")


@pytest.mark.parametrize("deed", NEVER_ENDING)
async def test_a_kill_ends_a_tool_within_a_second(slot, bystander, deed):
    slot.kick_off({"deed": deed})
    await started(slot)
    begun = time.monotonic()
    slot.kill()
    exited = await slot.exited(timeout=10)
    assert time.monotonic() - begun < 1 * BUSY
    assert exited["signal"] == "SIGKILL"
    assert exited["reason"] is None
    assert not processes.alive(slot.pid)
    assert (await bystander.run({"deed": "untouched"}))["output"] == "untouched"


async def test_a_stopped_slot_can_be_killed(slot):
    slot.kick_off({"deed": "sleep"})
    await started(slot)
    os.kill(slot.pid, signal.SIGSTOP)
    slot.kill()
    assert (await slot.exited(timeout=10))["signal"] == "SIGKILL"


async def test_beats_go_on_while_a_tool_spins(slot):
    slot.kick_off({"deed": "spin"})
    await started(slot)
    seen = len(slot.line.seen)
    await slot.line.expect("beat", since=seen, timeout=10)


async def test_sys_exit_is_an_error_that_says_so(slot, bystander):
    answer = await slot.run({"deed": "exit"})
    assert (answer["t"], answer["kind"]) == ("error", "exit")
    assert "sys.exit(5)" in answer["message"]
    assert (await slot.exited())["code"] == 0
    assert (await bystander.run({"deed": "untouched"}))["output"] == "untouched"


@pytest.mark.parametrize(("deed", "code", "signal"), [("os_exit", 6, None), ("segfault", None, "SIGSEGV")])
async def test_a_slot_that_dies_gives_no_answer_and_the_zygote_says_how(slot, bystander, deed, code, signal):
    slot.kick_off({"deed": deed})
    exited = await slot.exited()
    assert (exited["code"], exited["signal"]) == (code, signal)
    assert exited["maxrss"] > 50e6
    assert not slot.line.of("result")
    assert not slot.line.of("error")
    assert (await bystander.run({"deed": "untouched"}))["output"] == "untouched"


async def test_growing_over_the_slots_memory_is_an_oom(slot, bystander):
    slot.kick_off({"deed": "grow"})
    exited = await slot.exited()
    assert (exited["signal"], exited["reason"]) == ("SIGKILL", "oom")
    assert (await bystander.run({"deed": "untouched"}))["output"] == "untouched"


async def test_one_huge_allocation_is_refused_and_the_kickoff_goes_on(slot):
    answer = await slot.run({"deed": "allocate"})
    assert answer["t"] == "result"
    assert "MemoryError" in answer["output"] or "error" in answer["output"].lower()
    assert "got" not in answer["output"]


async def test_deep_recursion_is_the_tools_error(slot):
    answer = await slot.run({"deed": "recurse"})
    assert answer["t"] == "result"
    assert "recursion" in answer["output"]


async def test_a_slot_ends_after_its_kickoff(slot):
    assert (await slot.run({"deed": "raise"}))["t"] == "result"
    assert (await slot.exited())["code"] == 0
    assert not slot.line.of("idle")


async def test_a_tool_that_raises_leaves_a_slot_that_is_used_again(shared_slot):
    assert (await shared_slot.run({"deed": "raise"}))["t"] == "result"
    assert (await shared_slot.idle())["reusable"] is True


@pytest.mark.parametrize(
    ("deed", "why"),
    [
        ("thread", "threads were left behind: left-behind"),
        ("chdir", "working directory"),
        ("environ", "LEFT_BEHIND"),
        ("open_file", "/etc/hostname"),
    ],
)
async def test_what_a_kickoff_leaves_behind_ends_a_slot_that_is_shared(shared_slot, deed, why):
    assert (await shared_slot.run({"deed": deed}))["t"] == "result"
    idle = await shared_slot.idle()
    assert idle["reusable"] is False
    assert why in idle["reason"]
    assert (await shared_slot.exited())["code"] == 0


@pytest.mark.parametrize("deed", ["own_session_child", "daemon"])
async def test_a_child_with_a_session_of_its_own_ends_with_its_slot(slot, peer, deed):
    assert (await slot.run({"deed": deed}))["t"] == "result"
    child = int(Path(peer.folder / "child").read_text())
    await slot.exited()
    wait_until(lambda: not processes.alive(child), f"the tool's child {child} is gone", timeout=10)


async def test_a_kill_ends_the_child_with_a_session_of_its_own_too(slot, peer):
    slot.kick_off({"deed": "own_session_child"})
    await slot.answer()
    child = int(Path(peer.folder / "child").read_text())
    slot.kill()
    await slot.exited()
    wait_until(lambda: not processes.alive(child), f"the tool's child {child} is gone", timeout=10)


async def test_a_missing_input_is_crewais_own_error(slot):
    answer = await slot.run({"other": 1})
    assert answer["kind"] == "exception"
    assert "Template variable 'deed' not found" in answer["message"]


async def test_the_session_is_logged_at_entry(slot, peer):
    await slot.run({"deed": "hello"}, name="kick-7", session="guest-9")
    line = next(one for one in peer.log.read_text().splitlines() if "kick-7" in one)
    assert '"message": "kickoff started"' in line
    assert '"session_id": "guest-9"' in line


async def test_a_courtesy_ends_the_process_in_order_whatever_its_tool_does(slot):
    slot.kick_off({"deed": "sleep"})
    await started(slot)
    slot.line.send("term")
    assert (await slot.exited(timeout=10))["code"] == 0


async def test_nothing_is_left_when_all_slots_are_gone(peer):
    assert descendants(peer.process.pid) == []
