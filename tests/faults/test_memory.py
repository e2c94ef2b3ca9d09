"""The fault table: each fault of a crew's memory, in the middle of a kickoff, seen in every place that tells of it.

A real Redis with AOF, a real server, a real worker with CrewAI: FailClosed without the search module, Degrade with it.
"""

import dataclasses
import time
from collections.abc import Callable
from pathlib import Path

import pytest
import pytest_asyncio

from support.interpreters import crew_python
from support.redis_server import RedisServer, start_redis
from support.relay import relay
from support.replicas import Replica, real_worker, wait_until

pytestmark = pytest.mark.asyncio(loop_scope="module")

TESTS = Path(__file__).parents[1]
DEADLINE = 2.0
"""Seconds of one call of the memory, as a replica has it by default."""
NOISE = 3.0
"""Seconds that a kickoff may take longer on a busy machine."""


class Place:
    """One replica and its Redis, and what a test does to them."""

    def __init__(self, redis: RedisServer, replica: Replica, folder: Path, on_failure: str) -> None:
        self.redis, self.replica, self.folder = redis, replica, folder
        self.fail_closed = on_failure == "FailClosed"
        self._count = 0

    async def hold(self) -> "Held":
        """A kickoff that has recalled, and has not saved yet."""
        self._count += 1
        name = f"k{self._count}"
        kickoff = await self.replica.kickoff(message=name)
        reached = self.folder / f"{name}.at"

        async def at_gate() -> bool:
            return reached.exists() and bool(reached.read_text())

        await wait_until(at_gate, "the kickoff is between recall and save", 60)
        return Held(self, kickoff, name, float(reached.read_text()))

    def tell(self, what: str, text: str) -> None:
        """Switch something of the crew; empty: as it was."""
        path = self.folder / what
        path.write_text(text) if text else path.unlink()

    def story(self) -> str:
        """What both halves said last, for who reads a failure."""
        return "\n".join(f"{which}: {self.replica.log(which)[-4000:]}" for which in ("server", "worker"))

    async def failures(self) -> dict[str, float]:
        """The metric by kind."""
        found: dict[str, float] = {}
        for line in (await self.replica.health.get("/metrics")).text.splitlines():
            if line.startswith("crewops_memory_failures_total{"):
                kind = line.partition('kind="')[2].partition('"')[0]
                found[kind] = found.get(kind, 0) + float(line.rpartition(" ")[2])
        return found


@dataclasses.dataclass
class Held:
    """A kickoff at the gate."""

    place: Place
    kickoff: str
    name: str
    since: float
    held: float = 0.0

    def go(self) -> None:
        (self.place.folder / f"{self.name}.go").touch()
        self.held = time.time() - self.since

    async def over(self) -> None:
        """Its slot has told the end; Redis need not know."""

        async def idle() -> bool:
            return (await self.place.replica.report())["running"] == 0

        try:
            await wait_until(idle, f"{self.name} is over", 60)
        except AssertionError as error:
            raise AssertionError(f"{error}\n{self.place.story()}") from None

    async def ended(self) -> dict:
        return await self.place.replica.ended(self.kickoff, 60)


@dataclasses.dataclass(frozen=True)
class Fault:
    """One row of the table."""

    name: str
    inflict: Callable[[Place], None]
    heal: Callable[[Place], None]
    kinds: frozenset[str]
    """Of the failures that the kickoff meets."""
    reason: str = ""
    """Of the replica's readiness; empty: the fault is the crew's, and concerns no other kickoff of the replica."""


def _limit(place: Place, size: str) -> None:
    with place.redis.client() as client:
        client.config_set("maxmemory", size)


FAULTS = (
    Fault("refuses", lambda at: at.redis.kill(), lambda at: at.redis.start(), frozenset({"Refused"}), "Refused"),
    Fault("hangs", lambda at: at.redis.stop(), lambda at: at.redis.go_on(), frozenset({"Timeout"}), "Timeout"),
    Fault(
        "disk full",
        lambda at: at.redis.fill_disk(),
        lambda at: at.redis.free_disk(),
        frozenset({"DiskFull"}),
        "DiskFull",
    ),
    Fault(
        "out of memory",
        lambda at: _limit(at, "1"),
        lambda at: _limit(at, "0"),
        frozenset({"OutOfMemory"}),
        "OutOfMemory",
    ),
    Fault(
        "wrong dimension",
        lambda at: at.tell("embedder", "24"),
        lambda at: at.tell("embedder", ""),
        frozenset({"Dimension"}),
    ),
    Fault(
        "embedder down",
        lambda at: at.tell("embedder", "down"),
        lambda at: at.tell("embedder", ""),
        frozenset({"Embedder"}),
    ),
    Fault(
        "analysis LLM down",
        lambda at: at.tell("analysis", "down"),
        lambda at: at.tell("analysis", ""),
        frozenset({"LLM"}),
    ),
)


