"""Names to providers."""

from __future__ import annotations

from importlib.metadata import EntryPoint

import pytest

from uncrop.errors import InvalidFieldValue, ProviderError
from uncrop.providers.clipdrop import Clipdrop
from uncrop.providers.local import Local
from uncrop.providers.registry import GROUP, Registry
from uncrop.testing.workbench import make_context


def test_the_built_ins_are_named_in_order() -> None:
    assert Registry(make_context(), plugins=()).names() == ("clipdrop", "local", "openai")


def test_installed_plugins_are_found_by_default() -> None:
    assert set(Registry(make_context()).names()) >= {"clipdrop", "local", "openai"}


@pytest.mark.parametrize("name", ["clipdrop", "local", "openai"])
def test_each_is_loaded_once_under_its_own_name(name: str) -> None:
    registry = Registry(make_context(), plugins=())
    provider = registry.get(name)
    assert provider.capabilities.name == name
    assert registry.get(name) is provider


def test_an_unknown_name_is_refused_with_those_that_are_allowed() -> None:
    with pytest.raises(InvalidFieldValue) as refused:
        Registry(make_context(), plugins=()).get("midjourney")
    assert refused.value.details == {"provider": "midjourney", "allowed": ["clipdrop", "local", "openai"]}
    assert refused.value.message == "Unknown provider; allowed are clipdrop, local, openai"


def test_a_long_name_is_not_repeated_whole() -> None:
    with pytest.raises(InvalidFieldValue) as refused:
        Registry(make_context(), plugins=()).get("x" * 1000)
    assert (refused.value.details or {})["provider"] == "x" * 64


def test_a_plugin_takes_the_same_road() -> None:
    plugin = EntryPoint("mirror", "uncrop.providers.local:Local", GROUP)
    registry = Registry(make_context(), plugins=[plugin])
    assert registry.names() == ("clipdrop", "local", "mirror", "openai")
    assert isinstance(registry.get("mirror"), Local)


def test_a_plugin_cannot_take_the_name_of_a_built_in() -> None:
    plugin = EntryPoint("clipdrop", "uncrop.providers.local:Local", GROUP)
    assert isinstance(Registry(make_context(), plugins=[plugin]).get("clipdrop"), Clipdrop)


def test_breakers_are_told_of_providers_in_use_that_have_one() -> None:
    registry = Registry(make_context(), plugins=())
    assert registry.breakers() == {}
    registry.get("local")
    clipdrop = registry.get("clipdrop")
    assert registry.breakers() == {"clipdrop": "closed"}
    assert isinstance(clipdrop, Clipdrop)
    for _ in range(10):
        with pytest.raises(ProviderError), clipdrop.breaker.watch():
            raise ProviderError
    assert registry.breakers() == {"clipdrop": "open"}
