"""The arithmetic of ``scripts/bench growth``, on numbers worked out by hand."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

BENCHMARKS = Path(__file__).parents[3] / "benchmarks"


@pytest.fixture
def model(monkeypatch: pytest.MonkeyPatch) -> Any:
    monkeypatch.syspath_prepend(str(BENCHMARKS))
    import growth_model

    return growth_model


@pytest.fixture
def costs(model: Any) -> Any:
    return model.Costs(
        server_s=0.01,
        decoders_s=0.01,
        engine_s=0.0,
        database_s=0.002,
        commits=3.0,
        redis_s=0.0001,
        redis_commands=4.0,
    )


@pytest.fixture
def given(model: Any) -> Any:
    return model.Given(
        cores=4,
        database_cores=8,
        database_connections=100,
        connections_each=17,
        commits_each_s=3000.0,
        one_organization_s=200.0,
    )


def test_a_server_is_bounded_by_its_one_process_or_by_its_machine(model: Any, costs: Any, given: Any) -> None:
    assert model.pictures_a_replica(costs, given) == pytest.approx(0.7 * 100)
    by_engine = model.Costs(**{**vars_of(costs), "engine_s": 1.98})
    assert model.pictures_a_replica(by_engine, given) == pytest.approx(0.7 * 2)


def vars_of(costs: Any) -> dict[str, float]:
    return {name: getattr(costs, name) for name in costs.__dataclass_fields__}


def test_the_first_ceiling_is_named_first(model: Any, costs: Any, given: Any) -> None:
    found = model.ceilings(costs, given)
    assert list(found.items()) == [
        ("one organization's row", pytest.approx(140)),
        ("PostgreSQL's connections", pytest.approx(5 * 70)),
        ("PostgreSQL's commits", pytest.approx(700)),
        ("PostgreSQL's processor", pytest.approx(2800)),
        ("Redis's one thread", pytest.approx(7000)),
    ]


@pytest.mark.parametrize(
    ("rate", "replicas", "ended"),
    [(1, 1, 0), (70, 1, 0), (71, 2, 0), (141, 3, 1), (1000, 15, 3), (10_000, 143, 5)],
)
def test_what_a_rate_needs(model: Any, costs: Any, given: Any, rate: int, replicas: int, ended: int) -> None:
    found = model.need(rate, costs, given)
    assert (found.replicas, len(found.ended)) == (replicas, ended)
    assert found.commits_s == pytest.approx(3 * rate)
    assert found.redis_commands_s == pytest.approx(4 * rate)
    assert found.cores == pytest.approx(rate * 0.02 / 0.7)


def test_a_run_on_one_machine_is_predicted_from_all_that_runs_there(model: Any, costs: Any) -> None:
    beside = 0.0179  # together with the rest, 0.04 s a picture
    assert model.predicted_rate(costs, servers=1, cores=2, beside_s=beside) == pytest.approx(50)
    assert model.predicted_rate(costs, servers=1, cores=8, beside_s=beside) == pytest.approx(100)
    assert model.predicted_rate(costs, servers=2, cores=8, beside_s=beside) == pytest.approx(200)
