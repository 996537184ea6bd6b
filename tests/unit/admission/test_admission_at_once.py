from __future__ import annotations

import asyncio

import pytest

from uncrop.admission.at_once import RequestsAtOnce
from uncrop.errors import RateLimitExceeded
from uncrop.model import Caller, Policy

TWO = Caller(organization_id="org_a", key_id="key", policy=Policy(requests_at_once=2))
ONE_A_KEY = Caller(organization_id="org_a", key_id="key", policy=TWO.policy, key_policy=Policy(requests_at_once=1))


def test_one_more_than_it_may_have_is_refused_until_another_ends() -> None:
    requests = RequestsAtOnce()
    with requests.take(TWO):
        with requests.take(TWO):
            with pytest.raises(RateLimitExceeded) as caught, requests.take(TWO):
                pytest.fail("taken")
            assert caught.value.details == {"limit": 2, "running": 2, "scope": "organization"}
            assert (caught.value.retry_after, caught.value.state) == (1, None)
            assert caught.value.message == "The organization has as many requests as it may have at once"
        with requests.take(TWO):
            pass
    assert not requests._counts


def test_a_key_has_a_limit_of_its_own() -> None:
    requests = RequestsAtOnce()
    other = Caller(organization_id="org_a", key_id="other", policy=TWO.policy)
    with requests.take(ONE_A_KEY):
        with pytest.raises(RateLimitExceeded) as caught, requests.take(ONE_A_KEY):
            pytest.fail("taken")
        assert caught.value.details == {"limit": 1, "running": 1, "scope": "key"}
        with requests.take(other), pytest.raises(RateLimitExceeded, match="The organization has"):
            requests.take(ONE_A_KEY).__enter__()
    assert not requests._counts


@pytest.mark.parametrize("caller", [Caller(), Caller(organization_id="org_b", policy=Policy(requests_at_once=0))])
def test_who_has_no_limit_is_not_counted(caller: Caller) -> None:
    requests = RequestsAtOnce()
    with requests.take(caller), requests.take(caller):
        assert not requests._counts


async def test_work_that_goes_on_without_its_caller_is_counted() -> None:
    requests, go_on = RequestsAtOnce(), asyncio.Event()
    with requests.take(ONE_A_KEY) as place:
        work = asyncio.ensure_future(place.held_for(go_on.wait()))
        await asyncio.sleep(0)
    with pytest.raises(RateLimitExceeded), requests.take(ONE_A_KEY):
        pytest.fail("taken")
    go_on.set()
    assert await work is True
    with requests.take(ONE_A_KEY):
        pass
    assert not requests._counts
