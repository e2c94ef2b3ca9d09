"""Spans by the author's own OpenTelemetry SDK: batched, to OTLP over HTTP and to an exporter of their own."""

from collections.abc import Sequence
from typing import Any

from crewai import Crew
from opentelemetry import trace
from opentelemetry.exporter.otlp.proto.http.trace_exporter import OTLPSpanExporter
from opentelemetry.sdk.trace import ReadableSpan, TracerProvider
from opentelemetry.sdk.trace.export import BatchSpanProcessor, SpanExporter, SpanExportResult
from scripted import agent, note, task


class Noting(SpanExporter):
    def export(self, spans: Sequence[ReadableSpan]) -> SpanExportResult:
        for one in spans:
            note(f"exported {one.name}")
        return SpanExportResult.SUCCESS


provider = TracerProvider()
provider.add_span_processor(BatchSpanProcessor(OTLPSpanExporter()))
provider.add_span_processor(BatchSpanProcessor(Noting()))
trace.set_tracer_provider(provider)
tracer = trace.get_tracer("corpus")


def traced(output: Any) -> None:
    with tracer.start_as_current_span("span-last"):
        pass


def crew() -> Crew:
    with tracer.start_as_current_span("span-made"):
        who = agent()
    return Crew(agents=[who], tasks=[task("{order} yes", who)], task_callback=traced)
