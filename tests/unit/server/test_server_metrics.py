"""What Prometheus is told, and that the dashboard asks for nothing else."""

from __future__ import annotations

import json
import re
from decimal import Decimal
from pathlib import Path

import pytest
from prometheus_client.parser import text_string_to_metric_families

from uncrop.capacity.capacity import Capacity
from uncrop.capacity.slots import Slots
from uncrop.model import PictureFacts, StageTime, TokenUsage
from uncrop.server.metrics import Metrics
from uncrop.service.report import RunEnd

DASHBOARD = Path(__file__).parents[3] / "deploy/grafana/uncrop.json"
FACTS = PictureFacts(
    provider="clipdrop",
    request_id="req_1",
    credits_consumed=Decimal("1.5"),
    usage=TokenUsage(input_tokens=40, output_tokens=2, total_tokens=42),
)
STAGES = (StageTime(name="intake", milliseconds=2.0), StageTime(name="provider", milliseconds=1500.0))
# PromQL's own words in the dashboard's queries.
FUNCTIONS = frozenset({"sum", "rate", "increase", "histogram_quantile", "max", "by", "le"})


@pytest.fixture
def metrics() -> Metrics:
    capacity = Capacity(slots=Slots(3, 5))
    return Metrics(capacity=capacity.figures, breakers=lambda: {"clipdrop": "open"})


def samples(metrics: Metrics) -> dict[tuple[str, tuple[tuple[str, str], ...]], float]:
    families = text_string_to_metric_families(metrics.render().decode())
    return {
        (each.name, tuple(sorted(each.labels.items()))): each.value for family in families for each in family.samples
    }


def test_a_picture_is_counted_under_its_provider(metrics: Metrics) -> None:
    end = RunEnd(provider="clipdrop", outcome="OK", stages=STAGES, billed_calls=2, facts=FACTS)
    metrics.picture(end)
    metrics.picture(end)
    told = samples(metrics)
    by = ("provider", "clipdrop")
    assert told["uncrop_provider_outcomes_total", (("outcome", "OK"), by)] == 2
    assert told["uncrop_provider_billed_calls_total", (by,)] == 4
    assert told["uncrop_provider_credits_total", (by,)] == 3.0
    assert told["uncrop_provider_tokens_total", (("direction", "in"), by)] == 80
    assert told["uncrop_provider_tokens_total", (("direction", "out"), by)] == 4
    assert told["uncrop_stage_seconds_sum", (by, ("stage", "provider"))] == 3.0


def test_a_picture_that_was_not_made_counts_its_billed_calls_alone(metrics: Metrics) -> None:
    metrics.picture(RunEnd(provider="openai", outcome="PROVIDER_TIMEOUT", stages=STAGES[:1], billed_calls=1))
    told = {
        name for name, labels in samples(metrics) if ("provider", "openai") in labels and not name.endswith("_created")
    }
    assert told == {
        "uncrop_provider_outcomes_total",
        "uncrop_provider_billed_calls_total",
        *(f"uncrop_stage_seconds_{part}" for part in ("bucket", "count", "sum")),
    }


def test_the_dashboard_asks_for_metrics_and_labels_that_exist(metrics: Metrics) -> None:
    metrics.request(route="/", method="GET", status=200, outcome="OK", seconds=1.0, bytes_in=1, bytes_out=1)
    metrics.picture(RunEnd(provider="clipdrop", outcome="OK", stages=STAGES, billed_calls=1, facts=FACTS))
    known: dict[str, set[str]] = {}
    for name, labels in samples(metrics):
        known.setdefault(name, set()).update(label for label, _ in labels)
    queries = [target["expr"] for panel in panels() for target in panel.get("targets", ())]
    assert len(queries) > 10
    for query in queries:
        bare = re.sub(r'"[^"]*"', "", re.sub(r"\[[^\]]*\]", "", query))
        named = set(re.findall(r"[a-z_]{3,}", bare)) - FUNCTIONS
        metrics_named = named & known.keys()
        assert metrics_named, query
        assert named - metrics_named <= set().union(*(known[name] for name in metrics_named)), query


def test_the_dashboard_asks_for_every_metric_of_a_provider(metrics: Metrics) -> None:
    metrics.picture(RunEnd(provider="clipdrop", outcome="OK", stages=STAGES, billed_calls=1, facts=FACTS))
    text = DASHBOARD.read_text()
    of_providers = {
        name for name, _ in samples(metrics) if name.startswith("uncrop_provider_") and "created" not in name
    }
    assert {name for name in of_providers if name not in text} == set()


def panels() -> list[dict[str, object]]:
    document = json.loads(DASHBOARD.read_text())
    assert len({panel["id"] for panel in document["panels"]}) == len(document["panels"])
    found: list[dict[str, object]] = document["panels"]
    return found


@pytest.mark.parametrize(("alone", "value"), [(None, None), (False, 0.0), (True, 1.0)])
def test_counting_alone_is_told_where_it_should_not_be(alone: bool | None, value: float | None) -> None:
    capacity = Capacity(slots=Slots(3, 5))
    told = samples(Metrics(capacity=capacity.figures, breakers=dict, counts_alone=lambda: alone))
    assert told.get(("uncrop_rate_limiter_local", ())) == value
