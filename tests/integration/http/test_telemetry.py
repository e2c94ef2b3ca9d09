"""What the user's own OpenTelemetry SDK gathered in a kickoff arrives, however the kickoff ends: the whole replica.

No batch is ever due by time, so whatever arrives was sent when the kickoff's process ended.
"""

import asyncio
from pathlib import Path

import pytest

from support.processes import alive
from support.receiver import Receiver, receiver
from support.replicas import wait_until

TESTS = Path(__file__).parents[2]
SIGNALS = {"span": "v1/traces", "metric": "v1/metrics", "log": "v1/logs"}


@pytest.fixture
def collector():
    """An OTLP collector over HTTP: names are looked for in the protobuf as they are."""
    with receiver() as one:
        yield one


@pytest.fixture
def traced(real, collector):
    async def start(how: str, **options):
        return await real(
            "traced:crew",
            TELEMETRY=how,
            OTEL_EXPORTER_OTLP_ENDPOINT=f"http://127.0.0.1:{collector.port}",
            **options,
        )

    return start


def sent(collector: Receiver, path: str) -> bytes:
    return b"".join(one.raw for one in collector.of(path))


async def arrives(collector: Receiver, path: str, name: str) -> None:
    async def there() -> bool:
        return name.encode() in sent(collector, path)

    await wait_until(there, f"{name} arrives at {path}")


@pytest.mark.parametrize(("how", "mode"), [("otlp", "Fork"), ("lazy", "Preload"), ("simple", "Preload")])
async def test_each_signal_of_a_kickoff_arrives_and_the_last_one_too(traced, collector, how, mode):
    replica = await traced(how)
    report = (await replica.report())["worker"]
    assert report["fork_mode"] == mode, report["fork_reason"]
    assert (await replica.ended(await replica.kickoff(deed="fine")))["status"] == "completed"
    for signal, path in SIGNALS.items():
        if how != "simple" or signal == "span":
            await arrives(collector, path, f"{signal}-fine")
    await arrives(collector, "v1/traces", "span-at-the-very-end")


async def test_a_result_does_not_wait_for_a_collector_that_hangs(traced, collector):
    collector.answers = ["hang"] * 20
    replica = await traced("otlp")
    answer = await replica.api.post("/kickoff?wait=20", json={"inputs": {"deed": "fine"}})
    assert answer.json()["status"] == "completed"
    pid = await replica.started(answer.json()["kickoff_id"])

    async def flushing() -> bool:
        return bool(collector.received)

    await wait_until(flushing, "it has begun to flush")
    assert alive(pid), "the process is still at it"
    assert (await replica.ended(await replica.kickoff(deed="again")))["status"] == "completed"

    async def gone() -> bool:
        return not alive(pid)

    await wait_until(gone, "it gives up", 20)


async def test_a_kickoff_that_fails_has_its_spans(traced, collector):
    replica = await traced("otlp")
    seen = await replica.ended(await replica.kickoff(deed="fail"))
    assert seen["status"] == "error", seen
    await arrives(collector, "v1/traces", "span-fail")
    await arrives(collector, "v1/traces", "the crew's last step failed")
    await arrives(collector, "v1/logs", "log-fail")


@pytest.mark.parametrize("deed", ["hang", "linger"])
async def test_a_kickoff_that_is_cancelled_has_what_it_finished_until_then(traced, collector, deed):
    """`hang`: in a tool, whose thread CrewAI waits for whatever happens; `linger`: in a span of the main thread."""
    replica = await traced("otlp")
    kickoff = await replica.kickoff(deed=deed)
    pid = await replica.started(kickoff)

    async def stuck() -> bool:
        return f"{deed} begins" in replica.log("worker")

    await wait_until(stuck, "it does not go on")
    assert (await replica.api.delete(f"/kickoff/{kickoff}")).json()["status"] == "cancelled"
    for signal, path in SIGNALS.items():
        await arrives(collector, path, f"{signal}-{deed}")
    if deed == "linger":
        await arrives(collector, "v1/traces", "span-at-the-very-end")

    async def gone() -> bool:
        return not alive(pid)

    await wait_until(gone, "the slot is gone", 5)