@pytest_asyncio.fixture(scope="module", loop_scope="module", params=["FailClosed", "Degrade"])
async def place(request, tmp_path_factory):
    on_failure = request.param
    folder = tmp_path_factory.mktemp("gated")
    with start_redis(
        tmp_path_factory.mktemp("redis"), password="s3cret", with_search=on_failure == "Degrade", aof=True
    ) as redis:
        replica = _replica(redis, folder, on_failure)
        try:
            await replica.start()
            # What is refused while Redis hangs is taken nevertheless if it was on its way: nobody is at this gate then.
            (folder / "refused.go").touch()
            yield Place(redis, replica, folder, on_failure)
        finally:
            await replica.close()


def _replica(redis: RedisServer, folder: Path, on_failure: str) -> Replica:
    return Replica(
        redis.url,
        worker=real_worker(),
        CREWOPS_ENTRYPOINT="support.user_crews.gated:crew",
        CREWOPS_MEMORY_ON_FAILURE=on_failure,
        CREWOPS_BACKEND_DEADLINE=str(DEADLINE),
        GATED_FOLDER=str(folder),
        PYTHONPATH=str(TESTS),
        CREWAI_DISABLE_TELEMETRY="true",
    )


@pytest_asyncio.fixture(scope="module", loop_scope="module")
async def healthy(place) -> float:
    """Seconds that a kickoff takes beside its wait at the gate; its memories fix the store's dimension."""
    one = await place.hold()
    one.go()
    seen = await one.ended()
    assert (seen["status"], seen["memory"]) == ("completed", "ok"), seen
    assert "memory_failures" not in seen
    return seen["execution_time"] - one.held


@pytest.mark.parametrize("fault", FAULTS, ids=lambda fault: fault.name)
async def test_a_fault_in_the_middle_of_a_kickoff_is_seen_everywhere_and_heals(place, healthy, fault):
    replica, before = place.replica, await place.failures()
    one = await place.hold()
    fault.inflict(place)
    try:
        await _replica_says(place, fault)
        one.go()
        await one.over()
    finally:
        fault.heal(place)
    await _recovered(place, fault)
    seen = await one.ended()

    _judged(place, seen, one)
    kinds = {failure["kind"] for failure in seen["memory_failures"]["first"]}
    assert kinds == fault.kinds, seen["memory_failures"]
    after = await place.failures()
    assert {kind for kind in after if after[kind] > before.get(kind, 0)} == fault.kinds
    failures = (await replica.api.get("/failures")).json()["failures"]
    (told,) = [one_of for one_of in failures if one_of["kickoff_id"] == one.kickoff]
    assert told["kind"] == ("MemoryFailed" if place.fail_closed else "MemoryDegraded")
    assert seen["memory_failures"]["first"][0]["error"] in told["message"]
    extra = seen["execution_time"] - one.held - healthy
    print(f"{fault.name}: {extra:.1f} s longer than a healthy one's {healthy:.1f} s")
    assert extra < 2 * DEADLINE + NOISE

    next_one = await place.hold()
    next_one.go()
    assert (await next_one.ended())["memory"] == "ok"


async def test_a_redis_that_died_between_recall_and_save_and_came_back_costs_nothing(place, healthy):
    one = await place.hold()
    place.redis.kill()
    place.redis.start()
    one.go()
    seen = await one.ended()
    assert (seen["status"], seen["memory"]) == ("completed", "ok"), seen
    await place.replica.ready(seconds=15)


