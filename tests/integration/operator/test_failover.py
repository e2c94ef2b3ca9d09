"""A Redis of three under kill, stall and partition, with sixteen writers: nothing acknowledged is lost.

`FAILOVER_ROUNDS=50` runs each fault so many times and prints what was measured.
"""

import asyncio
import contextlib
import itertools
import os
import shutil
import statistics
import subprocess
import sys
import time
from collections.abc import AsyncIterator, Callable
from pathlib import Path

import pytest
import redis.exceptions

from crew_operator import desired
from crew_operator.api import names, parse
from crew_operator.failover.facts import Leaving, Record
from crew_operator.failover.plan import plan
from crew_operator.failover.record import shown
from crew_runtime.contract import durability
from support.crews import crew_manifest
from support.selection import FAILOVER_ROUNDS
from support.trio import Trio, Writers, trio

TESTS = Path(__file__).parents[2]
UNSHARE = ("unshare", "--map-root-user", "--net")
ROUTES = "ip link set lo up && ip rule add pref 100 lookup local && ip rule del pref 0 lookup local"
"""What is decided about addresses comes before the table of local ones, which has no place for it."""


@contextlib.asynccontextmanager
async def under_load(folder) -> AsyncIterator[tuple[Trio, Writers]]:
    async with trio(folder) as found:
        found.begin()
        await found.whole()
        writers = Writers(found)
        async with writers.running():
            await writers.until_acknowledged(time.monotonic())
            yield found, writers


async def kill_the_primary(found: Trio) -> Callable[[], None]:
    primary = found.primary()
    primary.kill()
    return primary.start


async def restart_the_primary(found: Trio) -> Callable[[], None]:
    primary = found.primary()
    primary.kill()
    primary.start()
    return lambda: None


async def stop_the_primary(found: Trio) -> Callable[[], None]:
    primary = found.primary()
    primary.stop()
    return primary.go_on


async def stop_a_replica_and_kill_the_primary(found: Trio) -> Callable[[], None]:
    """The replica is stale when it is asked."""
    primary, stale = found.primary(), found.replicas()[0]
    stale.stop()
    await asyncio.sleep(0.5)
    primary.kill()
    stale.go_on()
    return primary.start


async def kill_both_good_members(found: Trio) -> Callable[[], None]:
    """One that is stale is left: it has to wait for one of the others."""
    primary, (stale, good) = found.primary(), found.replicas()
    stale.stop()
    await asyncio.sleep(0.5)
    primary.kill()
    good.kill()
    stale.go_on()
    while "to elect another takes 2 of 3" not in found.controllers[-1][0].state.waits:
        await asyncio.sleep(0.01)
    await asyncio.sleep(1)
    assert found.board.record is not None
    assert found.board.record.term == 1, "a stale member was elected alone"
    good.start()
    return primary.start


FAULTS = (
    kill_the_primary,
    restart_the_primary,
    stop_the_primary,
    stop_a_replica_and_kill_the_primary,
    kill_both_good_members,
)


@pytest.mark.parametrize("cut", ["peers", "operator", "both"])
def test_a_partition_loses_nothing(tmp_path, cut):
    """In a network namespace of its own, where packets between two addresses can be dropped."""
    if not _may_unshare():
        pytest.skip("needs user namespaces with a network: unshare --map-root-user --net true")
    command = [
        *UNSHARE,
        "sh",
        "-c",
        f"{ROUTES} && exec {sys.executable} -m support.partitions {cut} {FAILOVER_ROUNDS} {tmp_path}",
    ]
    ended = subprocess.run(
        command, env={**os.environ, "PYTHONPATH": str(TESTS)}, capture_output=True, text=True,
        timeout=60 + 40 * FAILOVER_ROUNDS, check=False,
    )  # fmt: skip
    assert ended.returncode == 0, ended.stdout[-2000:] + ended.stderr[-4000:]
    print(ended.stdout)


def _may_unshare() -> bool:
    try:
        return subprocess.run([*UNSHARE, "sh", "-c", ROUTES], check=False, capture_output=True).returncode == 0
    except OSError:
        return False


