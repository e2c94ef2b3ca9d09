"""The server half with the real worker half: CrewAI, forked slots, and crews whose tools misbehave."""

import asyncio
import json
import time
from pathlib import Path

import pytest

from support.processes import alive
from support.receiver import receiver
from support.replicas import real_worker, wait_until
from support.waiting import BUSY

TESTS = Path(__file__).parents[2]


async def _tool_runs(replica, kickoff):
    async def at_it():
        seen = await replica.status(kickoff)
        return seen["status"] == "running" and not seen.get("queued")

    await wait_until(at_it, "a slot has the kickoff")
    # The tool is called some milliseconds after that. It tells nobody, and one that holds the GIL lets no event out.
    await asyncio.sleep(1.0)


async def test_crew_answers_with_its_tasks_and_the_report_knows_it(real):
    replica = await real("plain:crew")
    assert (await replica.api.get("/inputs")).json() == {"inputs": ["message"]}
    missing = await replica.api.post("/kickoff", json={"inputs": {"other": "x"}})
    assert missing.json()["details"] == {"missing_inputs": ["message"]}
    answer = await replica.api.post("/kickoff?wait=20", json={"inputs": {"message": "hi"}, "session_id": "guest"})
    seen = answer.json()
    assert seen["status"] == "completed", seen
    assert "hi" in seen["result"]["output"]
    assert len(seen["result"]["tasks"]) == 2
    assert seen["session_id"] == "guest"
    report = await replica.report()
    assert (report["ready"], report["worker"]["kind"]) == (True, "crew")
    assert report["worker"]["crewai_version"].startswith("1.")


@pytest.mark.parametrize("deed", ["sleep", "spin", "hold_gil", "swallow"])
async def test_tool_that_cannot_be_asked_to_stop_is_dead_within_a_second(real, deed):
    replica = await real("hostile:crew")
    kickoff, other = await replica.kickoff(deed=deed), await replica.kickoff(deed="fine")
    pid = await replica.started(kickoff)
    await _tool_runs(replica, kickoff)
    begun = time.monotonic()
    answer = await replica.api.delete(f"/kickoff/{kickoff}")

    async def dead():
        return not alive(pid)

    await wait_until(dead, "the slot is dead", 10)
    assert time.monotonic() - begun < 1.0 * BUSY
    assert answer.json()["status"] == "cancelled"
    assert (await replica.ended(other))["status"] == "completed"
    assert (await replica.ended(await replica.kickoff(deed="again")))["status"] == "completed"


async def test_ways_to_end_a_process_cost_one_kickoff_each_and_are_named(real):
    replica = await real("hostile:crew")
    seen = {deed: await replica.ended(await replica.kickoff(deed=deed)) for deed in ("exit", "os_exit", "segfault")}
    assert {deed: one["status"] for deed, one in seen.items()} == dict.fromkeys(seen, "error")
    assert seen["exit"]["reason"] == "CrewExited"
    assert "exit code 6" in seen["os_exit"]["error"]
    assert "segmentation fault" in seen["segfault"]["error"]
    assert (await replica.ended(await replica.kickoff(deed="fine")))["status"] == "completed"


async def test_kickoff_over_its_memory_says_so(real):
    replica = await real("hostile:crew", CREWOPS_SLOT_MEMORY="96")
    seen = await replica.ended(await replica.kickoff(deed="grow"), 40)
    assert seen["status"] == "error"
    assert "96 MiB" in seen["error"], seen


async def test_probes_answer_while_a_real_tool_holds_the_gil(real):
    replica = await real("hostile:crew")
    await _tool_runs(replica, await replica.kickoff(deed="hold_gil"))
    taken = []
    for _ in range(60):
        begun = time.perf_counter()
        assert (await replica.health.get("/readyz")).status_code == 200
        taken.append(time.perf_counter() - begun)
        await asyncio.sleep(0.02)
    assert sorted(taken)[56] < 0.05 * BUSY, sorted(taken)[-5:]


async def test_tasks_and_steps_of_a_real_crew_are_told_with_what_they_gave(real):
    replica = await real("hostile:crew", CREWOPS_WEBHOOK_HOSTS="127.0.0.1")
    with receiver() as hooks:
        urls = {f"{one}WebhookUrl": hooks.url(one) for one in ("task", "step", "crew")}
        answer = await replica.api.post("/kickoff?wait=30", json={"inputs": {"deed": "nap"}, **urls})
        seen = answer.json()
        assert seen["status"] == "completed", seen

        async def told():
            return hooks.of("task") and len(hooks.of("step")) >= 2 and hooks.of("crew")

        await wait_until(told, "all is delivered")
    (task,), (tool, finish) = hooks.of("task"), (one.body for one in hooks.of("step")[:2])
    done = seen["result"]["tasks"][0]
    assert (task.body["output"], task.body["agent"]) == (done["output"], done["agent"])
    assert task.body["expected_output"]
    assert tool["tool"]
    assert (tool["tool_input"], tool["result"]) == ({"deed": "nap"}, "napped")
    assert finish["result"] == done["output"]
    assert hooks.of("crew")[0].body["result"] == seen["result"]["output"]


async def test_module_that_does_not_import_is_told_on_startupz(real, make):
    replica = await make(
        start=False,
        worker=real_worker(fresh=True),
        CREWOPS_ENTRYPOINT="support.user_crews.no_such:crew",
        PYTHONPATH=str(TESTS),
    )
    replica.start_server()
    await replica.listening()
    replica.start_worker()

    async def failed():
        told = (await replica.health.get("/startupz")).json()
        return told if told["phase"] == "failed" else None

    told = await wait_until(failed, "the failure is told", 40)
    assert "no_such" in told["message"]


async def test_what_an_llm_files_for_the_crew_stays_in_the_session_and_what_the_code_shares_does_not(real):
    replica = await real("remembering:telling")

    async def say(session):
        answer = await replica.api.post(
            "/kickoff?wait=20", json={"inputs": {"message": session}, "session_id": session}
        )
        assert answer.json()["status"] == "completed", answer.json()
        return json.loads(answer.json()["result"]["output"])

    assert await say("ada") == ["ada spoke", "ada told"]
    assert await say("bob") == ["ada told", "bob spoke", "bob told"]
    exported = (await replica.api.get("/sessions/ada/export")).json()["records"]
    assert [(one["content"], one["scope"]) for one in exported] == [("ada spoke", "/crew/crew/agent/host/x")]
    assert (await replica.api.delete("/sessions/ada")).json()["records"] == 1
    assert await say("eve") == ["ada told", "bob told", "eve spoke", "eve told"]
