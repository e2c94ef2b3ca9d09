"""From the watches' thread into the operator's loop, and when its work begins."""

import asyncio

from crew_operator.api import names
from crew_operator.cluster_cache import RELIST_SETTLES, ClusterCache
from crew_operator.feed import LISTED_AFTER, NOTHING_AFTER, Feed
from crew_operator.workqueue import Result, WorkQueue
from support import virtual_time
from support.crews import crew_manifest

KEY = ("lobby", "concierge")


def crew(version="1"):
    made = crew_manifest(uid="c", generation=1)
    made["metadata"]["resourceVersion"] = version
    return made


def service(version, name="concierge"):
    labels = {names.OWNER_LABEL: "concierge"}
    about = {"namespace": "lobby", "name": name, "uid": name, "resourceVersion": version, "labels": labels}
    return {"metadata": about, "spec": {"version": version}}


def passes(script):
    """When a pass was made, while `script(feed)` tells of things; and the cache."""

    async def main():
        seen = []

        async def handle(key):
            seen.append((asyncio.get_running_loop().time(), tuple(key)))
            cache.take_news(key)
            return Result()

        cache = ClusterCache()
        queue = WorkQueue(handle)
        feed = Feed(cache, queue)
        work = asyncio.create_task(queue.run(1))
        await script(feed)
        work.cancel()
        return [when for when, key in seen if key == KEY], cache

    return virtual_time.run(main())


def test_the_work_begins_when_nothing_more_is_listed():
    async def script(feed):
        for number in range(20):
            feed.event(None, names.KIND if number == 0 else "Service", crew() if number == 0 else service(str(number)))
            await asyncio.sleep(LISTED_AFTER / 2)
        await asyncio.sleep(10)

    made, cache = passes(script)
    assert len(made) == 1
    assert made[0] >= 20 * LISTED_AFTER / 2
    assert cache.synced


def test_where_nothing_is_the_work_begins_as_well():
    async def script(feed):
        await asyncio.sleep(NOTHING_AFTER + 1)

    made, cache = passes(script)
    assert (made, cache.synced) == ([], True)


def test_events_do_not_hold_up_the_beginning():
    async def script(feed):
        feed.event("ADDED", names.KIND, crew())
        for number in range(2, 40):
            await asyncio.sleep(LISTED_AFTER / 4)
            feed.event("MODIFIED", "Service", service(str(number)))

    made, _ = passes(script)
    assert made
    assert made[0] < 3 * LISTED_AFTER


def test_a_crew_that_a_new_listing_does_not_speak_of_is_looked_at_when_that_is_over():
    async def script(feed):
        feed.event(None, names.KIND, crew())
        feed.event(None, "Service", service("2"))
        feed.event(None, "Service", service("3", "concierge-redis"))
        await asyncio.sleep(100)
        feed.event(None, "Service", service("2"))
        await asyncio.sleep(100)

    made, cache = passes(script)
    assert len(made) == 2
    assert made[1] >= 100 + RELIST_SETTLES
    assert cache.take_doubt(KEY)
