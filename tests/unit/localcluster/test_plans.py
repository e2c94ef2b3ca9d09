"""Controllers' plans, followed by a world that does at once what they say."""

from datetime import UTC, datetime
from typing import Any

from hypothesis import given
from hypothesis import strategies as st

from localcluster.controllers import deployment
from localcluster.controllers.actions import Create, Delete, Replace, Status

NOW = datetime(2026, 1, 1, tzinfo=UTC)
STAMP = "2026-01-01T00:00:00Z"


def wish(image: str, replicas: int, surge: int, unavailable: int) -> dict[str, Any]:
    return {
        "apiVersion": "apps/v1",
        "kind": "Deployment",
        "metadata": {"name": "web", "namespace": "n", "uid": "u", "generation": 1},
        "spec": {
            "replicas": replicas,
            "progressDeadlineSeconds": 600,
            "selector": {"matchLabels": {"app": "web"}},
            "strategy": {"type": "RollingUpdate", "rollingUpdate": {"maxSurge": surge, "maxUnavailable": unavailable}},
            "template": {
                "metadata": {"labels": {"app": "web"}},
                "spec": {"containers": [{"name": "c", "image": image}]},
            },
        },
    }


class World:
    """ReplicaSets whose pods become available one at a time."""

    def __init__(self) -> None:
        self.sets: dict[str, dict[str, Any]] = {}
        self.status: dict[str, Any] = {}

    def step(self, wanted: dict[str, Any]) -> bool:
        """Do what the plan says; whether it said anything."""
        acted = False
        for action in deployment.plan({**wanted, "status": self.status}, list(self.sets.values()), NOW, STAMP).actions:
            match action:
                case Create("replicasets", made):
                    made["metadata"] |= {"uid": made["metadata"]["name"], "creationTimestamp": STAMP}
                    self.sets[made["metadata"]["name"]] = made
                    acted = True
                case Replace("replicasets", changed):
                    self.sets[changed["metadata"]["name"]] = changed
                    acted = True
                case Delete("replicasets", gone):
                    del self.sets[gone["metadata"]["name"]]
                case Status(_, _, status):
                    self.status = status
        return acted

    def settle(self) -> bool:
        """Let one pod appear or go; whether one did."""
        for one in self.sets.values():
            have, want = one.get("status", {}).get("replicas", 0), one["spec"]["replicas"]
            if have != want:
                have += 1 if want > have else -1
                one["status"] = {"replicas": have, "readyReplicas": have, "availableReplicas": have}
                return True
        return False

    def available(self) -> int:
        return sum(one.get("status", {}).get("availableReplicas", 0) for one in self.sets.values())

    def total(self) -> int:
        return sum(one["spec"]["replicas"] for one in self.sets.values())

    def settled(self, wanted: dict[str, Any], check: Any = None) -> None:
        for _ in range(300):
            moved = self.step(wanted)
            if check is not None:
                check()
            moved = self.settle() or moved
            if not moved:
                return
        raise AssertionError("the rollout does not end")


@given(st.integers(0, 6), st.integers(0, 3), st.integers(0, 3))
def test_rollout_ends_and_keeps_within_its_room(replicas: int, surge: int, unavailable: int) -> None:
    world = World()
    world.settled(wish("web:1", replicas, surge, unavailable))
    assert world.available() == replicas

    def within() -> None:
        assert world.total() <= replicas + surge
        least = replicas - (min(unavailable, replicas) or (0 if surge else 1))
        assert world.available() >= min(least, replicas)

    world.settled(wish("web:2", replicas, surge, unavailable), within)
    by_image = {
        one["spec"]["template"]["spec"]["containers"][0]["image"]: one["spec"]["replicas"]
        for one in world.sets.values()
    }
    assert by_image == {"web:1": 0, "web:2": replicas}
    assert world.status.get("updatedReplicas", 0) == replicas


def test_second_look_at_a_finished_rollout_does_nothing() -> None:
    world = World()
    wanted = wish("web:1", 3, 1, 0)
    world.settled(wanted)
    before = world.status
    assert not world.step(wanted)
    assert world.status == before
