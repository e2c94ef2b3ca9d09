"""Operators that share Leases, in virtual time: each shard has one at most, and in the end as many as is fair."""

import asyncio
import contextlib
from collections import Counter

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from crew_operator import lease, sharding
from crew_operator.errors import LeadershipLostError
from crew_operator.sharding import Shares
from support import virtual_time
from support.leases import Kube, Server

LEASE = "lobby/crew-operator"
SHARDS = 4
NOTHING = object()


def well(*_):
    return 0.01, 0.01


class Fleet:
    """Operators that make passes for a key of each shard all the time, and who wrote when."""

    def __init__(self, count=SHARDS):
        self.server = Server()
        self.count = count
        self.shares = {}
        self.tasks = {}
        self.writing = Counter()
        self.most = 0
        self.refused = Counter()
        self.given = []
        self.pass_seconds = 0.5
        self.keys = [
            next(key for key in map(str, range(1000)) if sharding.shard(key, count) == n) for n in range(count)
        ]

    def start(self, name, way=well):
        self.tasks[name] = asyncio.create_task(self._again_and_again(name, way))

    async def stop(self, name, *, give=True):
        if not give:
            for one in self.shares[name]._leases:
                one.release = _nothing
        self.tasks.pop(name).cancel()
        del self.shares[name]
        await asyncio.sleep(0)

    def held(self):
        return {name: len(one.held) for name, one in self.shares.items()}

    def all_are_held(self):
        return sorted(number for one in self.shares.values() for number in one.held) == list(range(self.count))

    async def _again_and_again(self, name, way):
        while True:
            kube = Kube(self.server, way)
            shares = Shares(
                kube, LEASE, self.count, taken=lambda _: None, given=lambda one: self.given.append((name, one))
            )
            self.shares[name] = shares
            with contextlib.suppress(LeadershipLostError):
                await shares.run(lambda kube=kube, shares=shares: self._work(kube, shares))
            await asyncio.sleep(1)

    async def _work(self, kube, shares):
        handle = shares.gate(lambda key: self._pass(key, kube), NOTHING)

        async def one_after_the_other(key):
            while True:
                await handle(key)
                await asyncio.sleep(3)

        await asyncio.gather(*(one_after_the_other(key) for key in self.keys))

    async def _pass(self, key, kube):
        await asyncio.sleep(self.pass_seconds)
        kube.fence()
        self.writing[key] += 1
        self.most = max(self.most, self.writing[key])
        await asyncio.sleep(0.05)
        self.writing[key] -= 1


async def _nothing():
    pass


def drive(main, count=SHARDS):
    async def whole():
        fleet = Fleet(count)
        try:
            await main(fleet)
        finally:
            for one in fleet.tasks.values():
                one.cancel()
            await asyncio.gather(*fleet.tasks.values(), return_exceptions=True)
        assert fleet.most <= 1
        return fleet

    return virtual_time.run(whole())


def test_one_operator_takes_all():
    async def main(fleet):
        fleet.start("a")
        await asyncio.sleep(10)
        assert fleet.held() == {"a": 4}

    drive(main)


def test_one_that_comes_gets_its_part_and_no_pass_is_cut_off():
    async def main(fleet):
        fleet.pass_seconds = 7
        fleet.start("a")
        await asyncio.sleep(10)
        fleet.start("b")
        await asyncio.sleep(120)
        assert fleet.held() == {"a": 2, "b": 2}
        fleet.start("c")
        await asyncio.sleep(120)
        assert sorted(fleet.held().values()) == [1, 1, 2]
        assert fleet.all_are_held()

    drive(main)


@pytest.mark.parametrize(
    ("operators", "parts"), [(2, [2, 2]), (3, [1, 1, 2]), (4, [1, 1, 1, 1]), (6, [0, 0, 1, 1, 1, 1])]
)
def test_those_that_start_together_share(operators, parts):
    async def main(fleet):
        for number in range(operators):
            fleet.start(str(number))
        await asyncio.sleep(120)
        assert sorted(fleet.held().values()) == parts
        before = dict(fleet.held())
        await asyncio.sleep(60)
        assert fleet.held() == before, "and leave it at that"

    drive(main)