async def trial(folder, fault) -> tuple[int, float]:
    """How many were acknowledged, and the seconds from the fault until one was again."""
    async with under_load(folder) as (found, writers):
        term = found.board.record.term
        begun = time.monotonic()
        mend = await fault(found)
        while found.board.record.term == term:
            await asyncio.sleep(0.005)
        changed = time.monotonic()
        seconds = changed + await writers.until_acknowledged(changed) - begun
        mend()
        await found.whole()
        writers.ended = True
        await asyncio.sleep(1)  # the last ones end
        assert await writers.lost() == []
        roles = sorted(found.board.roles.values())
        assert roles == ["primary", "replica", "replica"]
        assert found.board.primary_ip() == found.primary().client_ip
        return len(writers.acknowledged), seconds


@pytest.mark.parametrize("fault", FAULTS, ids=lambda one: one.__name__)
async def test_nothing_acknowledged_is_lost(tmp_path, fault):
    trials = [await trial(tmp_path / str(number), fault) for number in range(FAILOVER_ROUNDS)]
    seconds = [one for _, one in trials]
    acknowledged = sum(count for count, _ in trials)
    print(
        f"{fault.__name__}: {acknowledged} acknowledged, {statistics.median(seconds):.2f} s, most {max(seconds):.2f} s"
    )


@pytest.mark.parametrize("acts", range(1, 9))
async def test_an_operator_that_dies_anywhere_is_followed_by_one_that_ends_it(tmp_path, acts):
    async with under_load(tmp_path) as (found, writers):
        found.board.dies_in = acts
        primary = found.primary()
        primary.kill()
        _, task = found.controllers[-1]
        await asyncio.wait([task], timeout=5)
        found.board.dies_in = -1
        found.begin()
        await writers.until_acknowledged(time.monotonic())
        primary.start()
        await found.whole()
        await writers.until_acknowledged(time.monotonic())
        writers.ended = True
        await asyncio.sleep(1)
        assert await writers.lost() == []


@pytest.mark.parametrize("fault", FAULTS[:3], ids=lambda one: one.__name__)
async def test_two_operators_at_once_lose_nothing(tmp_path, fault):
    async def twice(found: Trio) -> Callable[[], None]:
        found.begin()
        return await fault(found)

    await trial(tmp_path, twice)


async def test_a_rollout_hands_over_and_fails_no_write_for_long(tmp_path):
    async with under_load(tmp_path) as (found, writers):
        found.board.outdated = {one.member.name for one in found.servers}
        found.board.busy = 3
        first = found.primary()
        while found.board.outdated:
            await asyncio.sleep(0.01)
        await found.whole()
        await writers.until_acknowledged(time.monotonic())
        writers.ended = True
        await asyncio.sleep(1)
        assert await writers.lost() == []
        assert found.board.deleted[-1] == first.member.name, "the primary goes last"
        assert [one.failed_over for one in found.told] == [False]
        gap = max(later - earlier for earlier, later in itertools.pairwise(writers.at))
        print(f"longest pause {gap:.2f} s")


async def test_one_that_ran_alone_becomes_the_primary_of_three(tmp_path):
    """And its data are what the others get, though they were empty and outnumber it."""
    async with trio(tmp_path, started=False) as found:
        alone, *others = found.servers
        alone.start("--min-replicas-to-write", "0")
        async with found.admin(alone.member.ip) as client:
            await connected(client)
            await client.set("kept", "1")
        found.begin()
        for one in others:
            one.start()
        await found.whole()
        assert found.board.record.primary == alone.member.name
        for one in others:
            async with found.admin(one.member.ip) as client:
                assert await client.get("kept") == "1"


ALONE = ("--min-replicas-to-write", "0")
"""The file of a Redis that runs alone: its process begins as a primary, which needs no replica."""


def begins_with(record: Record | None) -> tuple[str, ...]:
    """What a member is started with, by the file that there is while two of three leave."""
    crew = parse.crew_deployment(crew_manifest(redis__managed={"replicas": 1}))
    annotations = {names.PRIMARY_ANNOTATION: shown(record)} if record is not None else {}
    there = {"metadata": {"annotations": annotations}, "spec": {"replicas": 3}}
    planned = plan(crew, there, {"spec": {"selector": {names.ROLE_LABEL: names.PRIMARY}}}, None, ())
    inputs = desired.Inputs(runtime_image="", redis_image="", redis_password="p", redis_members=planned.members)
    made = next(one for one in desired.children(planned.crew, inputs) if one["kind"] == "ConfigMap")
    return () if "replicaof" in made["data"]["redis.conf"] else ALONE


