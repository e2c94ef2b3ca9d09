import asyncio
from collections.abc import AsyncIterator
from typing import Any

import pytest

from crew_runtime.contract import env, frames
from crew_server.errors import WorkerProtocolError
from crew_server.worker import slots as module
from crew_server.worker.exits import Exit
from crew_server.worker.slots import Slots


class Zygote:
    """Records what it is told, decoded; forks by hand."""

    def __init__(self) -> None:
        self.told: list[frames.Frame] = []
        self._decoder = frames.Decoder()

    def send(self, data: bytes) -> None:
        self.told.extend(self._decoder.feed(data))

    def tokens(self, role: str = "slot") -> list[str]:
        return [one["token"] for one in self.told if one["t"] == frames.FORK and one["role"] == role]

    def killed(self) -> list[int]:
        return [one["pid"] for one in self.told if one["t"] == frames.KILL]


class Occupant:
    def __init__(self) -> None:
        self.frames: list[Any] = []
        self.lost: list[Any] = []

    def on_frame(self, frame: frames.Frame) -> None:
        self.frames.append(frame)

    def on_lost(self, how: Exit | None, why: str) -> None:
        self.lost.append((how, why))


class Pool:
    """Slots for a concurrency of 2, all warm."""

    def __init__(self, processes: str = env.PER_KICKOFF) -> None:
        self.idle_calls = 0
        self.why: list[str] = []
        self.zygote = Zygote()
        self.slots = Slots(2, self._idle, self.why.append, processes)
        self.children: dict[str, Any] = {}
        self.told: dict[str, list[frames.Frame]] = {}

    def _idle(self) -> None:
        self.idle_calls += 1

    async def fill(self) -> None:
        self.slots.enable(self.zygote.send)
        await asyncio.sleep(0.01)
        for pid, token in enumerate(self.zygote.tokens() + self.zygote.tokens("prober"), start=100):
            self.warm(token, pid)

    def warm(self, token: str, pid: int) -> Any:
        self.slots.forked(token, pid)
        told: list[frames.Frame] = []
        decoder = frames.Decoder()
        child = self.slots.hello(token, lambda data: told.extend(decoder.feed(data)), lambda: None)
        self.slots.frame(child, {"t": frames.READY})
        self.children[token] = child
        self.told[token] = told
        return child

    async def fork_missing(self) -> None:
        """Warm what was asked for since."""
        await asyncio.sleep(0.01)
        for token in self.zygote.tokens():
            if token not in self.children:
                self.warm(token, 100 + len(self.children))


async def filled(processes: str) -> AsyncIterator[Pool]:
    one = Pool(processes)
    await one.fill()
    yield one
    await one.slots.close()


@pytest.fixture
async def pool():
    async for one in filled(env.PER_KICKOFF):
        yield one


@pytest.fixture
async def shared():
    """Slots that any kickoff may use again."""
    async for one in filled(env.SHARED):
        yield one


@pytest.fixture
async def owned():
    """Slots that belong to the session of their first kickoff."""
    async for one in filled(env.PER_SESSION):
        yield one


async def test_pool_is_concurrency_and_a_spare_and_a_prober(pool: Pool):
    assert len(pool.zygote.tokens()) == 3
    assert len(pool.zygote.tokens("prober")) == 1
    assert pool.slots.alive == 3


async def test_only_concurrency_slots_are_given_work(pool: Pool):
    assert pool.slots.take(Occupant(), "s")
    assert pool.slots.take(Occupant(), "s")
    assert pool.slots.take(Occupant(), "s") is None


async def test_free_counts_what_could_be_taken(shared: Pool):
    assert shared.slots.free == 2, "the spare is not for work"
    child = shared.slots.take(Occupant(), "s")
    assert shared.slots.free == 1
    assert child
    shared.slots.done(child)
    assert shared.slots.free == 1, "it is being checked"
    shared.slots.frame(child, {"t": frames.IDLE, "reusable": True})
    assert shared.slots.free == 2
    shared.slots.abandon()
    assert shared.slots.free == 0


