"""Providers that can be asked for nothing whether their servers have all that is needed, over real HTTP."""

from __future__ import annotations

from pathlib import Path

from uncrop import settings
from uncrop.bootstrap import examine_providers
from uncrop.cli import doctor
from uncrop.errors import ProviderError
from uncrop.providers.registry import load_rows
from uncrop.testing.comfyui import ComfyUIEmulator


def configured(folder: Path, url: str | None) -> settings.Settings:
    return settings.load(load_rows(()), data_dir=folder, comfyui_base_url=url, _env_file=None)


def test_what_a_server_lacks_is_found(tmp_path: Path) -> None:
    with ComfyUIEmulator(without=("FluxGuidance", "ae.safetensors")) as emulator:
        found = examine_providers(configured(tmp_path, emulator.url))
        assert found == {"comfyui": ("ae.safetensors for vae_name of VAELoader", "the node FluxGuidance")}
        (call,) = emulator.calls
        assert (call.method, call.path) == ("GET", "/object_info")


def test_a_server_that_has_all_is_found_well_and_the_doctor_says_so(tmp_path: Path) -> None:
    with ComfyUIEmulator() as emulator:
        chosen = configured(tmp_path, emulator.url)
        assert examine_providers(chosen) == {"comfyui": ()}
        (finding,) = (each for each in doctor.check_providers(chosen) if each.what == "comfyui")
        assert (finding.state, finding.todo) == ("ok", "")
        assert finding.says == f"is configured, at {emulator.url}; has all that is needed"


def test_a_server_that_is_not_there_is_told(tmp_path: Path) -> None:
    with ComfyUIEmulator() as emulator:
        gone = emulator.url
    found = examine_providers(configured(tmp_path, gone))["comfyui"]
    assert isinstance(found, ProviderError)
    assert found.system_message == "No connection to the provider came about"


def test_only_those_are_asked_that_are_configured_and_cost_nothing(tmp_path: Path) -> None:
    chosen = settings.load(load_rows(()), data_dir=tmp_path, openai_api_key="k", comfyui_base_url=None, _env_file=None)
    assert examine_providers(chosen) == {}
    (finding,) = (each for each in doctor.check_providers(chosen) if each.what == "comfyui")
    assert (finding.state, finding.says, finding.todo) == (
        "off",
        "no address",
        "Set UNCROP_COMFYUI_BASE_URL to use it.",
    )
