"""Names to providers."""

from __future__ import annotations

from dataclasses import replace
from importlib.metadata import EntryPoint
from typing import Any

import pytest

from uncrop.errors import InvalidFieldValue, ProviderError, SettingsError
from uncrop.model import FieldFacts, GeometryFacts, SettingFacts, UploadFacts
from uncrop.providers.local.facts import FACTS as LOCAL
from uncrop.providers.registry import GROUP, NAMES, load_rows
from uncrop.providers.rows import problems
from uncrop.testing.workbench import make_registry

MIRROR = replace(LOCAL, name="mirror")
TARGET = f"{__name__}:MIRROR"


def test_the_built_ins_are_named_in_order() -> None:
    assert make_registry().names() == ("bfl", "bria", "clipdrop", "comfyui", "local", "openai", "sdapi", "stability")


def test_installed_plugins_are_found_by_default() -> None:
    assert set(load_rows()) >= {"bfl", "bria", "clipdrop", "comfyui", "local", "openai", "sdapi", "stability"}


@pytest.mark.parametrize("name", ["bfl", "bria", "clipdrop", "comfyui", "local", "openai", "sdapi", "stability"])
def test_each_is_loaded_once_under_its_own_name(name: str) -> None:
    registry = make_registry()
    provider = registry.get(name)
    assert provider.facts.name == name
    assert registry.get(name) is provider


def test_an_unknown_name_is_refused_with_those_that_are_allowed() -> None:
    with pytest.raises(InvalidFieldValue) as refused:
        make_registry().get("midjourney")
    assert refused.value.details == {
        "provider": "midjourney",
        "allowed": ["bfl", "bria", "clipdrop", "comfyui", "local", "openai", "sdapi", "stability"],
    }
    assert refused.value.message == f"Unknown provider; allowed are {', '.join(NAMES)}"


def test_a_long_name_is_not_repeated_whole() -> None:
    with pytest.raises(InvalidFieldValue) as refused:
        make_registry().get("x" * 1000)
    assert (refused.value.details or {})["provider"] == "x" * 64


def test_a_plugin_takes_the_same_road() -> None:
    rows = load_rows([EntryPoint("mirror", TARGET, GROUP)])
    assert list(rows) == ["bfl", "bria", "clipdrop", "comfyui", "local", "mirror", "openai", "sdapi", "stability"]
    registry = make_registry(rows=rows)
    assert registry.names() == ("bfl", "bria", "clipdrop", "comfyui", "local", "mirror", "openai", "sdapi", "stability")
    assert registry.get("mirror").facts is MIRROR
    assert [row.name for row in registry.facts()] == list(registry.names())


def test_a_plugin_cannot_take_the_name_of_a_built_in_or_of_another() -> None:
    taking = EntryPoint("mine", "uncrop.providers.local.facts:FACTS", GROUP)
    twice = [EntryPoint(name, TARGET, GROUP) for name in ("one", "two")]
    with pytest.raises(SettingsError) as refused:
        load_rows([taking, *twice])
    assert refused.value.problems == [
        "provider plug-in mine (uncrop.providers.local.facts:FACTS): name: local is taken",
        f"provider plug-in two ({TARGET}): name: mirror is taken",
    ]


@pytest.mark.parametrize("target", ["no_such_module:FACTS", f"{__name__}:NOTHING", "nonsense"])
def test_a_plugin_that_cannot_be_loaded_stops_the_start(target: str) -> None:
    with pytest.raises(SettingsError) as refused:
        load_rows([EntryPoint("broken", target, GROUP)])
    (line,) = refused.value.problems
    assert line.startswith(f"provider plug-in broken ({target}): cannot be loaded (")


def test_a_plugin_that_names_something_else_stops_the_start() -> None:
    with pytest.raises(SettingsError) as refused:
        load_rows([EntryPoint("odd", f"{__name__}:TARGET", GROUP)])
    assert refused.value.problems == [f"provider plug-in odd ({__name__}:TARGET): is no row of facts"]


