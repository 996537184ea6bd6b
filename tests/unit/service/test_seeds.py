"""The seeds of several pictures of one request."""

from __future__ import annotations

from hypothesis import given
from hypothesis import strategies as st

from uncrop.engine import family_seed
from uncrop.model import FieldFacts
from uncrop.providers.registry import load_rows
from uncrop.service.seeds import DRAWN_BELOW, seed_of

LOCAL = load_rows(())["local"].field("seed")


def row(low: int, high: int) -> FieldFacts:
    return FieldFacts(name="seed", help="", minimum=low, maximum=high)


def test_they_are_the_one_asked_for_and_the_others_of_its_family() -> None:
    assert [seed_of(LOCAL, 42, 0, number) for number in range(4)] == [42, 43, 40, 41]


@given(drawn=st.integers(0, DRAWN_BELOW - 1), low=st.integers(0, 9), extent=st.integers(4, 2**32))
def test_those_that_are_drawn_differ_and_lie_within_the_range(drawn: int, low: int, extent: int) -> None:
    seeds = [seed_of(row(low, low + extent - 1), None, drawn, number) for number in range(4)]
    assert len(set(seeds)) == 4
    assert all(seed is not None and low <= seed < low + extent for seed in seeds)


@given(drawn=st.integers(0, DRAWN_BELOW - 1))
def test_the_local_engine_gets_one_family(drawn: int) -> None:
    seeds = [seed_of(LOCAL, None, drawn, number) for number in range(4)]
    assert len({family_seed(seed) for seed in seeds if seed is not None}) == 1


def test_at_the_end_of_a_range_they_go_on_at_its_start() -> None:
    assert [seed_of(row(0, 100_000), 100_000, 0, number) for number in range(4)] == [100_000, 0, 1, 2]


def test_what_a_provider_does_not_take_is_left_for_it_to_refuse() -> None:
    assert [seed_of(None, asked, 5, 2) for asked in (None, 7)] == [None, 7]
    assert [seed_of(row(0, 10), asked, 5, 2) for asked in (-1, 11)] == [-1, 11]
