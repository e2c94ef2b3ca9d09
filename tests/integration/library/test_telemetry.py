"""`install()` in the user's own application: the providers that are there stay, and what they gather arrives."""

import json
import os
import subprocess
import sys
from pathlib import Path

import pytest

from support.receiver import receiver
from support.redis_server import start_redis

TESTS = Path(__file__).parents[2]
APPLICATION = """
import json, os
before = dict(os.environ)
from opentelemetry import metrics, trace
from opentelemetry.exporter.otlp.proto.http.metric_exporter import OTLPMetricExporter
from opentelemetry.exporter.otlp.proto.http.trace_exporter import OTLPSpanExporter
from opentelemetry.sdk.metrics import MeterProvider
from opentelemetry.sdk.metrics.export import PeriodicExportingMetricReader
from opentelemetry.sdk.trace import TracerProvider
from opentelemetry.sdk.trace.export import BatchSpanProcessor

def set_up():
    tracers = TracerProvider()
    tracers.add_span_processor(BatchSpanProcessor(OTLPSpanExporter(), schedule_delay_millis=3_600_000))
    trace.set_tracer_provider(tracers)
    meters = MeterProvider([PeriodicExportingMetricReader(OTLPMetricExporter(), export_interval_millis=3_600_000)])
    metrics.set_meter_provider(meters)
    return tracers, meters

if not LATE:
    made = set_up()
import crew_runtime
crew_runtime.install()
if LATE:
    made = set_up()
from support.user_crews.plain import make
with crew_runtime.session("room-214"), trace.get_tracer("mine").start_as_current_span("span-of-the-application"):
    metrics.get_meter("mine").create_counter("metric-of-the-application").add(1)
    make().kickoff(inputs={"message": "hi"})
print("SEEN" + json.dumps({
    "same": made == (trace.get_tracer_provider(), metrics.get_meter_provider()),
    "set": sorted(name for name in os.environ if name not in before),
}))
"""


@pytest.mark.parametrize("late", [False, True])
def test_the_application_keeps_its_providers_and_its_switches(tmp_path, late):
    with start_redis(tmp_path, with_search=False) as server, receiver() as collector:
        done = subprocess.run(
            [sys.executable, "-c", f"LATE = {late}{APPLICATION}"],
            env={
                "PATH": os.environ["PATH"],
                "HOME": str(tmp_path),
                "PYTHONPATH": str(TESTS),
                "CREWOPS_REDIS_URL": server.url,
                "CREWOPS_KEY_PREFIX": "library/telemetry",
                "CREWOPS_BACKEND_DEADLINE": "10",
                "OTEL_EXPORTER_OTLP_ENDPOINT": f"http://127.0.0.1:{collector.port}",
            },
            cwd=tmp_path,
            capture_output=True,
            text=True,
            timeout=180,
        )
        assert done.returncode == 0, done.stderr[-3000:]
        seen = json.loads(done.stdout.partition("SEEN")[2].splitlines()[0])
        sent = {path: b"".join(one.raw for one in collector.of(path)) for path in ("v1/traces", "v1/metrics")}
    assert seen["same"]
    by_crewai = {"TOKENIZERS_PARALLELISM"}
    assert sorted({*seen["set"]} - by_crewai) == [
        "CREWAI_DISABLE_TELEMETRY",
        "CREWAI_DISABLE_VERSION_CHECK",
        "ORT_DISABLE_TELEMETRY",
    ]
    assert b"span-of-the-application" in sent["v1/traces"]
    assert b"metric-of-the-application" in sent["v1/metrics"]