ROW: Any = None  # what the plug-in of the next test names
SETTINGS = (SettingFacts(name="base_url", kind="address", help="Where."),)
CONTRADICTIONS: dict[str, tuple[dict[str, Any], str]] = {
    "name with a meaning": ({"name": "auto"}, "name: auto has a meaning of its own in the field provider"),
    "name": ({"name": "Mirror"}, "name: must be a lower-case letter and up to 31 letters, digits or _"),
    "implementation": ({"implementation": "nothing"}, "implementation: must be module:Class"),
    "emulator": ({"emulator": "nothing"}, "emulator: must be module:Class"),
    "upload formats": (
        {"upload": UploadFacts(formats=frozenset({"JPEG"}), max_bytes=1)},
        "upload: must take PNG, and files of at least a byte",
    ),
    "upload bytes": (
        {"upload": UploadFacts(formats=frozenset({"PNG"}), max_bytes=0)},
        "upload: must take PNG, and files of at least a byte",
    ),
    "poll host": (
        {"poll_hosts": ("https://x.example.org",)},
        "poll_hosts: https://x.example.org must be a host's name, or *. and a domain",
    ),
    "download host": ({"download_hosts": ("*",)}, "download_hosts: * must be a host's name, or *. and a domain"),
    "bills": ({"bills": True}, "bills: what is computed on this machine cannot be billed"),
    "grid": ({"geometry": GeometryFacts(speaks="canvas", grid=0)}, "geometry.grid: must be at least 1"),
    "edges": (
        {"geometry": GeometryFacts(speaks="canvas", min_edge=64, max_edge=32)},
        "geometry.max_edge: excludes everything",
    ),
    "pixels": (
        {"geometry": GeometryFacts(speaks="canvas", min_pixels=9, max_pixels=8)},
        "geometry.max_pixels: excludes everything",
    ),
    "pixels and edge": (
        {"geometry": GeometryFacts(speaks="canvas", min_pixels=101, max_edge=10)},
        "geometry.min_pixels: no canvas within max_edge has so many",
    ),
    "photo": (
        {"geometry": GeometryFacts(speaks="canvas", min_photo_edge=64, max_photo_pixels=4095)},
        "geometry.max_photo_pixels: excludes everything",
    ),
    "ratio": ({"geometry": GeometryFacts(speaks="canvas", max_ratio=0.5)}, "geometry.max_ratio: excludes everything"),
    "photo's ratio": (
        {"geometry": GeometryFacts(speaks="sides", max_photo_ratio=0.5)},
        "geometry.max_photo_ratio: excludes everything",
    ),
    "side": ({"geometry": GeometryFacts(speaks="sides", max_side=0)}, "geometry.max_side: excludes everything"),
    "no canvas": (
        {"geometry": GeometryFacts(speaks="canvas", grid=64, min_edge=1000, max_edge=1020)},
        "geometry: no canvas on its grid lies within its limits",
    ),
    "sizes": (
        {"geometry": GeometryFacts(speaks="mask", grid=16, sizes=((1024, 1024), (1024, 1000), (512, 512)))},
        "geometry.sizes: 1024x1000 is not on the grid of 16",
    ),
    "field twice": (
        {"fields": (FieldFacts(name="prompt", help=""), FieldFacts(name="prompt", help=""))},
        "fields.prompt: stands there twice",
    ),
    "unknown field": ({"fields": (FieldFacts(name="style", help=""),)}, "fields.style: is no field of the form"),
    "range": (
        {"fields": (FieldFacts(name="seed", help="", minimum=5, maximum=4),)},
        "fields.seed: its maximum is below its minimum",
    ),
    "no range": (
        {"fields": (FieldFacts(name="seed", help="", maximum=4),)},
        "fields.seed: needs a minimum and a maximum",
    ),
    "no choices": ({"fields": (FieldFacts(name="size", help=""),)}, "fields.size: needs choices"),
    "default": (
        {"fields": (FieldFacts(name="quality", help="", choices=("a",), default="b"),)},
        "fields.quality: its default is none of its choices",
    ),
    "mask": (
        {"fields": (FieldFacts(name="mask_file", help=""),)},
        "fields.mask_file: a provider that takes masks must speak masks",
    ),
    "setting's name": (
        {"settings": (SettingFacts(name="Key", kind="text", help=""),)},
        "settings.Key: must be a lower-case letter and up to 31 letters, digits or _",
    ),
    "setting twice": ({"settings": SETTINGS * 2}, "settings.base_url: is declared twice"),
    "another's setting": (
        {"name": "openai_api", "settings": (SettingFacts(name="key", kind="text", help=""),)},
        "settings.key: UNCROP_OPENAI_API_KEY is another provider's",
    ),
    "setting's range": (
        {"settings": (SettingFacts(name="n", kind="integer", help="", minimum=2, maximum=1),)},
        "settings.n: its maximum is below its minimum",
    ),
    "secret's default": (
        {"settings": (SettingFacts(name="api_key", kind="secret", help="", default="123"),)},
        "settings.api_key: a secret has no default",
    ),
    "number's default": (
        {"settings": (SettingFacts(name="n", kind="number", help="", default="many"),)},
        "settings.n: its default is no number",
    ),
    "choices of a number": (
        {"settings": (SettingFacts(name="n", kind="integer", help="", choices=("1", "2")),)},
        "settings.n: only a text has choices, and its default is one of them",
    ),
    "file's default": (
        {"settings": (SettingFacts(name="path", kind="file", help="", default="a"),)},
        "settings.path: a file has no default",
    ),
    "check of a text": (
        {"settings": (SettingFacts(name="n", kind="text", help="", check=lambda _text: None),)},
        "settings.n: only a file is checked",
    ),
    "default of choices": (
        {"settings": (SettingFacts(name="mode", kind="text", help="", default="slow", choices=("fast", "high")),)},
        "settings.mode: only a text has choices, and its default is one of them",
    ),
    "no address": (
        {"computes_here": False, "settings": ()},
        "settings.base_url: a provider behind HTTP needs one",
    ),
}


