"""The road that all remote providers take, with a tiny provider on it."""

from __future__ import annotations

import asyncio
import threading
from dataclasses import replace

import pytest

from uncrop import errors
from uncrop.model import Capabilities, Facts, Fill, Sides, Task, UncropRequest
from uncrop.providers.base import Answer, Call, Flight, ProviderContext, ProviderSettings
from uncrop.providers.refusal import refuse
from uncrop.providers.remote import RemoteProvider
from uncrop.testing import ScriptedSend
from uncrop.testing.pictures import photo_png
from uncrop.testing.workbench import make_context, make_task

TINY = Capabilities(
    name="tiny",
    takes_sides=True,
    takes_mask=False,
    takes_prompt=False,
    takes_size=False,
    takes_quality=False,
    max_seed=None,
    max_image_bytes=1_000_000,
    answer_format="PNG",
    bills=True,
)


class Tiny(RemoteProvider):
    def __init__(self, context: ProviderContext) -> None:
        super().__init__(context, TINY)
        self.threads: set[threading.Thread] = set()

    def build_call(self, task: Task, key: str) -> Call:
        self.threads.add(threading.current_thread())
        return Call(method="POST", url=self.settings.base_url, headers={"key": key}, parts=())

    def read_answer(self, answer: Answer, task: Task) -> Fill:
        self.threads.add(threading.current_thread())
        if answer.body == b"bad":
            raise errors.ProviderInvalidResponse
        return Fill(pixels=task.photo, facts=Facts(provider="tiny", request_id=answer.body.decode()))

    def reject(self, answer: Answer) -> errors.UncropError:
        return refuse(answer)


def tiny(send: ScriptedSend, **settings: str | None) -> Tiny:
    known = ProviderSettings(**{"api_key": "k", "base_url": "http://tiny", **settings})  # type: ignore[arg-type]
    return Tiny(make_context(send=send, settings={"tiny": known}))


def answer(status: int, body: bytes = b"") -> Answer:
    return Answer(status=status, headers={}, body=body)


@pytest.fixture
def task() -> Task:
    return make_task(UncropRequest(provider="tiny", image=photo_png(20, 16), sides=Sides(left=4)), TINY)


async def test_a_task_becomes_a_call_and_its_answer_a_fill(task: Task) -> None:
    send = ScriptedSend(answer(200, b"made"))
    provider, flight = tiny(send), Flight()
    fill = await provider.fill(task, flight)
    assert fill.facts == Facts(provider="tiny", request_id="made")
    assert send.calls == [Call(method="POST", url="http://tiny", headers={"key": "k"}, parts=())]
    assert flight.sent
    assert provider.capabilities is TINY


async def test_building_and_reading_leave_the_event_loop_alone(task: Task) -> None:
    provider = tiny(ScriptedSend(answer(200, b"made")))
    await provider.fill(task, Flight())
    assert provider.threads
    assert threading.current_thread() not in provider.threads


@pytest.mark.parametrize("key", [None, "", "clé", "two\nlines", "nul\0", "space "])
async def test_without_a_usable_key_nothing_is_sent(task: Task, key: str | None) -> None:
    send = ScriptedSend()
    provider = tiny(send, api_key=key)
    with pytest.raises(errors.ProviderNotConfigured) as refused:
        provider.check_configured()
    assert refused.value.details == {"provider": "tiny"}
    assert refused.value.system_message.startswith("The provider tiny has ")
    assert key is None or not key or key not in refused.value.system_message
    with pytest.raises(errors.ProviderNotConfigured):
        await provider.fill(task, Flight())
    assert send.calls == []


def test_without_settings_it_is_not_configured() -> None:
    with pytest.raises(errors.ProviderNotConfigured) as refused:
        Tiny(make_context(settings={})).check_configured()
    assert refused.value.system_message == "The provider tiny has no settings"


def test_a_rate_limit_of_its_own_becomes_a_fact() -> None:
    known = ProviderSettings(api_key="k", base_url="http://tiny", requests_per_minute=5)
    provider = Tiny(make_context(settings={"tiny": known}))
    assert provider.capabilities == replace(TINY, requests_per_minute=5)


def test_with_a_key_it_is_configured() -> None:
    tiny(ScriptedSend()).check_configured()


@pytest.mark.parametrize(
    ("outcome", "kind", "details"),
    [
        (answer(503), errors.ProviderError, {"provider": "tiny", "provider_status": 503}),
        (answer(429), errors.ProviderRateLimited, {"provider": "tiny", "provider_status": 429}),
        (answer(302), errors.ProviderInvalidResponse, {"provider": "tiny", "provider_status": 302}),
        (answer(200, b"bad"), errors.ProviderInvalidResponse, {"provider": "tiny"}),
        (errors.ProviderTimeout(), errors.ProviderTimeout, {"provider": "tiny"}),
    ],
)
async def test_every_error_names_the_provider(
    task: Task, outcome: Answer | Exception, kind: type[errors.UncropError], details: dict[str, object]
) -> None:
    with pytest.raises(kind) as failed:
        await tiny(ScriptedSend(outcome)).fill(task, Flight())
    assert failed.value.details == details


@pytest.mark.parametrize("outcome", [answer(500), answer(200, b"bad"), answer(302), errors.ProviderTimeout()])
async def test_a_failing_provider_is_given_a_pause(task: Task, outcome: Answer | Exception) -> None:
    send = ScriptedSend(*[outcome] * 11)
    provider = tiny(send)
    for _ in range(10):
        with pytest.raises(errors.ProviderFault):
            await provider.fill(task, Flight())
    with pytest.raises(errors.ProviderUnavailable) as refused:
        await provider.fill(task, Flight())
    assert refused.value.details == {"provider": "tiny"}
    assert (len(send.calls), provider.breaker.state) == (10, "open")


@pytest.mark.parametrize("status", [400, 401, 404, 408, 422, 429])
async def test_what_is_not_the_providers_fault_gives_it_none(task: Task, status: int) -> None:
    provider = tiny(ScriptedSend(*[answer(status)] * 20))
    for _ in range(20):
        with pytest.raises(errors.UncropError):
            await provider.fill(task, Flight())
    assert provider.breaker.state == "closed"


async def test_an_abandoned_task_is_not_sent(task: Task) -> None:
    send, flight = ScriptedSend(answer(200)), Flight()
    flight.abandon()
    with pytest.raises(asyncio.CancelledError):
        await tiny(send).fill(task, flight)
    assert send.calls == []
