from dataclasses import replace

import pytest

from crew_runtime.contract.report import BackendHealth, StateKind
from crew_server.health import Facts, readiness, serving, startup

UNFIT = StateKind("checkpoints", "files", local=True, detail="another signature", unfit=True)
WELL = Facts(
    phase="ready",
    worker_reason="",
    worker_message="",
    ping_age=0.1,
    crashes=0,
    no_slot_for=0.0,
    backend=BackendHealth(True, "Ok"),
    fail_closed=True,
    draining=False,
)


def test_all_well_is_ready():
    assert readiness(WELL).ready


@pytest.mark.parametrize(
    ("change", "reason"),
    [
        ({"draining": True}, "Draining"),
        ({"phase": "importing", "worker_reason": "WorkerStarting"}, "WorkerStarting"),
        ({"phase": "failed", "worker_reason": "EntrypointNotFound"}, "EntrypointNotFound"),
        ({"phase": "waiting", "worker_reason": "WorkerLost", "crashes": 5}, "WorkerCrashLoop"),
        ({"phase": "failed", "worker_reason": "EntrypointNotFound", "crashes": 9}, "EntrypointNotFound"),
        ({"ping_age": 2.1}, "WorkerUnresponsive"),
        ({"no_slot_for": 5.1}, "NoSlots"),
        ({"state": (UNFIT,)}, "StateLocal"),
        ({"backend": BackendHealth(False, "Timeout", "silent")}, "MemoryTimeout"),
        ({"backend": BackendHealth()}, "MemoryNotChecked"),
    ],
)
def test_each_fault_is_not_ready_and_named(change, reason):
    verdict = readiness(replace(WELL, **change))
    assert not verdict.ready
    assert verdict.reason == reason
    if change.get("worker_reason") != "WorkerStarting" and "worker_reason" not in change:
        assert verdict.message


def test_worker_that_crashed_before_and_is_ready_now_is_ready():
    assert readiness(replace(WELL, crashes=9)).ready


def test_slots_lost_a_moment_ago_do_not_flap_readiness():
    assert readiness(replace(WELL, no_slot_for=4.9)).ready


def test_degrade_serves_without_its_backend():
    assert readiness(replace(WELL, backend=BackendHealth(False, "Refused", "x"), fail_closed=False)).ready


def test_started_worker_stays_started_while_redis_is_away():
    assert startup(replace(WELL, backend=BackendHealth(False, "Refused", "x"))).ready


def test_what_does_not_fit_this_crewai_is_named_with_a_remedy():
    told = readiness(replace(WELL, state=(UNFIT,))).message
    assert "checkpoints would stay in files" in told
    assert "another signature" in told
    assert "onFailure" in told


@pytest.mark.parametrize(
    "change",
    [
        {"fail_closed": False, "state": (UNFIT,)},
        {"state": (replace(UNFIT, unfit=False, detail="the crew's code gives Memory a storage of its own"),)},
        {"state": (replace(UNFIT, local=False),)},
    ],
)
def test_what_is_local_by_choice_or_allowed_to_be_serves(change):
    assert readiness(replace(WELL, **change)).ready


def test_a_verdict_does_not_change_because_time_passes():
    """The operator writes what it says into the status: a text with seconds in it would be a write a second."""
    for name in ("ping_age", "no_slot_for"):
        said = {readiness(replace(WELL, **{name: seconds})) for seconds in (6.1, 7.9, 300.0)}
        assert len(said) == 1


@pytest.mark.parametrize("also", [{}, {"no_slot_for": 60.0}, {"ping_age": 9.0}])
def test_a_replica_that_served_stays_in_the_service_while_redis_is_away_and_nobody_could_serve(also):
    away = replace(WELL, backend=BackendHealth(False, "Refused", "x"), **also)
    assert serving(away, served=True).ready
    assert not readiness(away).ready


@pytest.mark.parametrize(
    ("change", "served", "reason"),
    [
        ({"backend": BackendHealth(False, "Refused", "x")}, False, "MemoryRefused"),
        ({"backend": BackendHealth(False, "Refused", "x"), "draining": True}, True, "Draining"),
        ({"draining": True}, True, "Draining"),
        ({"ping_age": 9.0}, True, "WorkerUnresponsive"),
        ({"phase": "waiting", "worker_reason": "WorkerLost"}, True, "WorkerLost"),
    ],
)
def test_one_that_comes_up_or_goes_or_is_worse_off_than_others_is_not_in_it(change, served, reason):
    verdict = serving(replace(WELL, **change), served=served)
    assert (verdict.ready, verdict.reason) == (False, reason)
