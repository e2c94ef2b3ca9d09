"""The durable history of a crew on two replicas, from its spec to `crewctl history`, its Postgres away meanwhile."""

import json

import pytest

from support.hotel import FACT, QUESTION, Hotel
from support.postgres_server import PASSWORD, start_postgres
from support.waiting import wait_until

pytestmark = pytest.mark.local_cluster
"""A Postgres of this machine, which its pods reach."""


@pytest.fixture(scope="module")
def postgres():
    with start_postgres() as process:
        yield process


@pytest.fixture(scope="module")
def hotel(cluster, namespace, postgres):
    made = Hotel(cluster, namespace)
    secret = {"kind": "Secret", "metadata": {"name": "audit"}, "stringData": {"url": postgres.url}}
    made.kubectl("apply", "-f", "-", stdin=json.dumps({"apiVersion": "v1", **secret}))
    made.apply(history={"postgres": {"urlFrom": {"secretKeyRef": {"name": "audit", "key": "url"}}}})
    made.wait_ready()
    return made


def _lines(hotel: Hotel, *words: str) -> list[dict]:
    done = hotel.crewctl("history", hotel.name, "-n", hotel.namespace, "-o", "jsonl", *words)
    assert done.returncode == 0, done.stderr
    return [json.loads(one) for one in done.stdout.splitlines()]


def test_kickoffs_of_both_replicas_are_read_by_crewctl(hotel):
    one, other = hotel.replicas()
    first = hotel.say(one, FACT, "ada")
    second = hotel.say(other, QUESTION, "ada")
    wait_until(lambda: len(_lines(hotel)) == 2, "both kickoffs are in Postgres", 60)
    newest, oldest = _lines(hotel, "--session", "ada")
    assert [oldest["result"]["output"], newest["result"]["output"]] == [first, second]
    assert oldest["inputs"]["message"] == FACT
    assert oldest["crew"] == f"{hotel.namespace}/{hotel.name}"
    assert {oldest["replica"], newest["replica"]} == {one["metadata"]["name"], other["metadata"]["name"]}
    assert oldest["versions"]["crewai"]
    assert oldest["image"]
    assert hotel.wait_condition("HistoryCurrent", "True")["reason"] == "HistoryWritten"
    answer = hotel.cluster.ask(other, "sessions/ada/history", token=hotel.token())
    assert [each["result"]["output"] for each in answer.json()["kickoffs"]] == [second, first]


def test_postgres_that_is_away_costs_no_kickoff_and_is_told(hotel, postgres):
    before = len(_lines(hotel))
    postgres.kill()
    try:
        for number in range(4):
            hotel.say(hotel.replicas()[number % 2], QUESTION, f"s{number}")
        found = hotel.wait_condition("HistoryCurrent", "False")
        assert found["reason"] == "HistoryNotWritten"
        assert "what waits is then written by itself" in found["message"]
        ready = hotel.condition("Ready")
        assert ready["status"] == "True"
        assert "HistoryCurrent: " in ready["message"]
    finally:
        postgres.start()
    hotel.wait_condition("HistoryCurrent", "True")
    wait_until(lambda: len(_lines(hotel)) >= before + 4, "what waited is written", 60)
    assert len(_lines(hotel)) == before + 4, "once"


def test_password_is_nowhere_but_in_its_secret(hotel):
    shown = json.dumps([hotel.crew(), hotel.get("deployment", hotel.name)])
    assert PASSWORD not in shown
    (pod, *_) = hotel.replicas()
    containers = {one["name"]: one for one in (*pod["spec"]["initContainers"], *pod["spec"]["containers"])}
    known = {
        name for name, one in containers.items() for each in one.get("env", ()) if "HISTORY_POSTGRES" in each["name"]
    }
    assert known == {"server"}, "the user's code has no business with it"


def test_condition_goes_with_the_history(hotel):
    hotel.patch({"history": {"postgres": None}})

    def gone():
        return all(one["type"] != "HistoryCurrent" for one in hotel.crew()["status"]["conditions"])

    wait_until(gone, "the condition is gone", 60)
