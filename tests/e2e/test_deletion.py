"""Deleting a CrewDeployment takes everything with it but the volume, unless that was asked for."""

import pytest

from support.hotel import FACT, QUESTION, WORD
from support.processes import alive
from support.real_cluster import RealCluster
from support.waiting import wait_until

COLLECTED = ("deployments", "statefulsets", "services", "secrets", "configmaps", "pods")


@pytest.fixture(scope="module")
def spec():
    return {"replicas": 1}


def left(hotel, *kinds):
    listed = str(hotel.kubectl("get", ",".join(kinds), "-o", "name", "-l", f"crewops.dev/crewdeployment={hotel.name}"))
    return listed.split()


@pytest.mark.both_clusters
def test_children_and_processes_go_and_a_retained_volume_remembers(hotel):
    (pod,) = hotel.replicas()
    hotel.say(pod, FACT, "ada")
    here = not isinstance(hotel.cluster, RealCluster)
    processes = [hotel.redis_pid(), *hotel.pids(pod["metadata"]["name"], "server")] if here else []
    hotel.kubectl("delete", "crewdeployment", hotel.name)
    wait_until(lambda: not left(hotel, *COLLECTED), f"{COLLECTED} are collected", 60)
    wait_until(lambda: not any(map(alive, processes)), "the processes ended", 30)
    assert hotel.get("pvc", f"data-{hotel.name}-redis-0") is not None
    hotel.apply(replicas=1)
    hotel.wait_ready()
    assert WORD in hotel.say(hotel.replicas()[0], QUESTION, "ada")


def test_the_volume_goes_when_that_is_asked_for(hotel):
    hotel.patch({"redis": {"managed": {"storage": {"whenDeleted": "Delete"}}}})
    hotel.wait_ready()
    wait_until(
        lambda: (
            hotel.get("statefulset", f"{hotel.name}-redis")["spec"]["persistentVolumeClaimRetentionPolicy"][
                "whenDeleted"
            ]
            == "Delete"
        ),
        "the StatefulSet has the new policy",
        30,
    )
    hotel.kubectl("delete", "crewdeployment", hotel.name)
    wait_until(lambda: not left(hotel, *COLLECTED), f"{COLLECTED} are collected", 60)
    wait_until(lambda: hotel.get("pvc", f"data-{hotel.name}-redis-0") is None, "the claim is gone", 30)
