"""The breaker, in virtual time."""

from __future__ import annotations

import pytest

from uncrop.errors import ContentRejected, ProviderError, ProviderTimeout, ProviderUnavailable
from uncrop.providers.transport.breaker import Breaker


class Clock:
    def __init__(self) -> None:
        self.now = 1000.0

    def __call__(self) -> float:
        return self.now


@pytest.fixture
def clock() -> Clock:
    return Clock()


@pytest.fixture
def breaker(clock: Clock) -> Breaker:
    return Breaker("clipdrop", clock=clock, window_s=30, min_calls=10, pause_s=15)


def call(breaker: Breaker, *, fails: bool, excused: bool = False) -> None:
    with breaker.watch() as watch:
        watch.excused = excused
        if fails:
            raise ProviderError


def fail(breaker: Breaker, times: int = 1, *, excused: bool = False) -> None:
    for _ in range(times):
        with pytest.raises(ProviderError):
            call(breaker, fails=True, excused=excused)


def succeed(breaker: Breaker, times: int = 1) -> None:
    for _ in range(times):
        call(breaker, fails=False)


def test_it_opens_at_ten_failures_and_not_before(breaker: Breaker) -> None:
    fail(breaker, 9)
    assert breaker.state == "closed"
    fail(breaker)
    assert breaker.state == "open"


def test_half_of_the_calls_failing_opens_it(breaker: Breaker) -> None:
    succeed(breaker, 5)
    fail(breaker, 4)
    assert breaker.state == "closed"
    fail(breaker)
    assert breaker.state == "open"


def test_less_than_half_leaves_it_closed(breaker: Breaker) -> None:
    succeed(breaker, 11)
    fail(breaker, 10)
    assert breaker.state == "closed"


def test_failures_before_the_window_do_not_count(breaker: Breaker, clock: Clock) -> None:
    fail(breaker, 9)
    clock.now += 30
    fail(breaker)
    assert breaker.state == "closed"
    fail(breaker, 9)
    assert breaker.state == "open"


def test_every_kind_of_provider_fault_counts(breaker: Breaker) -> None:
    for _ in range(10):
        with pytest.raises(ProviderTimeout), breaker.watch():
            raise ProviderTimeout
    assert breaker.state == "open"


def test_excused_failures_and_other_errors_never_count(breaker: Breaker) -> None:
    fail(breaker, 50, excused=True)
    for kind in (ContentRejected, KeyboardInterrupt, ValueError):
        for _ in range(20):
            with pytest.raises(kind), breaker.watch():
                raise kind
    assert breaker.state == "closed"
    fail(breaker, 9)  # nor do they dilute or fill the window
    assert breaker.state == "closed"


def test_an_open_breaker_refuses_and_says_for_how_long(breaker: Breaker, clock: Clock) -> None:
    fail(breaker, 10)
    clock.now += 5
    with pytest.raises(ProviderUnavailable) as refused, breaker.watch():
        pytest.fail("an open breaker lets nothing through")
    assert refused.value.retry_after == 10
    assert refused.value.details == {"provider": "clipdrop"}
    clock.now += 9.9
    with pytest.raises(ProviderUnavailable) as refused, breaker.watch():
        pytest.fail("an open breaker lets nothing through")
    assert refused.value.retry_after == 1


def test_after_the_pause_one_call_finds_out(breaker: Breaker, clock: Clock) -> None:
    fail(breaker, 10)
    clock.now += 15
    assert breaker.state == "half_open"
    with breaker.watch():
        with pytest.raises(ProviderUnavailable) as refused, breaker.watch():
            pytest.fail("only one call may find out")
        assert refused.value.retry_after == 1
    assert breaker.state == "closed"
    fail(breaker, 9)  # the window began anew
    assert breaker.state == "closed"


def test_a_failed_trial_opens_it_again(breaker: Breaker, clock: Clock) -> None:
    fail(breaker, 10)
    clock.now += 15
    fail(breaker)
    assert breaker.state == "open"
    clock.now += 14
    assert breaker.state == "open"
    clock.now += 1
    assert breaker.state == "half_open"


def test_excusing_is_said_to_the_watch(breaker: Breaker) -> None:
    with breaker.watch() as watch:
        assert watch.excused is False
        watch.excuse()
        assert watch.excused is True


def test_a_refused_trial_shows_that_the_provider_is_well(breaker: Breaker, clock: Clock) -> None:
    fail(breaker, 10)
    clock.now += 15
    fail(breaker, excused=True)
    assert breaker.state == "closed"


def test_a_cancelled_trial_proves_nothing_and_lets_the_next_one_try(breaker: Breaker, clock: Clock) -> None:
    fail(breaker, 10)
    clock.now += 15
    with pytest.raises(KeyboardInterrupt), breaker.watch():
        raise KeyboardInterrupt
    assert breaker.state == "half_open"
    succeed(breaker)
    assert breaker.state == "closed"


def test_calls_begun_before_it_opened_change_nothing_afterwards(breaker: Breaker) -> None:
    with breaker.watch():
        fail(breaker, 10)
    assert breaker.state == "open"
