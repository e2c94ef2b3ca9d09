"""The shipper's turn and its failures, without Redis and Postgres."""

import time
from collections.abc import Sequence
from types import SimpleNamespace
from typing import Any

from crew_runtime.contract.replica_reasons import BackendReason, HistoryReason
from crew_server.errors import BackendError, HistoryError
from crew_server.history.outbox import Batch
from crew_server.history.rows import Erasure, Row
from crew_server.history.shipper import FAILURES_TOLD, Shipper
from crew_server.metrics import Metrics


def entry(number: int) -> tuple[str, list[str]]:
    """The end of the kickoff `k{number}`."""
    fields = {"kind": "kickoff", "kickoff_id": f"k{number}", "status": "completed", "ended_at": "1795464477668"}
    return f"{number}-0", [word for pair in fields.items() for word in pair]


class FakeOutbox:
    """Entries that wait, and what was asked."""

    def __init__(self, count: int) -> None:
        self.entries = dict(entry(number) for number in range(count))
        self.did: list[str] = []
        self.mine = True
        self.fails = False

    async def take(self, shipper: str, most: int = 200) -> Batch:
        self.did.append("take")
        if self.fails:
            raise BackendError(BackendReason.OUT_OF_MEMORY, "Redis is full")
        taken = tuple(self.entries.items())[:most] if self.mine else ()
        return Batch(self.mine, len(self.entries), 60.0, 0, 0, 0.0, taken)

    async def renew(self, shipper: str) -> bool:
        self.did.append("renew")
        return self.mine

    async def settle(self, ids: Sequence[str], leaves: str = "") -> int:
        return sum(self.entries.pop(one, None) is not None for one in ids)

    async def bury(self, entry: str, why: str) -> None:
        self.did.append("bury")
        self.entries.pop(entry)


class FakeStore:
    """Postgres; `refuses` says by the ids of a batch how it fails."""

    def __init__(self, outbox: FakeOutbox, refuses: Any = lambda ids: None) -> None:
        self._outbox = outbox
        self.refuses = refuses
        self.written: list[list[str]] = []

    async def prepare(self) -> None:
        self._outbox.did.append("prepare")

    async def write(self, found: Sequence[Row | Erasure]) -> None:
        ids = [one.values["kickoff_id"] for one in found if isinstance(one, Row)]
        self._outbox.did.append("write")
        if reason := self.refuses(ids):
            raise HistoryError(reason, "it does not")
        self.written.append(ids)

    async def expire(self, seconds: float) -> int:
        return 0


def shipper(outbox: FakeOutbox, store: FakeStore) -> Shipper:
    settings = SimpleNamespace(key_prefix="a/b", history_retention=None)
    return Shipper(outbox, store, settings, Metrics())


async def test_batch_is_taken_anew_once_the_schema_is_ready():
    """A migration may take longer than the turn: what was taken before may be another's, or erased, by now."""
    outbox = FakeOutbox(1)
    await shipper(outbox, FakeStore(outbox))._step()
    assert outbox.did == ["take", "prepare", "take", "write"]


async def test_turn_is_renewed_between_entries_that_are_written_alone_and_they_stop_with_it():
    outbox = FakeOutbox(4)

    def refuses(ids):
        outbox.mine = outbox.mine and ids != ["k1"]
        return HistoryReason.DATA if len(ids) > 1 or ids == ["k0"] else None

    store = FakeStore(outbox, refuses)
    await shipper(outbox, store)._step()
    assert outbox.did[-7:] == ["write", "renew", "write", "bury", "renew", "write", "renew"]
    assert store.written == [["k1"]], "the others are whoever's turn it is"


async def test_redis_that_fails_again_and_again_is_told_and_forgotten_when_it_answers():
    outbox = FakeOutbox(0)
    ships = shipper(outbox, FakeStore(outbox))
    await ships._step()
    outbox.fails = True
    for _ in range(FAILURES_TOLD):
        assert ships.health.reason == HistoryReason.OK, "one alone is nothing"
        await ships._step()
    assert (ships.health.reason, ships.health.message) == (
        HistoryReason.REDIS, "Redis does not give what is to be written: Redis is full",
    )  # fmt: skip
    outbox.fails, outbox.mine = False, False
    await ships._step()
    assert ships.health.reason == HistoryReason.NOT_CHECKED, "another one writes"


async def test_batch_that_takes_too_long_is_halved_until_it_does_not_and_grows_again():
    outbox = FakeOutbox(500)
    store = FakeStore(outbox, lambda ids: HistoryReason.TIMEOUT if len(ids) > 30 else None)
    ships = shipper(outbox, store)
    for _ in range(4):
        await ships._step()
    assert [len(one) for one in store.written] == [25]
    assert ships.health.reason == HistoryReason.OK
    store.refuses = lambda ids: None
    while outbox.entries:
        await ships._step()
    assert [len(one) for one in store.written] == [25, 50, 100, 200, 125]


async def test_one_entry_that_takes_too_long_is_tried_again():
    outbox = FakeOutbox(3)
    ships = shipper(outbox, FakeStore(outbox, lambda ids: HistoryReason.TIMEOUT))
    for _ in range(12):
        await ships._step()
    assert len(outbox.entries) == 3
    assert ships.health.reason == HistoryReason.TIMEOUT


async def test_server_that_ends_writes_what_waits_and_asks_nothing_of_postgres_when_nothing_does():
    outbox = FakeOutbox(0)
    await shipper(outbox, FakeStore(outbox)).close(5.0)
    assert outbox.did == ["take"]
    outbox = FakeOutbox(300)
    store = FakeStore(outbox)
    await shipper(outbox, store).close(5.0)
    assert [len(one) for one in store.written] == [200, 100]


async def test_server_that_ends_waits_no_longer_than_it_has():
    outbox = FakeOutbox(1)
    outbox.mine = False
    begun = time.monotonic()
    await shipper(outbox, FakeStore(outbox)).close(0.5)
    assert time.monotonic() - begun < 5
    assert outbox.entries
