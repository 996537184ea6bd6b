"""A provider on the operator's own machine, through the real service: what it answers, and clients that leave."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from fixtures_http import Form, Refusal, ask, check, send
from fixtures_server import ORGANIZATION, real, wait_until
from uncrop.testing import outcomes
from uncrop.testing.comfyui import ComfyUIEmulator
from uncrop.testing.pictures import photo_jpeg
from uncrop.testing.sdapi import StableDiffusionEmulator

if TYPE_CHECKING:
    from pathlib import Path

    from uncrop.testing import Emulator

FORM = Form(
    fields={"provider": "comfyui", "organization_id": ORGANIZATION, "extend_left": "16", "seed": "7"},
    files={"image_file": photo_jpeg(64, 48)},
)


def test_a_picture_is_made_and_counted(data_dir: Path) -> None:
    with ComfyUIEmulator() as comfyui, real(data_dir, settings={"comfyui_base_url": comfyui.url}) as house:
        made = ask(house.url, FORM, key=house.key)
        assert (made.status_code, made.headers["content-type"]) == (200, "image/png")
        assert (made.headers["x-canvas"], made.headers["x-original"]) == ("80x48+16+0", "exact")
        assert "x-provider-credits-consumed" not in made.headers
        assert house.booked() == 1


def test_a_client_that_leaves_ends_the_job(data_dir: Path) -> None:
    with ComfyUIEmulator() as comfyui, real(data_dir, settings={"comfyui_base_url": comfyui.url}) as house:
        comfyui.endless = True
        leaving = send(house.url, FORM, key=house.key)
        comfyui.wait_for_calls(3)  # the upload, the submit, and a poll
        leaving.close()
        wait_until(lambda: len(comfyui.cancelled) == 1)
        wait_until(lambda: house.server.service.capacity.slots.running == 0)
        assert (len(comfyui.submits), house.booked()) == (1, 0)


@pytest.mark.parametrize(
    ("name", "emulated", "text"),
    [
        ("comfyui", ComfyUIEmulator, "the address may not be that of ComfyUI's server"),
        ("sdapi", StableDiffusionEmulator, "something else than the web UI's API answers at this address"),
    ],
)
def test_a_web_page_in_its_place_is_told(data_dir: Path, name: str, emulated: type[Emulator], text: str) -> None:
    with emulated() as emulator, real(data_dir, settings={f"{name}_base_url": emulator.url}) as house:
        emulator.script(outcomes.html(200), outcomes.html(404))
        check(
            ask(house.url, FORM.but(provider=name), key=house.key),
            Refusal(
                status=502,
                code="PROVIDER_INVALID_RESPONSE",
                message="The provider sent an answer that could not be used",
                details={"provider": name},
                system_message=f"The provider's answer is a web page: {text}",
                type="server_error",
            ),
        )
        check(
            ask(house.url, FORM.but(provider=name), key=house.key),
            Refusal(
                status=502,
                code="PROVIDER_ERROR",
                message="The provider failed to process the request",
                details={"provider": name, "provider_status": 404},
                system_message=f"The provider answered with status 404 and a web page: {text}",
                type="server_error",
            ),
        )
        assert house.booked() == 0


def test_a_server_that_lacks_a_model_and_a_node_is_told_with_their_names(data_dir: Path) -> None:
    settings = {"comfyui_model": "private/flux/mine.safetensors"}
    with (
        ComfyUIEmulator(without=("DifferentialDiffusion",)) as comfyui,
        real(data_dir, settings={**settings, "comfyui_base_url": comfyui.url}) as house,
    ):
        check(
            ask(house.url, FORM, key=house.key),
            Refusal(
                status=503,
                code="PROVIDER_NOT_CONFIGURED",
                message="This provider is not configured on this server",
                details={"provider": "comfyui", "provider_status": 400, "provider_code": "missing_node_type"},
                system_message="ComfyUI does not have mine.safetensors for unet_name of UNETLoader; the node "
                "DifferentialDiffusion",
                type="server_error",
            ),
        )
        assert house.booked() == 0


def test_without_its_address_it_is_not_configured(data_dir: Path) -> None:
    with real(data_dir) as house:
        check(
            ask(house.url, FORM, key=house.key),
            Refusal(
                status=503,
                code="PROVIDER_NOT_CONFIGURED",
                message="This provider is not configured on this server",
                details={"provider": "comfyui"},
                system_message="The provider comfyui has no base_url",
                type="server_error",
            ),
        )
