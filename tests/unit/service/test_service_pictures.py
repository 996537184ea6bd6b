"""Who is asked for a picture, in which order, and when the search ends."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable, Sequence
from dataclasses import replace
from typing import Any

import pytest

from fixtures_server import picture
from uncrop.errors import (
    ContentRejected,
    InternalError,
    InvalidExtendParameters,
    InvalidFieldValue,
    InvalidImage,
    ProviderAuthenticationFailed,
    ProviderError,
    ProviderInvalidResponse,
    ProviderQuotaExhausted,
    ProviderRateLimited,
    ProviderRejectedRequest,
    ProviderTimeout,
    RateLimitExceeded,
    ServerBusy,
    UncropError,
    UsageLimitExceeded,
)
from uncrop.model import Caller, PictureFacts, Sides, UncropRequest, UncropResult
from uncrop.providers.commitment import Commitment
from uncrop.providers.registry import Registry, load_rows
from uncrop.service.durations import Durations
from uncrop.service.pictures import Pictures, Work
from uncrop.service.report import Attempt, RunEnd
from uncrop.testing import pictures
from uncrop.testing.workbench import MAX_OUTPUT_PIXELS, make_registry, make_settings
from uncrop.uncropper import Stopwatch

AUTO = ("clipdrop", "openai", "local")
REQUEST = UncropRequest(provider="auto", image=pictures.photo_jpeg(64, 48), sides=Sides(left=16))
Action = Callable[[Commitment], Awaitable[None]]


class Flow:
    """The flow: does of each provider what it is told, and notes who was asked."""

    def __init__(self, **actions: Action) -> None:
        self.actions = actions
        self.requests: list[UncropRequest] = []

    @property
    def asked(self) -> list[str]:
        return [request.provider for request in self.requests]

    async def run(
        self, request: UncropRequest, caller: Caller, *, commitment: Commitment, stopwatch: Stopwatch, **_: Any
    ) -> UncropResult:
        self.requests.append(request)
        with stopwatch.stage("intake"):
            if request.provider in self.actions:
                await self.actions[request.provider](commitment)
        return picture(facts=PictureFacts(provider=request.provider, request_id="req_1"))


def fails(error: UncropError, *, sent: bool = False) -> Action:
    async def action(commitment: Commitment) -> None:
        if sent:
            await commitment.commit()
        raise error

    return action


def fails_at(number: int, error: UncropError, *, sent: bool = True) -> Action:
    """Return what sends each of several calls, and fails that one of them."""
    begun: list[None] = []

    async def action(commitment: Commitment) -> None:
        begun.append(None)
        if sent:
            await commitment.commit()
        if len(begun) == number + 1:
            raise error

    return action


def making(flow: Flow, *, auto: Sequence[str] = AUTO, registry: Registry | None = None) -> Pictures:
    parts: Any = {"uncropper": flow, "registry": registry or make_registry(), "auto": auto}
    return Pictures(**parts, durations=Durations(), max_output_pixels=MAX_OUTPUT_PIXELS)


def tried(error: UncropError) -> list[tuple[str, str]]:
    assert error.details is not None
    assert all(attempt.keys() == {"provider", "code", "message"} for attempt in error.details["tried"])
    return [(attempt["provider"], attempt["code"]) for attempt in error.details["tried"]]


async def test_a_named_provider_alone_is_asked() -> None:
    flow = Flow(openai=fails(ProviderError()))
    with pytest.raises(ProviderError) as failed:
        await making(flow).make(UncropRequest(provider="openai", image=b""), Work())
    assert (flow.asked, failed.value.details) == (["openai"], None)


async def test_the_first_that_can_makes_the_picture() -> None:
    flow = Flow()
    (made,) = (await making(flow).make(REQUEST, Work())).pictures
    assert (flow.asked, made.result.facts.provider, made.tried) == (["clipdrop"], "clipdrop", ())


async def test_each_run_is_told_and_a_picture_that_was_made_is_timed() -> None:
    told: list[tuple[str, str, list[str]]] = []

    def ended(end: RunEnd) -> None:
        told.append((end.provider, end.outcome, [stage.name for stage in end.stages]))

    makes = making(Flow(clipdrop=fails(ProviderRateLimited())))
    await makes.make(REQUEST, Work(ended=ended))
    assert told == [("clipdrop", "PROVIDER_RATE_LIMITED", ["intake"]), ("openai", "OK", ["intake"])]
    assert makes.durations.expected("clipdrop") is None
    assert makes.durations.expected("openai") is not None


@pytest.mark.parametrize(
    "error",
    [
        ProviderAuthenticationFailed(),
        ProviderError(),
        ProviderInvalidResponse(),
        ProviderQuotaExhausted(),
        ProviderRateLimited(),
        ProviderTimeout(),
        RateLimitExceeded(),
    ],
    ids=lambda error: error.code,
)
async def test_what_is_about_the_provider_falls_on_to_the_next(error: UncropError) -> None:
    flow = Flow(clipdrop=fails(error))
    (made,) = (await making(flow).make(REQUEST, Work())).pictures
    assert flow.asked == ["clipdrop", "openai"]
    assert made.tried == (Attempt(provider="clipdrop", code=error.code, message=error.message),)
    assert made.result.facts.provider == "openai"


@pytest.mark.parametrize(
    "error",
    [
        ContentRejected(),
        InternalError(),
        InvalidImage(),
        ProviderRejectedRequest(),
        ServerBusy(),
        UsageLimitExceeded(),
    ],
    ids=lambda error: error.code,
)
async def test_what_is_about_the_request_or_this_server_ends_the_search(error: UncropError) -> None:
    flow = Flow(clipdrop=fails(error))
    with pytest.raises(type(error)) as failed:
        await making(flow).make(REQUEST, Work())
    assert (flow.asked, tried(failed.value)) == (["clipdrop"], [("clipdrop", error.code)])


async def test_what_may_have_been_billed_ends_the_search() -> None:
    flow = Flow(clipdrop=fails(ProviderRateLimited()), openai=fails(ProviderError(), sent=True))
    work = Work()
    with pytest.raises(ProviderError) as failed:
        await making(flow).make(REQUEST, work)
    assert flow.asked == ["clipdrop", "openai"]
    assert tried(failed.value) == [("clipdrop", "PROVIDER_RATE_LIMITED"), ("openai", "PROVIDER_ERROR")]
    assert work.commitment.billed_calls == 1


async def test_who_cannot_make_it_is_passed_over_without_being_asked() -> None:
    rows = load_rows(())
    registry = make_registry(settings={"openai": make_settings(rows["openai"], api_key=None)})
    request = UncropRequest(
        provider="auto", image=REQUEST.image, sides=REQUEST.sides, quality="fast", organization_id="org_a"
    )
    flow = Flow()
    order = ("openai", "clipdrop", "local")
    (made,) = (await making(flow, registry=registry, auto=order).make(request, Work())).pictures
    assert flow.asked == ["local"]
    assert [(attempt.provider, attempt.code) for attempt in made.tried] == [
        ("openai", "INVALID_FIELD_VALUE"),
        ("clipdrop", "INVALID_FIELD_VALUE"),
    ]


async def test_of_several_failures_one_that_may_pass_is_told() -> None:
    flow = Flow(clipdrop=fails(ProviderQuotaExhausted()), openai=fails(ProviderRateLimited(retry_after=7)))
    with pytest.raises(ProviderRateLimited) as failed:
        await making(flow, auto=("clipdrop", "openai")).make(REQUEST, Work())
    assert failed.value.retry_after == 7
    assert tried(failed.value) == [("clipdrop", "PROVIDER_QUOTA_EXHAUSTED"), ("openai", "PROVIDER_RATE_LIMITED")]


async def test_of_several_that_stay_the_first_is_told_with_its_own_details() -> None:
    flow = Flow(clipdrop=fails(ProviderQuotaExhausted(details={"provider": "clipdrop"})))
    with pytest.raises(ProviderQuotaExhausted) as failed:
        await making(flow, auto=("clipdrop",)).make(REQUEST, Work())
    assert failed.value.details is not None
    assert failed.value.details["provider"] == "clipdrop"


async def test_what_nobody_could_make_is_refused_without_a_search() -> None:
    flow = Flow()
    with pytest.raises(InvalidExtendParameters) as refused:
        await making(flow).make(UncropRequest(provider="auto", image=REQUEST.image, sides=Sides(left=2001)), Work())
    assert flow.asked == []
    assert "tried" not in (refused.value.details or {})


# --- variations ------------------------------------------------------------------------------------------------------


def several(number: int = 4, **wishes: Any) -> UncropRequest:
    return UncropRequest(provider="clipdrop", image=b"photo", variations=number, **wishes)


def seeds_of(flow: Flow) -> list[int | None]:
    return [request.seed for request in flow.requests]


@pytest.mark.parametrize("number", [1, None])
async def test_one_picture_keeps_the_seed_that_it_has(number: int | None) -> None:
    flow = Flow()
    made = await making(flow).make(replace(several(), variations=number), Work())
    assert (made.asked, len(made.pictures), seeds_of(flow)) == (1, 1, [None])


async def test_each_variation_is_a_run_with_a_seed_of_its_own() -> None:
    flow = Flow()
    made = await making(flow).make(several(3, seed=9), Work())
    assert (made.asked, len(made.pictures), made.failures) == (3, 3, ())
    assert seeds_of(flow) == [9, 10, 11]


async def test_seeds_are_drawn_where_none_is_asked_for() -> None:
    flow = Flow()
    await making(flow).make(several(), Work())
    seeds = seeds_of(flow)
    assert len(set(seeds)) == 4
    assert None not in seeds


async def test_they_are_made_at_once() -> None:
    together = asyncio.Barrier(4)

    async def meet(_: Commitment) -> None:
        await together.wait()

    made = await making(Flow(clipdrop=meet)).make(several(), Work())
    assert made.asked == 4


async def test_part_of_them_is_told_as_such() -> None:
    flow = Flow(clipdrop=fails_at(1, ProviderError()))
    work = Work()
    made = await making(flow).make(several(3), work)
    assert (len(made.pictures), [error.code for error in made.failures], made.asked) == (2, ["PROVIDER_ERROR"], 3)
    assert work.commitment.billed_calls == 3


async def test_when_none_was_made_one_that_may_pass_is_told() -> None:
    errors = [ProviderQuotaExhausted(), ProviderRateLimited()]

    async def action(_: Commitment) -> None:
        raise errors.pop(0)

    with pytest.raises(ProviderRateLimited):
        await making(Flow(clipdrop=action)).make(several(2), Work())


async def test_a_fault_of_our_own_is_not_a_variation_that_failed() -> None:
    async def action(_: Commitment) -> None:
        raise ZeroDivisionError

    with pytest.raises(ZeroDivisionError):
        await making(Flow(clipdrop=action)).make(several(2), Work())


@pytest.mark.parametrize("number", [0, 5, -1])
async def test_a_number_that_cannot_be_is_refused_before_anybody_is_asked(number: int) -> None:
    flow = Flow()
    with pytest.raises(InvalidFieldValue) as refused:
        await making(flow).make(several(number), Work())
    assert refused.value.message == "variations must be between 1 and 4"
    assert refused.value.details == {"field": "variations", "value": number, "min_allowed": 1, "max_allowed": 4}
    assert flow.asked == []


async def test_each_variation_finds_its_own_first_that_can() -> None:
    flow = Flow(clipdrop=fails_at(0, ProviderRateLimited(), sent=False))
    made = await making(flow).make(replace(REQUEST, variations=2), Work())
    assert sorted(picture.result.facts.provider for picture in made.pictures) == ["clipdrop", "openai"]
    assert sorted(len(picture.tried) for picture in made.pictures) == [0, 1]


async def test_when_the_caller_leaves_what_was_sent_is_seen_through_and_the_rest_ends() -> None:
    sent, go_on = asyncio.Event(), asyncio.Event()
    runs: list[int] = []

    async def action(commitment: Commitment) -> None:
        runs.append(len(runs))
        if runs[-1] == 0:
            await commitment.commit()
            sent.set()
        await go_on.wait()
        commitment.check()

    work = Work()
    task = asyncio.create_task(making(Flow(clipdrop=action)).make(several(3), work))
    await sent.wait()
    assert work.commitment.abandon() is False
    go_on.set()
    made = await task
    assert (len(made.pictures), made.failures, work.commitment.billed_calls) == (1, (), 1)


async def test_when_the_caller_leaves_before_anything_was_sent_all_of_it_ends() -> None:
    async def action(commitment: Commitment) -> None:
        commitment.check()

    work = Work()
    assert work.commitment.abandon() is True
    with pytest.raises(asyncio.CancelledError):
        await making(Flow(clipdrop=action)).make(several(2), work)