async def test_a_slot_has_one_kickoff_and_the_spare_takes_its_place_at_once(pool: Pool):
    child = pool.slots.take(Occupant(), "s")
    assert child
    pool.slots.done(child)
    assert (child.state, pool.slots.busy, pool.slots.free) == (module.ENDING, 0, 2)
    pool.slots.frame(child, {"t": frames.IDLE, "reusable": True})
    assert child.state == module.ENDING, "whatever it says of itself"
    others = [pool.slots.take(Occupant(), "s") for _ in range(2)]
    assert child not in others
    await asyncio.sleep(0.01)
    assert len(pool.zygote.tokens()) == 4


async def test_slots_that_take_their_time_to_end_hold_up_work_in_the_end(pool: Pool):
    for _ in range(4):
        child = pool.slots.take(Occupant(), "s")
        assert child
        pool.slots.done(child)
        await pool.fork_missing()
    assert pool.slots.busy == 2, "four end, and as many as may run are free to"
    assert pool.slots.take(Occupant(), "s") is None


async def test_a_slot_hears_that_its_answer_is_stored(pool: Pool):
    child = pool.slots.take(Occupant(), "s")
    assert child
    pool.slots.done(child)
    pool.slots.stored(child, "k-1", quick=False)
    assert pool.told[child.token][-1] == {"t": frames.STORED, "id": "k-1", "quick": False}


async def test_a_slot_that_does_not_end_is_killed(pool: Pool, monkeypatch: pytest.MonkeyPatch):
    child = pool.slots.take(Occupant(), "s")
    assert child
    pool.slots.done(child)
    monkeypatch.setitem(module._DEADLINES, module.ENDING, 0.01)
    await asyncio.sleep(0.02)
    pool.slots.check()
    assert pool.zygote.killed() == [child.pid]


async def test_a_shutdown_ends_the_slots_that_have_run_something(shared: Pool):
    child = shared.slots.take(Occupant(), "s")
    assert child
    shared.slots.done(child)
    shared.slots.frame(child, {"t": frames.IDLE, "reusable": True})
    assert not await shared.slots.ended(0.01)
    assert shared.told[child.token][-1]["t"] == frames.EXIT
    assert [one.state for one in shared.children.values()].count(module.ENDING) == 1
    shared.slots.closed(child)
    assert await shared.slots.ended(0.01)


async def test_an_owned_slot_is_for_its_session_alone(owned: Pool):
    first = owned.slots.take(Occupant(), "a")
    assert first
    owned.slots.done(first)
    owned.slots.frame(first, {"t": frames.IDLE, "reusable": True})
    other = owned.slots.take(Occupant(), "b")
    assert other is not first
    assert owned.slots.take(Occupant(), "a") is first


async def test_the_owned_slot_that_was_used_longest_ago_makes_way_for_a_new_session(owned: Pool):
    had = []
    for session in ("a", "b", "c"):
        child = owned.slots.take(Occupant(), session)
        assert child
        had.append(child)
        owned.slots.done(child)
        owned.slots.frame(child, {"t": frames.IDLE, "reusable": True})
    assert had[0].state == module.ENDING
    assert owned.told[had[0].token][-1]["t"] == frames.EXIT
    assert [one.state for one in had[1:]] == [module.IDLE, module.IDLE]
    await owned.fork_missing()
    assert owned.slots.free == 1
    assert owned.slots.take(Occupant(), "d")


async def test_token_serves_once(pool: Pool):
    token = pool.zygote.tokens()[0]
    with pytest.raises(WorkerProtocolError):
        pool.slots.hello(token, lambda _: None, lambda: None)
    with pytest.raises(WorkerProtocolError):
        pool.slots.hello("made up", lambda _: None, lambda: None)


async def test_reusable_slot_is_idle_again_and_the_other_kind_is_replaced(shared: Pool):
    child = shared.slots.take(Occupant(), "s")
    assert child
    shared.slots.done(child)
    shared.slots.frame(child, {"t": frames.IDLE, "reusable": True})
    assert child.state == module.IDLE
    shared.slots.take(Occupant(), "s")
    shared.slots.done(child)
    shared.slots.frame(child, {"t": frames.IDLE, "reusable": False, "reason": "a thread"})
    await asyncio.sleep(0.01)
    assert len(shared.zygote.tokens()) == 4


