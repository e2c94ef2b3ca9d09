"""SIGTERM: no new kickoffs, running ones finish, then the worker is dismissed and the exit code is 0."""

import asyncio
import http.client
import signal
import time

from support.processes import alive
from support.replicas import wait_until
from support.waiting import BUSY


async def _exit_code(process, seconds):
    async def ended():
        return process.poll() is not None

    await wait_until(ended, "the process ends", seconds)
    return process.returncode


async def test_running_kickoffs_finish_and_new_ones_go_to_other_replicas(make):
    replica, other = await make("r1"), await make("r2", idle=True)
    kickoff = await replica.kickoff(seconds=2, say="finished")
    await replica.started(kickoff)
    replica.server.terminate()
    await replica.ready(wanted=False, reason="Draining", seconds=2)
    late = await replica.api.post("/kickoff", json={"inputs": {"say": "elsewhere"}})
    assert (late.status_code, late.headers["connection"]) == (200, "close")
    assert await _exit_code(replica.server, 8) == 0
    assert await _exit_code(replica.worker, 3) == 0
    seen = await other.status(kickoff)
    assert (seen["status"], seen["result"]["output"]) == ("completed", "finished")
    assert (await other.status(late.json()["kickoff_id"]))["status"] == "running"
    other.start_worker()
    assert (await other.ended(late.json()["kickoff_id"]))["result"]["output"] == "elsewhere"


async def test_who_waits_gets_an_answer_though_the_end_is_still_to_come(make):
    replica, _ = await make("r1"), await make("r2", idle=True)
    await replica.started(await replica.kickoff(do="sleep"))
    replica.server.terminate()
    await replica.ready(wanted=False, reason="Draining", seconds=2)
    waits = asyncio.create_task(replica.api.post("/kickoff", params={"wait": 30}, json={"inputs": {}}))
    await asyncio.sleep(0.3)
    replica.server.send_signal(signal.SIGTERM)
    replica.worker.kill()
    answer = await waits
    assert answer.status_code == 200
    assert set(answer.json()) == {"kickoff_id", "session_id"}


async def test_idle_replica_is_gone_within_two_seconds(replica):
    begun = time.monotonic()
    replica.server.terminate()
    assert await _exit_code(replica.server, 10) == 0
    assert time.monotonic() - begun < 2.0 * BUSY


async def test_a_connection_rests_for_longer_than_uvicorns_five_seconds(replica):
    """As one in a load balancer's pool does: what is sent next on it is answered."""
    url = replica.api.base_url
    kept = http.client.HTTPConnection(url.host, url.port, timeout=10)
    for rest in (6, 0):
        kept.request("GET", "/status/none")
        answer = kept.getresponse()
        answer.read()
        assert answer.status == 404
        await asyncio.sleep(rest)
    kept.close()


async def test_a_client_that_keeps_its_connection_is_told_before_it_is_closed(replica):
    """It asks, rests for a second, and asks again: a server that was idle and ended at once would break its request."""
    url = replica.api.base_url
    answers = []

    def asks():
        kept = http.client.HTTPConnection(url.host, url.port, timeout=10)
        while not answers or answers[-1][1] != "close":
            kept.request("GET", "/status/none")
            answer = kept.getresponse()
            answer.read()
            answers.append((answer.status, answer.headers.get("Connection", "")))
            time.sleep(1.0)

    asking = asyncio.create_task(asyncio.to_thread(asks))

    async def answered():
        return bool(answers)

    await wait_until(answered, "it has a connection")
    replica.server.terminate()
    await asking
    assert {status for status, _ in answers} == {404}
    assert await _exit_code(replica.server, 8) == 0


async def test_kickoff_that_does_not_finish_in_time_is_stopped_and_says_so(make):
    replica = await make("r1", CREWOPS_GRACE_PERIOD="11", CREWOPS_ON_REPLICA_LOSS="Fail")
    other = await make("r2", idle=True)
    kickoff = await replica.kickoff(do="swallow")
    pid = await replica.started(kickoff)
    begun = time.monotonic()
    replica.server.terminate()
    assert await _exit_code(replica.server, 11) == 0
    assert time.monotonic() - begun < 8
    assert not alive(pid)
    seen = await other.status(kickoff)
    assert (seen["status"], seen["reason"]) == ("error", "ReplicaDrained")


async def test_native_sidecar_drains_when_the_workers_container_is_stopped_first(make):
    replica = await make("r1")
    kickoff = await replica.kickoff(seconds=1.5, say="finished")
    await replica.started(kickoff)
    replica.worker.send_signal(signal.SIGTERM)
    await replica.ready(wanted=False, reason="Draining", seconds=2)
    assert await _exit_code(replica.worker, 6) == 0
    assert (await replica.status(kickoff))["result"]["output"] == "finished"
    assert replica.server.poll() is None, "its own SIGTERM comes after the worker's end"
    replica.server.terminate()
    assert await _exit_code(replica.server, 4) == 0


async def test_worker_container_that_is_only_restarted_serves_again(replica):
    replica.worker.send_signal(signal.SIGTERM)
    assert await _exit_code(replica.worker, 5) == 0
    replica.start_worker()
    await replica.ready()
    assert (await replica.ended(await replica.kickoff()))["status"] == "completed"


async def test_drain_while_redis_is_stopped_ends_in_time(make, redis):
    replica = await make("r1", CREWOPS_GRACE_PERIOD="11")
    kickoff = await replica.kickoff(do="sleep")
    await replica.started(kickoff)
    redis.signal(signal.SIGSTOP)
    begun = time.monotonic()
    replica.server.terminate()
    assert await _exit_code(replica.server, 12) == 0
    assert time.monotonic() - begun < 11
    redis.signal(signal.SIGCONT)
    await asyncio.sleep(0)


async def test_wrong_settings_end_at_once_and_name_all(make):
    replica = await make("r1", start=False, CREWOPS_CONCURRENCY="many", CREWOPS_KICKOFF_TIMEOUT="long")
    replica.start_server()
    assert await _exit_code(replica.server, 5) == 2
    assert "CREWOPS_CONCURRENCY" in replica.log("server")
    assert "CREWOPS_KICKOFF_TIMEOUT" in replica.log("server")
