"""Two operators, a Lease and an API server that is slow or hangs, in virtual time: two never act."""

import asyncio
import contextlib

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from crew_operator import leadership, lease
from crew_operator.errors import LeadershipLostError
from support import virtual_time
from support.leases import Kube, Server

LEASE = "lobby/crew-operator"


class Operators:
    """Who acts, from when to when."""

    def __init__(self):
        self.acting = set()
        self.most = 0
        self.terms = []

    def run(self, name):
        async def act():
            loop = asyncio.get_running_loop()
            self.acting.add(name)
            self.most = max(self.most, len(self.acting))
            begun = loop.time()
            try:
                await asyncio.Event().wait()
            finally:
                self.acting.discard(name)
                self.terms.append((name, begun, loop.time()))

        return act

    async def again_and_again(self, kube, name):
        """As a pod whose container is started again when it ends."""
        while True:
            with contextlib.suppress(LeadershipLostError):
                await leadership.lead(kube, LEASE, self.run(name))
            await asyncio.sleep(1)


def drive(ways, seconds):
    async def main():
        server, operators = Server(), Operators()
        tasks = [asyncio.create_task(operators.again_and_again(Kube(server, way), name)) for name, way in ways.items()]
        await asyncio.sleep(seconds)
        acting = set(operators.acting)
        for one in tasks:
            one.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)
        return operators, acting

    return virtual_time.run(main())


def test_a_term_and_the_slowest_answer_fit_into_the_lease():
    assert lease.RENEW_SECONDS + lease.ANSWER_SECONDS < lease.LEASE_SECONDS


def well(*_):
    return 0.01, 0.01


def test_one_acts_and_goes_on_acting():
    operators, acting = drive({"a": well, "b": well}, 600)
    assert (operators.most, len(acting), len(operators.terms)) == (1, 1, 1)


def test_a_slow_get_and_a_put_that_hangs_do_not_lengthen_a_term():
    """What was wrong once: 1.4 s for each read and a write without an answer kept a holder acting for 17 s."""

    def sick(verb, now):
        if now < 10:
            return well()
        return (1.4, 0.0) if verb == "get" else (None, 0.0)

    operators, _ = drive({"a": sick}, 60)
    (_, _, ended), *_ = operators.terms
    assert ended <= 10 + lease.RENEW_SECONDS + 0.1


def test_a_holder_whose_renewals_arrive_but_are_not_answered_stops_as_well():
    def deaf(verb, now):
        return well() if now < 10 or verb == "get" else (0.01, None)

    operators, acting = drive({"a": deaf, "b": lambda verb, now: well() if now > 1 else (3, 3)}, 100)
    assert operators.most == 1
    assert acting == {"b"}


def test_one_that_is_gone_is_followed_within_the_lease_and_two_tries():
    def gone(_, now):
        return well() if now < 10 else (None, None)

    operators, acting = drive({"a": gone, "b": lambda _, now: well() if now > 1 else (3, 3)}, 40)
    assert acting == {"b"}
    (_, _, ended), *_ = operators.terms
    assert ended <= 10 + lease.RENEW_SECONDS


SECONDS = st.one_of(
    st.just(None), st.just(-1), st.floats(0, 0.2), st.floats(0, 6), st.sampled_from([1.4, 1.5, 2.0, 3.9, 10.0, 14.9])
)


@settings(max_examples=60, deadline=None)
@given(st.dictionaries(st.sampled_from("abc"), st.lists(st.tuples(SECONDS, SECONDS), min_size=1), min_size=2))
def test_two_never_act_whatever_each_request_takes(scripts):
    def way(script):
        steps = iter(script * 50)
        return lambda *_: next(steps, (0.01, 0.01))

    operators, _ = drive({name: way(script) for name, script in scripts.items()}, 120)
    assert operators.most <= 1


def test_a_process_that_stood_still_beyond_its_term_writes_nothing_more():
    async def main():
        server = Server()
        kube = Kube(server)
        written = []

        async def act():
            kube.fence()
            # As SIGSTOP or a loop that is blocked: time passes and no task has its turn.
            asyncio.get_running_loop()._virtual.now += 30
            kube.fence()
            written.append("too late")

        with pytest.raises(LeadershipLostError):
            await leadership.lead(kube, LEASE, act)
        return written

    assert virtual_time.run(main()) == []
