"""Promise: fifty crews at once end as one would, whenever the operator dies, and cost no write once they are Ready."""

import asyncio

import pytest

from support.fleet import KINDS
from support.waiting import eventually

COUNT, REPLICAS = 50, 2
QUIET = 20.0
"""Seconds: every crew is looked at several times."""
SETTLE = 5.0
"""Seconds: Events follow the status that they speak of."""
pytestmark = pytest.mark.timeout(400)


async def killed_after(operator, writes):
    """Let the operator write that much more, kill it, and start another."""
    begun = (await operator.usage()).writes

    async def looked():
        return (await operator.usage()).writes - begun >= writes

    await eventually(looked, f"the operator writes {writes} times", 60)
    operator.kill()
    await operator.start()


async def quiet(operator):
    """No write in the next seconds, and no pass that failed."""
    await asyncio.sleep(SETTLE)
    before = await operator.usage()
    await asyncio.sleep(QUIET)
    after = await operator.usage()
    assert (after.writes - before.writes, after.failed - before.failed) == (0, 0), operator.log()[-3000:]


async def test_fifty_crews_end_ready_whenever_the_operator_dies_and_then_cost_no_write(fleet):
    await fleet.make(COUNT, REPLICAS)
    await killed_after(fleet.operator, 3 * COUNT)
    await fleet.ready(COUNT, 120)
    await quiet(fleet.operator)
    before = await fleet.passwords()
    assert len(before) == COUNT
    expected = {"Secret": 2, "ConfigMap": 1, "Service": 3, "StatefulSet": 1, "Deployment": 1}
    assert await fleet.children() == {kind: COUNT * expected[kind] for kind in KINDS}

    await fleet.change({"replicas": REPLICAS + 1, "crew": {"env": [{"name": "TONE", "value": "formal"}]}})
    await killed_after(fleet.operator, COUNT // 2)
    await fleet.ready(COUNT, 120)
    assert await fleet.passwords() == before, "a password that is there is never made anew"

    fleet.operator.kill()
    await fleet.operator.start()  # it knows nothing, and finds that all is well
    await quiet(fleet.operator)

    await fleet.delete()

    async def collected():
        return sum((await fleet.children()).values()) == 0

    await eventually(collected, "all children are collected", 60)
    assert len(await fleet.kube.list("PersistentVolumeClaim", fleet.namespace, {})) == COUNT, "the memories are kept"
