"""What Prometheus is told, in a registry of its own."""

from __future__ import annotations

from typing import TYPE_CHECKING

from prometheus_client import (
    CollectorRegistry,
    Counter,
    GCCollector,
    Histogram,
    PlatformCollector,
    ProcessCollector,
    generate_latest,
)
from prometheus_client.core import GaugeMetricFamily
from prometheus_client.registry import Collector

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Mapping

    from uncrop.service.report import RunEnd

MEDIA_TYPE = "text/plain; version=0.0.4; charset=utf-8"
_METHODS = frozenset({"GET", "HEAD", "POST", "PUT", "PATCH", "DELETE", "OPTIONS"})
_SECONDS = (0.005, 0.025, 0.1, 0.25, 0.5, 1, 2.5, 5, 10, 30, 60, 180)
_BREAKER_LEVELS = {"closed": 0, "half_open": 1, "open": 2}


class Metrics:
    """Counters and histograms of one server.

    Labels take known values only, so that no client can make their number grow.

    Parameters
    ----------
    capacity
        Returns how much of each part of the capacity is in use.
    breakers
        Returns the state of every provider's breaker.
    counts_alone
        Returns whether rate limits are counted by this process since Redis is away; ``None`` where there is none.
    """

    def __init__(
        self,
        *,
        capacity: Callable[[], Mapping[str, int]],
        breakers: Callable[[], Mapping[str, str]],
        counts_alone: Callable[[], bool | None] = lambda: None,
    ) -> None:
        self._registry = CollectorRegistry()
        ProcessCollector(registry=self._registry)
        PlatformCollector(registry=self._registry)
        GCCollector(registry=self._registry)
        self._registry.register(_Gauges(capacity, breakers, counts_alone))
        self._requests = Counter(
            "uncrop_requests",
            "Requests answered; status 499 means that the client left before.",
            ("route", "method", "status", "outcome"),
            registry=self._registry,
        )
        self._seconds = Histogram(
            "uncrop_request_seconds",
            "From the first byte of a request's head to the last byte handed to the socket.",
            ("route",),
            buckets=_SECONDS,
            registry=self._registry,
        )
        self._stages = Histogram(
            "uncrop_stage_seconds",
            "Time in each stage of making a picture.",
            ("stage", "provider"),
            buckets=_SECONDS,
            registry=self._registry,
        )
        self._outcomes = Counter(
            "uncrop_provider_outcomes",
            "How the requests for a provider ended: OK, CANCELLED or an error code.",
            ("provider", "outcome"),
            registry=self._registry,
        )
        self._calls = Counter(
            "uncrop_provider_billed_calls",
            "Calls that may be billed and have reached the provider, whether or not a picture came of them.",
            ("provider",),
            registry=self._registry,
        )
        self._credits = Counter(
            "uncrop_provider_credits",
            "Credits that the provider said it took for pictures that were made.",
            ("provider",),
            registry=self._registry,
        )
        self._tokens = Counter(
            "uncrop_provider_tokens",
            "Tokens that the provider counted for pictures that were made.",
            ("provider", "direction"),
            registry=self._registry,
        )
        self._bytes = Counter("uncrop_body_bytes", "Bytes of bodies.", ("direction",), registry=self._registry)

    def request(
        self, *, route: str, method: str, status: int, outcome: str, seconds: float, bytes_in: int, bytes_out: int
    ) -> None:
        """Count one request."""
        known_method = method if method in _METHODS else "OTHER"
        self._requests.labels(route, known_method, str(status), outcome).inc()
        self._seconds.labels(route).observe(seconds)
        self._bytes.labels("in").inc(bytes_in)
        self._bytes.labels("out").inc(bytes_out)

    def picture(self, end: RunEnd) -> None:
        """Count one picture that was made, or was not; ``end.provider`` must be a name of the registry."""
        self._outcomes.labels(end.provider, end.outcome).inc()
        for stage in end.stages:
            self._stages.labels(stage.name, end.provider).observe(stage.milliseconds / 1000)
        if end.billed_calls:
            self._calls.labels(end.provider).inc(end.billed_calls)
        if end.facts is not None and end.facts.credits_consumed is not None:
            self._credits.labels(end.provider).inc(float(end.facts.credits_consumed))
        if end.facts is not None and (usage := end.facts.usage) is not None:
            self._tokens.labels(end.provider, "in").inc(usage.input_tokens)
            self._tokens.labels(end.provider, "out").inc(usage.output_tokens)

    def render(self) -> bytes:
        """Return everything in the text format."""
        return generate_latest(self._registry)


class _Gauges(Collector):
    """Reads capacity and breakers at the moment they are asked for."""

    def __init__(
        self,
        capacity: Callable[[], Mapping[str, int]],
        breakers: Callable[[], Mapping[str, str]],
        counts_alone: Callable[[], bool | None],
    ) -> None:
        self._capacity = capacity
        self._breakers = breakers
        self._counts_alone = counts_alone

    def collect(self) -> Iterable[GaugeMetricFamily]:
        """Return all gauges."""
        used = self._capacity()
        slots = GaugeMetricFamily("uncrop_slots", "Requests that run, and that wait for a slot.", labels=["state"])
        for state in ("running", "waiting"):
            slots.add_metric([state], used[state])
        held = GaugeMetricFamily(
            "uncrop_capacity_used", "How much of each part of the capacity is in use.", labels=["part"]
        )
        for part, amount in used.items():
            held.add_metric([part], amount)
        breakers = GaugeMetricFamily(
            "uncrop_breaker_state", "Breaker of a provider: 0 closed, 1 half open, 2 open.", labels=["provider"]
        )
        for provider, state in self._breakers().items():
            breakers.add_metric([provider], _BREAKER_LEVELS[state])
        alone = self._counts_alone()
        if alone is None:
            return [slots, held, breakers]
        local = GaugeMetricFamily(
            "uncrop_rate_limiter_local",
            "1 while rate limits are counted by this process alone since Redis does not answer, else 0.",
        )
        local.add_metric([], alone)
        return [slots, held, breakers, local]