async def test_a_thread_that_outlives_its_kickoff_is_waited_for(traced, collector):
    replica = await traced("otlp")
    answer = await replica.api.post("/kickoff?wait=20", json={"inputs": {"deed": "thread"}})
    assert answer.json()["status"] == "completed"
    await arrives(collector, "v1/traces", "span-of-a-thread-left-behind")
    await arrives(collector, "v1/traces", "span-at-the-very-end")


async def test_a_daemon_thread_that_never_ends_keeps_nothing_back(traced, collector):
    replica = await traced("otlp")
    kickoff = await replica.kickoff(deed="daemon")
    assert (await replica.ended(kickoff))["status"] == "completed"
    await arrives(collector, "v1/traces", "span-at-the-very-end")
    pid = await replica.started(kickoff)

    async def gone() -> bool:
        return not alive(pid)

    await wait_until(gone, "the slot is gone", 5)


async def test_what_goes_to_the_console_stands_in_the_log(traced):
    replica = await traced("console")
    assert (await replica.ended(await replica.kickoff(deed="fine")))["status"] == "completed"

    async def there() -> bool:
        return '"name": "span-fine"' in replica.log("worker") and "span-at-the-very-end" in replica.log("worker")

    await wait_until(there, "the spans are printed")


async def test_a_processor_with_a_queue_and_a_thread_of_its_own_sends_what_it_has(traced, collector):
    replica = await traced("langfuse")
    assert (await replica.ended(await replica.kickoff(deed="fine")))["status"] == "completed"
    await arrives(collector, "v1/traces", "span-fine")
    assert b"marked-when-begun" in sent(collector, "v1/traces")
    assert collector.of("v1/traces")[0].headers["authorization"] == "Basic eDp5"
    await arrives(collector, "scores", "score-at-the-very-end")


async def test_an_agent_that_is_there_before_crewai_works_too(traced, collector, tmp_path):
    """As `opentelemetry-instrument` and the OpenTelemetry operator do it: by `sitecustomize`."""
    (tmp_path / "sitecustomize.py").write_text(
        "from opentelemetry import trace\n"
        "from opentelemetry.exporter.otlp.proto.http.trace_exporter import OTLPSpanExporter\n"
        "from opentelemetry.sdk.trace import TracerProvider\n"
        "from opentelemetry.sdk.trace.export import BatchSpanProcessor\n"
        "made = TracerProvider()\n"
        "made.add_span_processor(BatchSpanProcessor(OTLPSpanExporter(), schedule_delay_millis=3_600_000))\n"
        "trace.set_tracer_provider(made)\n"
    )
    replica = await traced(
        "elsewhere", fresh=True, CREWOPS_CONCURRENCY="1", PYTHONPATH=f"{tmp_path}:{TESTS}", start=False
    )
    await replica.start(worker=False)
    replica.start_worker()
    await replica.ready(seconds=90)  # CrewAI is imported twice, one after the other
    assert (await replica.report())["worker"]["fork_mode"] == "Spawn"
    assert (await replica.ended(await replica.kickoff(deed="fine"), 40))["status"] == "completed"
    await arrives(collector, "v1/traces", "span-at-the-very-end")


async def test_each_of_several_kickoffs_at_once_sends_its_own(traced, collector):
    replica = await traced("otlp", CREWOPS_CONCURRENCY="2")
    deeds = [f"deed{number}" for number in range(6)]
    kickoffs = await asyncio.gather(*(replica.kickoff(deed=deed) for deed in deeds))
    for one in kickoffs:
        assert (await replica.ended(one, 30))["status"] == "completed"
    for deed in deeds:
        await arrives(collector, "v1/traces", f"span-{deed}")