async def test_slot_being_checked_counts_as_busy(shared: Pool):
    first = shared.slots.take(Occupant(), "s")
    assert first
    shared.slots.take(Occupant(), "s")
    shared.slots.done(first)
    assert shared.slots.take(Occupant(), "s") is None


async def test_exit_known_before_the_connection_ends_reaches_the_occupant(pool: Pool):
    occupant = Occupant()
    child = pool.slots.take(occupant, "s")
    assert child
    pool.slots.exited(child.token, Exit(signal="SIGSEGV"))
    assert not occupant.lost, "what it had sent before may still come"
    pool.slots.closed(child)
    await asyncio.sleep(0.01)
    assert occupant.lost == [(Exit(signal="SIGSEGV"), "")]


async def test_exit_known_after_the_connection_ended_reaches_the_occupant(pool: Pool):
    occupant = Occupant()
    child = pool.slots.take(occupant, "s")
    assert child
    pool.slots.closed(child)
    await asyncio.sleep(0.01)
    assert not occupant.lost
    pool.slots.exited(child.token, Exit(code=3))
    await asyncio.sleep(0.01)
    assert occupant.lost == [(Exit(code=3), "")]


async def test_lost_slot_is_replaced_at_once(pool: Pool):
    child = pool.slots.take(Occupant(), "s")
    assert child
    pool.slots.closed(child)
    await asyncio.sleep(0.01)
    assert len(pool.zygote.tokens()) == 4


async def test_silent_slot_is_killed_and_its_kickoff_lost(pool: Pool, monkeypatch: pytest.MonkeyPatch):
    occupant = Occupant()
    child = pool.slots.take(occupant, "s")
    assert child
    monkeypatch.setattr(module, "SILENCE", 0.05)
    await asyncio.sleep(0.06)
    for one in pool.children.values():
        if one is not child:
            pool.slots.frame(one, {"t": frames.BEAT})
    pool.slots.check()
    assert occupant.lost == [(None, "wedged")]
    assert pool.zygote.killed() == [child.pid]


async def test_losing_the_zygote_loses_every_kickoff_at_once(pool: Pool):
    occupants = [Occupant(), Occupant()]
    for one in occupants:
        pool.slots.take(one, "s")
    pool.slots.abandon()
    assert [one.lost for one in occupants] == [[(None, "worker")]] * 2
    assert pool.slots.alive == 0
    assert pool.why == ["worker", "worker"]


async def test_waiting_kickoff_is_not_given_to_a_slot_of_a_dead_zygote(pool: Pool):
    given: list[Any] = []
    pool.slots._on_idle = lambda: given.append(pool.slots.take(Occupant(), "s"))
    child = pool.slots.take(Occupant(), "s")
    assert child
    pool.slots.closed(child)
    await asyncio.sleep(0)
    pool.slots.abandon()
    await asyncio.sleep(0.05)
    assert given
    assert not any(given)


async def test_kickoff_that_a_dead_zygote_ends_finds_no_slot_for_the_next(pool: Pool):
    taken: list[Any] = []

    class Chained(Occupant):
        def on_lost(self, how: Exit | None, why: str) -> None:
            taken.append(pool.slots.take(Occupant(), "s"))

    pool.slots.take(Chained(), "s")
    pool.slots.abandon()
    assert taken == [None]


async def test_kill_before_the_pid_is_known_happens_when_it_is(pool: Pool):
    pool.slots.closed(pool.slots.take(Occupant(), "s"))  # type: ignore[arg-type]
    await asyncio.sleep(0.01)
    token = pool.zygote.tokens()[-1]
    child = pool.slots.hello(token, lambda _: None, lambda: None)
    pool.slots.kill(child)
    assert 777 not in pool.zygote.killed()
    pool.slots.forked(token, 777)
    assert 777 in pool.zygote.killed()


async def test_stillborn_slots_are_forked_again_with_pauses(pool: Pool):
    pool.slots.abandon()
    pool.zygote.told.clear()
    pool.slots.enable(pool.zygote.send)
    await asyncio.sleep(0.01)
    for token in pool.zygote.tokens():
        pool.slots.exited(token, Exit(code=1))
    await asyncio.sleep(0.05)
    assert len(pool.zygote.tokens()) == 3, "the next ones wait"
    await asyncio.sleep(1.1)
    assert len(pool.zygote.tokens()) == 6