@pytest.mark.parametrize("kind", CONTRADICTIONS)
def test_a_row_that_contradicts_itself_stops_the_start(kind: str, monkeypatch: pytest.MonkeyPatch) -> None:
    changes, problem = CONTRADICTIONS[kind]
    import sys

    monkeypatch.setattr(sys.modules[__name__], "ROW", replace(MIRROR, **changes))
    with pytest.raises(SettingsError) as refused:
        load_rows([EntryPoint("odd", f"{__name__}:ROW", GROUP)])
    assert refused.value.problems == [f"provider plug-in odd ({__name__}:ROW): {problem}"]


def test_breakers_are_told_of_providers_in_use_that_have_one() -> None:
    registry = make_registry()
    assert registry.breakers() == {}
    registry.get("local")
    clipdrop = registry.get("clipdrop")
    assert registry.breakers() == {"clipdrop": "closed"}
    assert clipdrop.breaker is not None
    for _ in range(10):
        with pytest.raises(ProviderError), clipdrop.breaker.watch():
            raise ProviderError
    assert registry.breakers() == {"clipdrop": "open"}


def test_a_row_may_name_several_hosts() -> None:
    hosts = ("api.example.org", "*.example.org")
    assert list(problems(replace(MIRROR, poll_hosts=hosts, download_hosts=hosts), {})) == []


def test_a_row_may_name_several_sizes() -> None:
    several = GeometryFacts(speaks="mask", sizes=((1024, 1024), (512, 512)))
    assert list(problems(replace(MIRROR, geometry=several), {})) == []
