import asyncio

from crew_operator import observe
from crew_operator.api import names
from crew_operator.cluster_cache import POD, ClusterCache
from crew_operator.observe import Eyes
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
