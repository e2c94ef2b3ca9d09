"""`crewctl doctor` on a crew that runs: healthy, and with one thing wrong at a time."""

import json
import os
import signal
from collections.abc import Iterator

import pytest

from support.cluster import Cluster
from support.hotel import READY, ROOT, Hotel
from support.waiting import wait_until

Findings = dict[str, tuple[str, str]]


class Doctor:
    """The command, as somebody with a kubeconfig runs it."""

    def __init__(self, hotel: Hotel) -> None:
        self._hotel = hotel

    def run(self, *arguments: str) -> tuple[int, str, str]:
        done = self._hotel.crewctl("doctor", *arguments, timeout=90)
        return done.returncode, done.stdout, done.stderr

    def ask(self) -> tuple[int, Findings]:
        """(exit code, subject -> (level, message))."""
        code, out, err = self.run(self._hotel.name, "--json")
        assert code in (0, 1), err
        (told,) = json.loads(out)
        found = [one for question in told["questions"] for one in question["findings"]]
        assert all(one["remedy"] for one in found if one["level"] != "OK"), "a finding without a remedy"
        assert told["healthy"] is (code == 0)
        return code, {one["subject"]: (one["level"], one["message"]) for one in found}

    def until(self, **wanted: str) -> Findings:
        """The findings as soon as each wanted subject is a FAIL that says so."""

        def look() -> Findings:
            code, self.seen = self.ask()
            met = [self._fails(subject, said) for subject, said in wanted.items()]
            return self.seen if code == 1 and all(met) else {}

        try:
            return wait_until(look, f"doctor finds {wanted}", 60)
        except AssertionError as error:
            raise AssertionError(f"{error}\n{json.dumps(self.seen, indent=1)}") from None

    def _fails(self, subject: str, said: str) -> bool:
        level, message = self.seen.get(subject, ("", ""))
        return level == "FAIL" and said in message


@pytest.fixture
def doctor(hotel: Hotel) -> Doctor:
    hotel.wait_ready()
    return Doctor(hotel)


@pytest.fixture
def stopped() -> Iterator[list[int]]:
    """Processes that are to go on after the test."""
    pids: list[int] = []
    yield pids
    for pid in pids:
        try:
            os.kill(pid, signal.SIGCONT)
        except ProcessLookupError:
            continue


def test_a_healthy_crew_has_no_failure(doctor, hotel):
    code, found = doctor.ask()
    assert code == 0, found
    one, other = sorted(pod["metadata"]["name"] for pod in hotel.replicas())
    # the first of the replicas by age writes: which of the two that is does not matter
    readers = [found[name] for name in (one, other) if name in found]
    assert len(readers) == 1
    assert readers[0][0] == "OK"
    assert readers[0][1].startswith("found what")
    assert found["memory"] == ("OK", "redis")
    assert found["Redis"][1].startswith("8.")
    assert found["redis-py"][1].startswith("8.")
    assert "access" not in found, "the API server's proxy is enough"
    for name in (one, other):
        assert found[f"{name} worker"][0] == found[f"{name} backend"][0] == "OK"


def test_it_is_shown_to_people(doctor, hotel):
    code, out, _ = doctor.run()
    assert code == 0
    assert f"CrewDeployment {hotel.namespace}/{hotel.name}" in out
    assert "Do the replicas agree?" in out
    assert "0 FAIL" in out


def test_a_name_that_is_not_there_cannot_be_asked(doctor):
    code, _, err = doctor.run("nobody")
    assert code == 2
    assert "no CrewDeployment nobody" in err


@pytest.mark.local_cluster
def test_a_stopped_worker_is_named(doctor, hotel, stopped):
    name = hotel.replicas()[0]["metadata"]["name"]
    stopped.append(hotel.pids(name, "crew")[0])
    os.kill(stopped[0], signal.SIGSTOP)
    found = doctor.until(**{f"{name} worker": "WorkerUnresponsive"})
    assert found["memory"] == ("OK", "redis")


@pytest.mark.local_cluster
def test_a_stopped_redis_is_named_and_no_proof_succeeds(doctor, hotel, stopped):
    stopped.append(hotel.redis_pid())
    os.kill(stopped[0], signal.SIGSTOP)
    name = hotel.replicas()[0]["metadata"]["name"]
    doctor.until(**{f"{name} backend": "Timeout", "proof": "could not write"})


@pytest.mark.local_cluster
def test_a_local_memory_is_named_with_its_storage(cluster: Cluster, namespace):
    local = Hotel(cluster, namespace, "local")
    path = os.pathsep.join([str(ROOT / "tests" / "faults" / "crews"), str(ROOT / "examples" / "concierge")])
    crew = {"entrypoint": "own_storage:crew", "env": [{"name": "PYTHONPATH", "value": path}]}
    local.apply(replicas=1, crew=crew)
    local.wait_condition("MemoryShared", "False", "LocalFallback", timeout=READY)
    _, found = Doctor(local).ask()
    assert found["memory"][0] == "FAIL"
    assert "lancedb" in found["memory"][1]
    assert "the crew's code gives Memory a storage of its own" in found["memory"][1]
    assert found["flow"] == ("OK", "redis")