@pytest.mark.parametrize("give", [True, False])
def test_the_part_of_one_that_is_gone_is_taken(give):
    async def main(fleet):
        fleet.start("a")
        fleet.start("b")
        await asyncio.sleep(60)
        await fleet.stop("a", give=give)
        await asyncio.sleep(3 if give else lease.LEASE_SECONDS + 2 * lease.TRY_SECONDS + 0.5)
        assert fleet.held() == {"b": 4}

    drive(main)


def test_one_that_is_cut_off_stops_before_another_begins():
    async def main(fleet):
        fleet.start("a", lambda _, now: well() if now < 60 else (None, None))
        fleet.start("b")
        await asyncio.sleep(60 + lease.LEASE_SECONDS + 2 * lease.TRY_SECONDS + 0.5)
        assert fleet.held() == {"a": 0, "b": 4}

    drive(main)


def test_a_write_outside_of_a_pass_of_ones_own_is_refused():
    async def main(fleet):
        fleet.start("a")
        await asyncio.sleep(10)
        with pytest.raises(LeadershipLostError):
            fleet.shares["a"].check()
        shares = Shares(Kube(fleet.server), LEASE, 4, taken=lambda _: None, given=lambda _: None)
        handle = shares.gate(lambda _: pytest.fail("of another operator"), NOTHING)
        assert await handle(fleet.keys[0]) is NOTHING

    drive(main)


def test_who_stood_still_beyond_its_term_writes_nothing():
    async def main(fleet):
        refused = []
        kube = Kube(fleet.server)
        shares = Shares(kube, LEASE, 1, taken=lambda _: None, given=lambda _: None)

        async def pass_(_):
            # As SIGSTOP within a pass: the clock goes on, no timer has fired yet.
            shares._leases[0]._sent_at -= lease.RENEW_SECONDS + 1
            try:
                kube.fence()
            except LeadershipLostError as error:
                refused.append(error)

        async def work():
            await asyncio.sleep(5)
            await shares.gate(pass_, None)("a/b")
            await asyncio.Event().wait()

        with pytest.raises(LeadershipLostError):
            await shares.run(work)
        assert len(refused) == 1

    drive(main, count=1)


@settings(max_examples=10, deadline=None)
@given(st.lists(st.tuples(st.floats(0, 6), st.sampled_from([0.01, 0.5, 3.0, -1.0, None])), min_size=1, max_size=8))
def test_whatever_the_way_is_like_two_never_act_for_one_crew(ways):
    def sick(_, now):
        seconds, back = ways[int(now / 7) % len(ways)]
        return seconds, back

    async def main(fleet):
        fleet.start("a", sick)
        fleet.start("b")
        fleet.start("c", sick)
        await asyncio.sleep(150)

    drive(main)


def test_what_is_fair():
    held = {0: "a", 1: "a", 2: "a", 3: "b"}
    assert sharding.fair_part(held, "a") == 2
    assert sharding.wanted(held, "b") == 2
    assert sharding.wanted(held, "a") is None
    assert sharding.wanted({**held, 3: ""}, "b") is None, "one is free"
    assert sharding.gives(held, "a", "b")
    assert not sharding.gives({0: "a", 1: "b"}, "a", "b")
    assert not sharding.gives(held, "a", "")
    assert not sharding.gives(held, "a", "a")


def test_crews_are_spread_and_stay_where_they_are():
    counted = Counter(sharding.shard(f"lobby/crew-{number}", 4) for number in range(4000))
    assert min(counted.values()) > 900
    assert sharding.shard("lobby/concierge", 4) == sharding.shard("lobby/concierge", 4)
    assert sharding.shard("lobby/concierge", 1) == 0
