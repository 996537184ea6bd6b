"""Spans are recorded with their kin, their kind and how they ended, and with nobody else's text."""

from __future__ import annotations

import asyncio

import pytest
from anyio import to_thread
from opentelemetry.sdk.trace import ReadableSpan, TracerProvider
from opentelemetry.sdk.trace.export import SimpleSpanProcessor
from opentelemetry.sdk.trace.export.in_memory_span_exporter import InMemorySpanExporter
from opentelemetry.trace import SpanKind, StatusCode

from uncrop.errors import ProviderTimeout
from uncrop.telemetry.otel import OpenTelemetryTracer
from uncrop.telemetry.spans import UNTRACED, Tracer

PARENT = "00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01"


class Recorder:
    """A tracer, and what it has recorded."""

    def __init__(self) -> None:
        self.exporter = InMemorySpanExporter()
        provider = TracerProvider()
        provider.add_span_processor(SimpleSpanProcessor(self.exporter))
        self.tracer: Tracer = OpenTelemetryTracer(provider)

    def spans(self) -> dict[str, ReadableSpan]:
        return {span.name: span for span in self.exporter.get_finished_spans()}


@pytest.fixture
def recorder() -> Recorder:
    return Recorder()


async def test_what_begins_within_a_span_belongs_to_it_in_tasks_and_threads_too(recorder: Recorder) -> None:
    def in_thread() -> None:
        with recorder.tracer.span("decode"):
            pass

    async def in_task() -> None:
        with recorder.tracer.span("intake"):
            await to_thread.run_sync(in_thread)

    with recorder.tracer.span("request", {"a": 1}, kind="server") as span:
        await asyncio.create_task(in_task())
        span.note({"b": True})
        span.rename("/route")
    spans = recorder.spans()
    assert spans.keys() == {"decode", "intake", "/route"}
    outer, middle, inner = spans["/route"], spans["intake"], spans["decode"]
    assert outer.parent is None
    assert middle.parent is not None
    assert inner.parent is not None
    assert (middle.parent.span_id, inner.parent.span_id) == (outer.context.span_id, middle.context.span_id)
    assert dict(outer.attributes or {}) == {"a": 1, "b": True}
    assert (outer.kind, middle.kind) == (SpanKind.SERVER, SpanKind.INTERNAL)
    assert outer.status.status_code is StatusCode.UNSET


@pytest.mark.parametrize(
    ("error", "told"),
    [
        (ProviderTimeout(), "PROVIDER_TIMEOUT"),
        (ValueError("sk-secret"), "ValueError"),
        (asyncio.CancelledError("sk-secret"), "CancelledError"),
    ],
    ids=["ours", "foreign", "cancelled"],
)
def test_an_error_is_told_by_its_kind_and_never_by_its_text(
    recorder: Recorder, error: BaseException, told: str
) -> None:
    with pytest.raises(type(error)), recorder.tracer.span("provider"):
        raise error
    span = recorder.spans()["provider"]
    assert span.status.status_code is StatusCode.ERROR
    assert dict(span.attributes or {}) == {"error.type": told}
    assert "sk-secret" not in span.to_json()


def test_the_callers_own_trace_goes_on(recorder: Recorder) -> None:
    with recorder.tracer.span("request", kind="server", headers={"traceparent": PARENT}):
        pass
    span = recorder.spans()["request"]
    assert span.parent is not None
    assert f"{span.context.trace_id:032x}" == PARENT.split("-")[1]
    assert f"{span.parent.span_id:016x}" == PARENT.split("-")[2]


@pytest.mark.parametrize("sent", ["", "00-zz-01", "x" * 5000])
def test_a_trace_that_makes_no_sense_begins_a_new_one(recorder: Recorder, sent: str) -> None:
    with recorder.tracer.span("request", kind="server", headers={"traceparent": sent}):
        pass
    assert recorder.spans()["request"].parent is None


def test_without_a_tracer_all_is_forgotten_and_errors_pass() -> None:
    with UNTRACED.span("request", {"a": 1}, kind="server", headers={"traceparent": PARENT}) as span:
        span.note({"b": 2})
        span.rename("other")
        span.fail("CODE")
    with pytest.raises(ValueError, match="out"), UNTRACED.span("request"):
        raise ValueError("out")
