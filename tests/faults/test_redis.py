"""Redis dies or stalls: the status says so within ten seconds, though nobody asks a healthy crew; it comes back by
itself, no loss is silent."""

import contextlib
import os
import signal
import time

import httpx

from support.hotel import FACT, NOTICED, QUESTION, WORD
from support.waiting import wait_until


def test_a_killed_redis_shows_comes_back_and_remembers(hotel):
    hotel.say(hotel.replicas()[0], FACT, "kill")
    hotel.wait_watched()
    os.kill(hotel.redis_pid(), signal.SIGKILL)
    found = hotel.wait_condition("MemoryReady", "False", timeout=NOTICED)
    assert found["message"]
    hotel.wait_condition("MemoryReady", "True", timeout=60)
    hotel.wait_ready(60)
    assert WORD in hotel.say(hotel.wait_replicas(2)[0], QUESTION, "kill")


def test_a_stopped_redis_shows_as_wedged_and_its_pod_is_replaced(hotel):
    hotel.say(hotel.replicas()[0], FACT, "stop")
    hotel.wait_watched()
    before = hotel.pod("concierge-redis-0")
    pid = hotel.redis_pid()
    os.kill(pid, signal.SIGSTOP)
    try:
        found = hotel.wait_condition("MemoryReady", "False", "RedisWedged", timeout=NOTICED)
        assert found["message"]

        def replaced():
            pod = hotel.pod("concierge-redis-0")
            return pod is not None and pod["metadata"]["uid"] != before["metadata"]["uid"]

        wait_until(replaced, "the wedged pod is replaced", 60)
    finally:
        resume(pid)
    hotel.wait_condition("MemoryReady", "True", timeout=60)
    hotel.wait_ready(90)
    assert WORD in hotel.say(hotel.wait_replicas(2)[0], QUESTION, "stop")


def test_a_short_stall_heals_without_a_new_pod(hotel):
    hotel.wait_watched()
    before = hotel.pod("concierge-redis-0")
    pid = hotel.redis_pid()
    os.kill(pid, signal.SIGSTOP)
    try:
        hotel.wait_condition("MemoryReady", "False", timeout=NOTICED)
    finally:
        resume(pid)
    hotel.wait_condition("MemoryReady", "True", timeout=30)
    hotel.wait_ready(60)
    assert hotel.pod("concierge-redis-0")["metadata"]["uid"] == before["metadata"]["uid"]


def test_a_replica_without_memory_takes_no_kickoff(hotel):
    pod = hotel.replicas()[0]
    pid = hotel.redis_pid()
    os.kill(pid, signal.SIGSTOP)
    try:
        response = refused(hotel, pod, "refused")
        assert response.json()["reason"]
        assert int(response.headers["Retry-After"]) > 0
    finally:
        resume(pid)
    hotel.wait_ready(60)
    wait_until(lambda: len(hotel.replicas()) == 2, "both replicas are ready again", 60)


def test_without_redis_the_service_answers_and_says_why(hotel):
    pod = hotel.replicas()[0]
    service = {"status": {"podIP": hotel.get("Service", hotel.name)["spec"]["clusterIP"]}}
    ended = hotel.accepted(pod, FACT, "locked out").json()["kickoff_id"]
    pid = hotel.redis_pid()
    os.kill(pid, signal.SIGSTOP)
    try:
        refused(hotel, service, "locked out")
        hotel.wait_condition("CrewAvailable", "False", timeout=NOTICED)
        # Longer than a probe's failures take to have the replicas out of the Service.
        end = time.monotonic() + 6
        while time.monotonic() < end:
            response = hotel.kickoff(service, QUESTION, "locked out", wait=0)
            assert response.status_code == httpx.codes.SERVICE_UNAVAILABLE
            assert response.json()["reason"].startswith("Memory")
            assert int(response.headers["Retry-After"]) > 0
            time.sleep(0.5)
        answer = hotel.cluster.ask(service, f"status/{ended}", token=hotel.token())
        assert answer.status_code == httpx.codes.SERVICE_UNAVAILABLE
        assert "Redis" in answer.json()["message"]
        assert len(hotel.replicas()) == 2, "both are in the Service"
    finally:
        resume(pid)
    hotel.wait_ready(60)
    assert hotel.status(service, ended)["status"] == "completed"


def test_a_kickoff_whose_memory_failed_ends_as_an_error_with_its_result(slow_hotel):
    pod = slow_hotel.replicas()[0]
    kickoff = slow_hotel.kickoff(pod, f"slowly: {FACT}", "midway", wait=0).json()["kickoff_id"]
    wait_until(lambda: running(slow_hotel, pod, kickoff), "the kickoff is in its first task", 20)
    pid = slow_hotel.redis_pid()
    os.kill(pid, signal.SIGSTOP)
    time.sleep(9)  # longer than the crew thinks and the deadline of a memory call, shorter than a wedged pod lives
    resume(pid)

    def ended():
        seen = slow_hotel.status(pod, kickoff)
        return seen if seen["status"] != "running" and "memory" in seen else None

    seen = wait_until(ended, "the kickoff ended", 60)
    assert seen["status"] == "error", seen
    assert seen["reason"] == "MemoryFailed", seen
    assert seen["memory"] == "degraded", seen
    assert "peanuts" in seen["result"]["output"], seen
    slow_hotel.wait_ready(60)


def refused(hotel, target, session):
    """Waits until kickoffs are answered with 503, as they have to be by then; the answer."""

    def look():
        response = hotel.kickoff(target, QUESTION, session, wait=0)
        return response if response.status_code == httpx.codes.SERVICE_UNAVAILABLE else None

    return wait_until(look, "kickoffs are refused", NOTICED)


def running(hotel, pod, kickoff):
    seen = hotel.status(pod, kickoff)
    return seen["status"] == "running" and not seen.get("queued", True)


def resume(pid):
    with contextlib.suppress(ProcessLookupError):
        os.kill(pid, signal.SIGCONT)
