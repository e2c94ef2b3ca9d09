import asyncio

import pytest

from crew_operator import observe, replica_client
from crew_operator.api import names
from crew_operator.cluster_cache import POD, ClusterCache
from crew_operator.observe import Eyes
from crew_operator.redis_client import Target
from crew_operator.settings import Settings
from crew_operator.status.observed import Failure, Observed
from support import virtual_time

SILENT = 2.0


class Silent:
    """Replicas that take the whole deadline; the most that were asked at once."""

    def __init__(self):
        self.asked = self.most = 0

    async def report(self, _):
        self.asked += 1
        self.most = max(self.most, self.asked)
        await asyncio.sleep(SILENT)
        self.asked -= 1
        return Failure("silent")


def with_pods(count):
    cache = ClusterCache()
    for number in range(count):
        about = {"namespace": "lobby", "name": f"r{number}", "uid": f"u{number}", "resourceVersion": "1"}
        about["labels"] = names.selector("concierge", names.CREW)
        cache.told(None, POD, {"metadata": about, "status": {"podIP": "127.0.0.9"}}, 0)
    return cache


def test_a_thousand_silent_replicas_do_not_use_up_a_pass():
    async def main():
        replicas = Silent()
        begun = asyncio.get_running_loop().time()
        eyes = Eyes(None, replicas, with_pods(1000))
        seen = await observe.look(eyes, "lobby", "concierge", None, Observed(generation=1))
        return replicas.most, asyncio.get_running_loop().time() - begun, seen

    most, took, seen = virtual_time.run(main())
    assert most == observe.AT_ONCE
    assert took <= observe.ENOUGH + SILENT
    assert len(seen.replicas) == 1000
    assert all(isinstance(one.report, Failure) for one in seen.replicas)
    assert "not asked" in seen.replicas[-1].report.message


def test_however_many_crews_are_looked_at_their_silent_replicas_are_asked_in_bounds():
    """Each answer may be as long as the door lets it, and all of them have to fit into the operator's memory."""
    crews, settings = 256, Settings()
    assert crews == settings.passes

    async def main():
        replicas = Silent()
        eyes = Eyes(None, replicas, with_pods(40))
        looks = (observe.look(eyes, "lobby", "concierge", None, Observed(generation=1)) for _ in range(crews))
        begun = asyncio.get_running_loop().time()
        await asyncio.gather(*looks)
        alone = await observe.look(eyes, "lobby", "concierge", None, Observed(generation=1))
        return replicas.most, asyncio.get_running_loop().time() - begun, alone

    most, took, alone = virtual_time.run(main())
    assert most * replica_client.REPORT_BYTES < 400 * 2**20
    assert took <= 2 * (observe.ENOUGH + SILENT)
    assert not any("not asked" in one.report.message for one in alone.replicas), "the share is for a while"


def stored(kind, name, uid, component, **about):
    labels = names.selector("concierge", component)
    found = {"namespace": "lobby", "name": name, "uid": uid, "resourceVersion": "1", "labels": labels, **about}
    return kind, {"metadata": found, "status": {"podIP": "127.0.0.1"}}


def with_redis(*owners):
    """A StatefulSet, and a pod that has the name of the one that it makes."""
    cache = ClusterCache()
    for kind, one in (
        stored("StatefulSet", "concierge-redis", "s", names.REDIS),
        stored(POD, "concierge-redis-0", "r", names.REDIS, ownerReferences=list(owners)),
    ):
        cache.told(None, kind, one, 0)
    return cache


MAKER = {"apiVersion": "apps/v1", "kind": "StatefulSet", "name": "concierge-redis", "uid": "s", "controller": True}


async def seen_of(target, *owners):
    eyes = Eyes(None, Silent(), with_redis(*owners))
    return await observe.look(eyes, "lobby", "concierge", target, Observed(generation=1))


async def test_the_pod_that_the_stateful_set_made_is_that_of_redis():
    seen = await seen_of(None, MAKER)
    assert (seen.redis_pod.uid, seen.redis_pod_taken) == ("r", "")


@pytest.mark.parametrize("owners", [[], [MAKER | {"uid": "of another"}]])
async def test_a_pod_that_the_stateful_set_did_not_make_is_not_asked(owners):
    seen = await seen_of(Target("lobby/concierge", password="s3cret"), *owners)
    assert (seen.redis, seen.redis_pod, seen.redis_pod_taken) == (None, None, "concierge-redis-0")