async def until_ready(found: Trio) -> None:
    """Until the first member may go on alone, when the crew asks for no replica any more."""
    while not (
        found.board.record.leaving is Leaving.READY and found.board.record.primary == found.servers[0].member.name
    ):
        await asyncio.sleep(0.01)


async def leave(found: Trio, writers: Writers) -> None:
    """Until the others can go: the crew is rolled on the way, and asks for no replica then."""
    board = found.board
    await until_ready(found)
    await writers.until_acknowledged(time.monotonic())
    writers.durability = durability.BUFFERED
    await asyncio.sleep(1)  # the last ones that ask for replicas end
    board.crew = (False, False)
    while board.record.leaving is not Leaving.ALONE or not any(one.state.wanted == 1 for one, _ in found.controllers):
        await asyncio.sleep(0.01)
    board.options = begins_with(board.record)
    assert board.options == ALONE


async def begin_to_leave(found: Trio, primary: int) -> None:
    """With the member of that number as the primary."""
    while found.board.record.primary != found.servers[primary].member.name:
        found.primary().kill()
        term = found.board.record.term
        while found.board.record.term == term:
            await asyncio.sleep(0.01)
        for one in found.servers:
            if one.process.poll() is not None:
                one.start()
        await found.whole()
    for one, _ in list(found.controllers):
        await found.end(one)
    found.board.options = begins_with(found.board.record)
    found.board.crew = (True, True)
    found.board.outdated = {one.member.name for one in found.servers}
    found.told.clear()


@pytest.mark.parametrize("primary", [0, 1], ids=["the first is primary", "another is"])
async def test_three_become_one_and_three_again_and_forget_nothing(tmp_path, primary):
    async with under_load(tmp_path) as (found, writers):
        await begin_to_leave(found, primary)
        found.begin(leaving=True)
        await leave(found, writers)
        first, *others = found.servers
        for one in others:
            one.kill()
        await writers.until_acknowledged(time.monotonic())
        # Once, and without an election, unless the machine is too busy for the controller's deadlines.
        assert set(found.board.deleted) == {first.member.name}, "only the one that stays was made anew"

        term = found.board.record.term
        await found.end(found.controllers[-1][0])
        found.board.options = ()
        found.begin()
        for one in others:
            one.start()  # with volumes that are old by now
        await found.whole()
        assert found.board.record.primary == first.member.name
        assert found.board.record.term > term
        writers.ended = True
        await asyncio.sleep(1)
        assert await writers.lost() == []


async def test_volumes_from_another_time_elect_nobody(tmp_path):
    """Two members that left and are back hold much, and nothing of what the first one took alone."""
    async with under_load(tmp_path) as (found, writers):
        await begin_to_leave(found, 0)
        found.begin(leaving=True)
        await leave(found, writers)
        first, *others = found.servers
        for one in others:
            one.kill()
        await writers.until_acknowledged(time.monotonic())
        writers.ended = True
        await asyncio.sleep(1)
        await found.end(found.controllers[-1][0])
        controller = found.begin()
        while found.board.record.leaving is Leaving.ALONE:
            await asyncio.sleep(0.01)
        first.kill()
        for one in others:
            one.start()
        while "to elect another takes 2 of 3" not in controller.state.waits:
            await asyncio.sleep(0.01)
        await asyncio.sleep(2)
        assert found.board.record.primary == first.member.name
        first.start()
        await found.whole()
        assert await writers.lost() == []


@pytest.mark.parametrize("again", [True, False], ids=["three again", "the file is old"])
async def test_one_that_went_on_alone_is_primary_again_when_it_begins_as_one_of_three(tmp_path, again):
    async with under_load(tmp_path) as (found, writers):
        await begin_to_leave(found, 0)
        controller = found.begin(leaving=True)
        await leave(found, writers)
        first, *others = found.servers
        for one in others:
            one.kill()
        await writers.until_acknowledged(time.monotonic())
        if again:
            await found.end(controller)
        first.kill()
        first.start()
        if again:
            found.begin()
            for one in others:
                one.start()  # with volumes that are old by now
            await found.whole()
        await writers.until_acknowledged(time.monotonic())
        assert found.board.record.primary == first.member.name
        assert found.board.record.is_alone is not again
        writers.ended = True
        await asyncio.sleep(1)
        assert await writers.lost() == []


