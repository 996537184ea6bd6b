"""Spans by OpenTelemetry, sent to a collector over OTLP/HTTP; the only module that imports the SDK (extra ``otel``)."""

from __future__ import annotations

import asyncio
from contextlib import asynccontextmanager, contextmanager
from typing import TYPE_CHECKING

from opentelemetry.exporter.otlp.proto.http.trace_exporter import OTLPSpanExporter
from opentelemetry.sdk.resources import OTELResourceDetector, Resource
from opentelemetry.sdk.trace import TracerProvider
from opentelemetry.sdk.trace.export import BatchSpanProcessor
from opentelemetry.trace import SpanKind as Kind
from opentelemetry.trace import StatusCode
from opentelemetry.trace.propagation.tracecontext import TraceContextTextMapPropagator

from uncrop._version import __version__
from uncrop.errors import UncropError

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Iterator, Mapping

    from opentelemetry.trace import Span as RecordedSpan

    from uncrop.telemetry.spans import Fact, Span, SpanKind, Tracer

TRACES_PATH = "/v1/traces"
# A collector that does not answer keeps neither the server nor its end waiting for longer.
SEND_S = 5
_KINDS = {"internal": Kind.INTERNAL, "server": Kind.SERVER, "client": Kind.CLIENT}


class OpenTelemetryTracer:
    """Records spans with the given provider, which is closed by whoever opened it."""

    def __init__(self, provider: TracerProvider) -> None:
        self._tracer = provider.get_tracer("uncrop", __version__)
        self._propagator = TraceContextTextMapPropagator()

    @contextmanager
    def span(
        self,
        name: str,
        facts: Mapping[str, Fact] | None = None,
        *,
        kind: SpanKind = "internal",
        headers: Mapping[str, str] | None = None,
    ) -> Iterator[Span]:
        """Begin a span, as ``Tracer.span`` tells."""
        with self._tracer.start_as_current_span(
            name,
            context=None if headers is None else self._propagator.extract(headers),
            kind=_KINDS[kind],
            attributes=facts,
            # The texts of foreign exceptions may hold anything.
            record_exception=False,
            set_status_on_exception=False,
        ) as recorded:
            span = _Recorded(recorded)
            try:
                yield span
            except UncropError as error:
                span.fail(error.code)
                raise
            except BaseException as error:
                span.fail(type(error).__name__)
                raise


class _Recorded:
    def __init__(self, span: RecordedSpan) -> None:
        self._span = span

    def note(self, facts: Mapping[str, Fact]) -> None:
        """Add facts."""
        self._span.set_attributes(facts)

    def rename(self, name: str) -> None:
        """Give it another name."""
        self._span.update_name(name)

    def fail(self, code: str) -> None:
        """Mark it as failed."""
        self._span.set_status(StatusCode.ERROR)
        self._span.set_attribute("error.type", code)


@asynccontextmanager
async def open_tracer(endpoint: str) -> AsyncIterator[Tracer]:
    """Open a tracer whose spans go to a collector, in batches from a thread; what is left is sent at the end.

    ``OTEL_RESOURCE_ATTRIBUTES``, ``OTEL_SERVICE_NAME``, ``OTEL_TRACES_SAMPLER`` and ``OTEL_EXPORTER_OTLP_HEADERS`` are
    read by the SDK itself.

    Parameters
    ----------
    endpoint
        Base address of the collector, for example ``http://127.0.0.1:4318``.
    """
    known = Resource.create({"service.name": "uncrop", "service.version": __version__})
    provider = TracerProvider(resource=known.merge(OTELResourceDetector().detect()))
    exporter = OTLPSpanExporter(endpoint=endpoint.rstrip("/") + TRACES_PATH, timeout=SEND_S)
    provider.add_span_processor(BatchSpanProcessor(exporter))
    try:
        yield OpenTelemetryTracer(provider)
    finally:
        # It waits for the collector.
        await asyncio.to_thread(provider.shutdown)