async def test_a_redis_that_answers_each_call_late_costs_no_deadline_a_call(tmp_path):
    """Late for the worker alone: it answers every call just in time, and a kickoff makes many."""
    with start_redis(tmp_path / "redis", with_search=False) as redis:
        async with relay(redis.port) as wire:
            replica = _replica(redis, tmp_path, "Degrade")
            place = Place(redis, replica, tmp_path, "Degrade")
            try:
                replica.start_server()
                await replica.listening()
                replica.start_worker(CREWOPS_REDIS_URL=f"redis://127.0.0.1:{wire.port}/0")
                await replica.ready()
                one = await place.hold()
                wire.late = 0.8 * DEADLINE
                one.go()
                seen = await one.ended()
                extra = seen["execution_time"] - one.held
                print(f"{extra:.1f} s: {seen['memory_failures']}")
                assert extra < 2 * DEADLINE + NOISE
                assert (seen["status"], seen["memory"]) == ("completed", "degraded"), seen
                assert {failure["kind"] for failure in seen["memory_failures"]["first"]} == {"Timeout"}
                wire.late = 0.0
                after = await place.hold()
                after.go()
                assert (await after.ended())["memory"] == "ok"
            finally:
                await replica.close()


async def _replica_says(place: Place, fault: Fault) -> None:
    """Readiness, report and metric of a fault that is the replica's."""
    replica = place.replica
    if not fault.reason:
        await replica.ready()
        return

    async def noticed() -> bool:
        return (await replica.report())["backend"]["reason"] == fault.reason

    await wait_until(noticed, f"the report says {fault.reason}", 15)
    assert await replica.metric("crewops_backend_check_failures_total") > 0
    told = await replica.health.get("/readyz")
    if place.fail_closed:
        assert (told.status_code, told.json()["reason"]) == (503, f"Memory{fault.reason}")
    else:
        assert told.status_code == 200
    refused = await replica.api.post("/kickoff", json={"inputs": {"message": "refused"}})
    assert (refused.status_code, refused.json()["reason"]) == (503, f"Memory{fault.reason}")
    assert int(refused.headers["retry-after"]) > 0


async def _recovered(place: Place, fault: Fault) -> None:
    await place.replica.ready(seconds=20)

    async def answers() -> bool:
        return (await place.replica.report())["backend"]["ready"]

    await wait_until(answers, "the report says that Redis is back", 20)
    if fault.reason:
        lines = [line for line in place.replica.log("server").splitlines() if "backend changed" in line]
        assert '"reason": "Ok"' in lines[-1], lines


def _judged(place: Place, seen: dict, one: Held) -> None:
    if seen["memory"] != "degraded":
        pytest.fail(f"{seen}\n{place.story()}")
    assert seen["result"]["output"].startswith(one.name), seen
    if place.fail_closed:
        assert (seen["status"], seen["reason"]) == ("error", "MemoryFailed"), seen
    else:
        assert seen["status"] == "completed", seen


@pytest.mark.parametrize("on_failure", ["FailClosed", "Degrade"])
async def test_a_kind_of_state_that_does_not_fit_this_crewai_is_no_secret(tmp_path, on_failure):
    with start_redis(tmp_path / "redis", with_search=False) as redis:
        replica = Replica(
            redis.url,
            worker=(crew_python(), str(TESTS / "support" / "other_crewai_worker.py")),
            CREWOPS_ENTRYPOINT="support.user_crews.plain:crew",
            CREWOPS_MEMORY_ON_FAILURE=on_failure,
            PYTHONPATH=str(TESTS),
        )
        try:
            replica.start_server()
            await replica.listening()
            replica.start_worker()
            if on_failure == "FailClosed":
                told = await replica.ready(wanted=False, reason="StateLocal")
                assert "task-outputs would stay in sqlite" in told["message"]
                assert ".load of this CrewAI" in told["message"]
                assert "onFailure" in told["message"]
                refused = await replica.api.post("/kickoff", json={"inputs": {"message": "hi"}})
                assert (refused.status_code, refused.json()["reason"]) == (503, "StateLocal")
            else:
                await replica.ready()
                seen = await replica.ended(await replica.kickoff(message="hi"), 30)
                assert seen["status"] == "completed"
            kinds = {one["kind"]: one for one in (await replica.report())["worker"]["state"]}
            assert (kinds["task-outputs"]["local"], kinds["task-outputs"]["unfit"]) == (True, True)
            assert not any(one["unfit"] for kind, one in kinds.items() if kind != "task-outputs")
        finally:
            await replica.close()
