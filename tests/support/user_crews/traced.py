"""A crew that measures itself with the user's own OpenTelemetry SDK, set up as `TELEMETRY` says, when it is imported.

`otlp`: batches over HTTP, with threads from the import on. `simple`: the same at once, without a thread. `console`: as
the SDK's own quick start. `langfuse`: a batch processor of its own kind, and a queue of scores that a thread sends.
`lazy`: as otlp, but in the first kickoff. `elsewhere`: the process was set up before this module was imported.
The input `deed` says how the kickoff ends.
"""

import atexit
import json
import logging
import os
import queue
import threading
import time
import urllib.request
from typing import Any

from crewai import Agent, Crew, Task
from crewai.tools import tool
from opentelemetry import metrics, trace
from opentelemetry._logs import set_logger_provider
from opentelemetry.context import Context
from opentelemetry.exporter.otlp.proto.http._log_exporter import OTLPLogExporter
from opentelemetry.exporter.otlp.proto.http.metric_exporter import OTLPMetricExporter
from opentelemetry.exporter.otlp.proto.http.trace_exporter import OTLPSpanExporter
from opentelemetry.sdk._logs import LoggerProvider, LoggingHandler
from opentelemetry.sdk._logs.export import BatchLogRecordProcessor
from opentelemetry.sdk.metrics import MeterProvider
from opentelemetry.sdk.metrics.export import PeriodicExportingMetricReader
from opentelemetry.sdk.trace import Span, TracerProvider
from opentelemetry.sdk.trace.export import BatchSpanProcessor, ConsoleSpanExporter, SimpleSpanProcessor

from support.user_crews.hostile import CallingLLM

HOW = os.environ.get("TELEMETRY", "otlp")
NEVER = 3_600_000
"""Milliseconds between two batches: what arrives was flushed at the end."""

log = logging.getLogger("users.own")


class LangfuseLike(BatchSpanProcessor):
    """Marks each span when it begins, and sends scores beside them: as Langfuse's own processor and consumers do."""

    def __init__(self, endpoint: str) -> None:
        exporter = OTLPSpanExporter(f"{endpoint}/v1/traces", headers={"Authorization": "Basic eDp5"})
        super().__init__(exporter, schedule_delay_millis=NEVER)
        self._url = f"{endpoint}/scores"
        self._scores: queue.Queue[Any] = queue.Queue()
        threading.Thread(target=self._consume, daemon=True).start()
        atexit.register(self._scores.join)

    def on_start(self, span: Span, parent_context: Context | None = None) -> None:
        span.set_attribute("langfuse.environment", "marked-when-begun")
        super().on_start(span, parent_context)

    def score(self, name: str) -> None:
        self._scores.put({"name": name})

    def _consume(self) -> None:
        while True:
            score = self._scores.get()
            time.sleep(0.2)
            body = json.dumps(score).encode()
            urllib.request.urlopen(urllib.request.Request(self._url, body), timeout=5).close()
            self._scores.task_done()


def set_up() -> None:
    spans = TracerProvider()
    if HOW == "console":
        spans.add_span_processor(BatchSpanProcessor(ConsoleSpanExporter(), schedule_delay_millis=NEVER))
    elif HOW == "simple":
        spans.add_span_processor(SimpleSpanProcessor(OTLPSpanExporter()))
    elif HOW == "langfuse":
        spans.add_span_processor(LangfuseLike(os.environ["OTEL_EXPORTER_OTLP_ENDPOINT"]))
    else:
        spans.add_span_processor(BatchSpanProcessor(OTLPSpanExporter(), schedule_delay_millis=NEVER))
        reader = PeriodicExportingMetricReader(OTLPMetricExporter(), export_interval_millis=NEVER)
        metrics.set_meter_provider(MeterProvider([reader]))
        records = LoggerProvider()
        records.add_log_record_processor(BatchLogRecordProcessor(OTLPLogExporter(), schedule_delay_millis=NEVER))
        set_logger_provider(records)
        log.addHandler(LoggingHandler(logger_provider=records))
        log.setLevel(logging.INFO)
    trace.set_tracer_provider(spans)


if HOW not in ("lazy", "elsewhere"):
    set_up()


def tracer() -> trace.Tracer:
    return trace.get_tracer("users.own")


def _late() -> None:
    time.sleep(1.0)
    with tracer().start_as_current_span("span-of-a-thread-left-behind"):
        pass


@tool
def act(deed: str) -> str:
    """Do the deed."""
    with tracer().start_as_current_span(f"span-{deed}"):
        metrics.get_meter("users.own").create_counter(f"metric-{deed}").add(1)
        log.info("log-%s", deed)
        if deed == "thread":
            threading.Thread(target=_late).start()
        if deed == "daemon":
            threading.Thread(target=threading.Event().wait, daemon=True).start()
    if deed == "hang":
        print("hang begins", flush=True)
        time.sleep(120)
    return deed


def last(output: Any) -> Any:
    """The last that the kickoff does."""
    with tracer().start_as_current_span("span-at-the-very-end"):
        if isinstance(processor := _processor(), LangfuseLike):
            processor.score("score-at-the-very-end")
        if "linger" in str(output.raw):
            print("linger begins", flush=True)
            time.sleep(120)
        if "fail" in str(output.raw):
            raise RuntimeError("the crew's last step failed")
    return output


def _processor() -> Any:
    active = getattr(trace.get_tracer_provider(), "_active_span_processor", None)
    return next(iter(getattr(active, "_span_processors", ())), None)


def crew() -> Crew:
    if HOW == "lazy":
        set_up()
    agent = Agent(role="Doer", goal="do", backstory="does", llm=CallingLLM(model="calling"), tools=[act], cache=False)
    task = Task(description="Do the deed {deed}", expected_output="what was done", agent=agent)
    return Crew(agents=[agent], tasks=[task], cache=False, after_kickoff_callbacks=[last])
