"""The second port answers whatever a tool does."""

import asyncio
import time

import pytest

from support.waiting import BUSY


async def _latencies(replica, path, samples, pause=0.02):
    await replica.health.get(path)  # connects
    taken = []
    for _ in range(samples):
        begun = time.perf_counter()
        answer = await replica.health.get(path)
        taken.append(time.perf_counter() - begun)
        assert answer.status_code == 200
        await asyncio.sleep(pause)
    return sorted(taken)


@pytest.mark.parametrize("path", ["/livez", "/readyz", "/metrics", "/report"])
async def test_probes_answer_within_50_ms_while_a_tool_holds_the_gil(replica, path):
    """One that shared the tool's interpreter would not answer at all."""
    await replica.started(await replica.kickoff(do="hold_gil"))
    taken = await _latencies(replica, path, 100)
    assert taken[94] < 0.05 * BUSY, f"p95 {taken[94] * 1000:.1f} ms, max {taken[-1] * 1000:.1f} ms"


async def test_metrics_tell_what_happened(replica):
    await replica.ended(await replica.kickoff())
    await replica.ended(await replica.kickoff(do="leave"))
    text = (await replica.health.get("/metrics")).text
    for line in (
        'crewops_kickoffs_total{reason="",status="completed"} 1.0',
        'crewops_kickoffs_total{reason="Exited",status="error"} 1.0',
        "crewops_kickoff_seconds_count 2.0",
        "crewops_kickoffs_running 0.0",
        'crewops_slots_lost_total{why="died"} 1.0',
        "crewops_ready 1.0",
    ):
        assert line in text
    for name in ("crewops_backend_check_seconds_count", "crewops_loop_lag_seconds", "crewops_slots "):
        assert name in text


async def test_report_is_the_contracts(replica):
    from crew_runtime.contract import report as reports

    told = reports.from_dict(await replica.report())
    assert (told.replica, told.phase, told.ready, told.concurrency) == ("r1", "ready", True, 2)
    assert told.backend.ready
    assert abs(told.time - time.time()) < 60
    assert told.worker.crewai_version == "scripted"
    assert told.server_version
    assert told.backend.server_version.startswith("8.")


async def test_health_write_lies_where_the_contract_says_and_expires(replica, redis):
    from crew_runtime.contract import keys

    assert 0 < redis.client().ttl(keys.health("test/crew", "server:r1")) <= 60
