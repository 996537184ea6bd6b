"""Makers that call with an organization's own key."""

from __future__ import annotations

import pytest

from uncrop import errors
from uncrop.model import SERVERS, ProviderKeys, Sides, UncropRequest
from uncrop.providers import registry as registry_module
from uncrop.providers.commitment import Commitment
from uncrop.providers.conversation import Answer
from uncrop.providers.maker import Maker
from uncrop.providers.registry import Registry, load_rows, takes_key
from uncrop.testing.pictures import photo_png
from uncrop.testing.transport import ScriptedSend
from uncrop.testing.workbench import KEY, make_context, make_registry, make_settings, make_task

OWN = "sk-own-of-org-a"
KEYED = {"bfl", "bria", "clipdrop", "openai", "stability"}


def answer(status: int) -> Answer:
    return Answer(status=status, headers={}, body=b"")


def shop(*answers: Answer) -> tuple[Registry, ScriptedSend]:
    send = ScriptedSend(*answers)
    return make_registry(make_context(send=send)), send


async def ask(maker: Maker) -> errors.UncropError:
    task = make_task(UncropRequest(provider="clipdrop", image=photo_png(20, 16), sides=Sides(left=4)), maker.facts)
    with pytest.raises(errors.UncropError) as refused:
        await maker.fill(task, Commitment())
    return refused.value


async def test_its_calls_carry_its_own_key_and_the_others_the_servers() -> None:
    registry, send = shop(answer(500), answer(500))
    await ask(registry.get("clipdrop", ProviderKeys(own={"clipdrop": OWN})))
    await ask(registry.get("clipdrop"))

    assert [call.headers["x-api-key"] for call in send.calls] == [OWN, KEY]


def test_which_providers_take_a_key_stands_in_their_rows() -> None:
    assert {name for name, row in load_rows(()).items() if takes_key(row)} == KEYED


def test_the_servers_key_is_used_where_the_organization_has_none_and_may() -> None:
    registry, _ = shop()
    assert registry.get("openai", ProviderKeys(own={"clipdrop": OWN})) is registry.get("openai")
    assert registry.get("openai", SERVERS) is registry.get("openai")


@pytest.mark.parametrize("keys", [ProviderKeys(may_use_servers=False), ProviderKeys(own={"openai": None})])
def test_without_a_key_that_it_may_use_nothing_is_called(keys: ProviderKeys) -> None:
    registry, _ = shop()
    with pytest.raises(errors.ProviderNotConfigured) as refused:
        registry.get("openai", keys).check_configured()
    assert refused.value.system_message == "The provider openai has no API key"


@pytest.mark.parametrize("name", ["local", "comfyui", "sdapi"])
def test_what_needs_no_key_is_open_to_all(name: str) -> None:
    registry, _ = shop()
    assert registry.get(name, ProviderKeys(may_use_servers=False, own={name: OWN})) is registry.get(name)


def test_no_other_secret_of_the_server_goes_along() -> None:
    rows = load_rows(())
    settings = {"openai": make_settings(rows["openai"], model="gpt-image-1")}
    registry = make_registry(settings=settings)
    provider = registry.get("openai", ProviderKeys(own={"openai": OWN}))._provider
    assert provider.settings.values == {**settings["openai"].values, "api_key": OWN}
    keyless = registry.get("openai", ProviderKeys(may_use_servers=False))._provider
    assert "api_key" not in keyless.settings.values


async def test_one_organizations_failures_open_its_own_breaker_alone() -> None:
    registry, send = shop(*[answer(500)] * 12)
    mine, others = ProviderKeys(own={"clipdrop": OWN}), ProviderKeys(own={"clipdrop": "sk-of-org-b"})
    for _ in range(10):
        await ask(registry.get("clipdrop", mine))

    with pytest.raises(errors.ProviderUnavailable):
        registry.get("clipdrop", mine).check_well()
    registry.get("clipdrop", others).check_well()
    registry.get("clipdrop").check_well()
    assert registry.breakers() == {"clipdrop": "closed"}
    assert isinstance(await ask(registry.get("clipdrop", mine)), errors.ProviderUnavailable)
    assert len(send.calls) == 10


async def test_a_refused_key_is_the_organizations_to_mend() -> None:
    registry, _ = shop(answer(401), answer(402), answer(500), answer(401))
    maker = registry.get("clipdrop", ProviderKeys(own={"clipdrop": OWN}))
    for code in ("PROVIDER_AUTHENTICATION_FAILED", "PROVIDER_QUOTA_EXHAUSTED"):
        error = await ask(maker)
        assert (error.code, (error.details or {})["key"]) == (code, "organization")
        assert error.message.startswith("The provider refused the organization's own key")
        assert OWN not in repr((error.message, error.details, error.system_message))
    assert "key" not in ((await ask(maker)).details or {})
    assert "key" not in ((await ask(registry.get("clipdrop"))).details or {})


def test_makers_are_kept_up_to_a_number_the_last_used_ones(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(registry_module, "MOST_KEPT", 2)
    registry, _ = shop()
    first, second, third = (ProviderKeys(own={"clipdrop": f"sk-{number}"}) for number in range(3))
    kept, other = registry.get("clipdrop", first), registry.get("clipdrop", second)
    assert registry.get("clipdrop", first) is kept
    registry.get("clipdrop", third)

    assert registry.get("clipdrop", first) is kept
    assert registry.get("clipdrop", second) is not other


def test_keys_are_not_shown() -> None:
    assert OWN not in repr(ProviderKeys(own={"clipdrop": OWN}))