@pytest.mark.parametrize("acts", range(1, 12))
async def test_an_operator_that_dies_while_two_leave_is_followed_by_one_that_ends_it(tmp_path, acts):
    async with under_load(tmp_path) as (found, writers):
        await begin_to_leave(found, 0)
        found.board.dies_in = acts
        found.begin(leaving=True)
        ending = asyncio.create_task(leave(found, writers))
        _, task = found.controllers[-1]
        await asyncio.wait([task, ending], timeout=30, return_when=asyncio.FIRST_COMPLETED)
        found.board.dies_in = -1
        found.begin(leaving=True)
        await ending
        for one in found.servers[1:]:
            one.kill()
        await writers.until_acknowledged(time.monotonic())
        writers.ended = True
        await asyncio.sleep(1)
        assert await writers.lost() == []


async def test_a_first_member_that_dies_while_two_leave_loses_nothing(tmp_path):
    """What its own disk has is not more than what its replicas had acknowledged."""
    async with under_load(tmp_path) as (found, writers):
        await begin_to_leave(found, 0)
        controller = found.begin(leaving=True)
        first = found.servers[0]
        await until_ready(found)
        term = found.board.record.term
        first.kill()
        first.start(*begins_with(found.board.record))
        while found.board.record.term == term:
            await asyncio.sleep(0.01)
        assert found.board.record.leaving is Leaving.NO or found.board.record.primary == first.member.name
        await leave(found, writers)
        assert controller.state.wanted == 1
        for one in found.servers[1:]:
            one.kill()
        await writers.until_acknowledged(time.monotonic())
        writers.ended = True
        await asyncio.sleep(1)
        assert await writers.lost() == []


async def test_a_primary_that_begins_from_an_older_disk_while_two_leave_overwrites_nobody(tmp_path):
    """Nor while no operator looks: its replicas find it again at its address, and would copy what it has."""
    async with under_load(tmp_path) as (found, writers):
        await begin_to_leave(found, 0)
        controller = found.begin(leaving=True)
        first = found.servers[0]
        await until_ready(found)
        await writers.until_acknowledged(time.monotonic())
        first.stop()
        shutil.copytree(first.folder / "appendonlydir", tmp_path / "older")
        first.go_on()
        await writers.until_acknowledged(time.monotonic())
        await asyncio.sleep(0.5)
        await found.end(controller)
        first.kill()
        shutil.rmtree(first.folder / "appendonlydir")
        shutil.move(tmp_path / "older", first.folder / "appendonlydir")
        first.start(*begins_with(found.board.record))
        await asyncio.sleep(3)
        found.begin(leaving=True)
        await writers.until_acknowledged(time.monotonic())
        await leave(found, writers)
        for one in found.servers[1:]:
            one.kill()
        await writers.until_acknowledged(time.monotonic())
        writers.ended = True
        await asyncio.sleep(1)
        assert await writers.lost() == []


async def test_members_that_begin_elect_none_before_all_are_there(tmp_path):
    """Two empty ones must not outvote a third that holds all memories and is late."""
    async with trio(tmp_path, started=False) as found:
        late, *early = found.servers
        for one in early:
            one.start()
        controller = found.begin()
        while "needs all" not in controller.state.waits or "2 of 3" not in controller.state.waits:
            await asyncio.sleep(0.01)
        assert found.board.record is None
        late.start()
        await found.whole()
        assert found.board.record == Record(1, late.member.name, whole=found.board.record.whole)


async def test_a_lost_record_is_found_again_in_the_data(tmp_path):
    async with under_load(tmp_path) as (found, writers):
        primary = found.primary()
        for one, _ in found.controllers:
            await found.end(one)
        primary.kill()
        found.board.record, found.board.version = None, 77
        found.begin()
        await writers.until_acknowledged(time.monotonic())
        primary.start()
        await found.whole()
        writers.ended = True
        await asyncio.sleep(1)
        assert await writers.lost() == []


async def test_a_stalled_replica_is_replaced(tmp_path, monkeypatch):
    monkeypatch.setattr("crew_operator.failover.controller.STUCK_FOR", 2.0)
    async with under_load(tmp_path) as (found, _):
        stalled = found.replicas()[0]
        stalled.stop()
        while not found.board.deleted:
            await asyncio.sleep(0.01)
        assert found.board.deleted == [stalled.member.name]
        await found.whole()
        assert found.board.record.term == 1


async def connected(client) -> None:
    while True:
        try:
            await client.ping()
        except OSError:
            await asyncio.sleep(0.02)
        except redis.exceptions.ConnectionError:
            await asyncio.sleep(0.02)
        else:
            return
