"""A web UI of Stable Diffusion behind the whole of uncrop: the picture, the progress, and the client that leaves."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
import pytest

import uncrop
from fixtures_http import Form, Refusal, ask, check, send
from fixtures_server import ORGANIZATION, Real, real, wait_until
from uncrop import settings
from uncrop.imaging import codec
from uncrop.imaging.header import open_file
from uncrop.testing.pictures import mask_png, photo, photo_png
from uncrop.testing.sdapi import StableDiffusionEmulator

if TYPE_CHECKING:
    from collections.abc import Iterator

USER = "operator:password"
SIZES = {"landscape": (640, 420), "portrait": (300, 500), "tiny": (17, 23), "larger than the model's": (1500, 1100)}
GEOMETRIES: dict[str, dict[str, Any]] = {
    "sides": {"left": 61, "right": -5, "up": 13, "down": 30},
    "a ratio": {"aspect_ratio": "16:9", "anchor": "left"},
    "a canvas": {"canvas": (1700, 1300), "position": (33, 41)},
    "zoom": {"zoom_out": 30},
}


@pytest.fixture(scope="module")
def web_ui() -> Iterator[StableDiffusionEmulator]:
    with StableDiffusionEmulator() as emulator:
        yield emulator


def configured(folder: Path, emulator: StableDiffusionEmulator, **values: Any) -> uncrop.Settings:
    named = {"sdapi_base_url": emulator.url, "sdapi_api_auth": emulator.api_key, **values}
    return settings.load(data_dir=folder, _env_file=None, **{name: value for name, value in named.items() if value})


def decoded(data: bytes) -> np.ndarray:
    return codec.decode_8bit(open_file(data)).astype(int)


@pytest.mark.parametrize("geometry", GEOMETRIES)
@pytest.mark.parametrize(
    "size", ["landscape", "tiny", *(pytest.param(size, marks=pytest.mark.slow) for size in list(SIZES)[1::2])]
)
def test_every_geometry_is_made_around_the_photos_own_pixels(
    web_ui: StableDiffusionEmulator, data_dir: Path, size: str, geometry: str
) -> None:
    width, height = SIZES[size]
    original = photo(width, height)
    result = uncrop.extend(
        photo_png(width, height),
        provider="sdapi",
        settings=configured(data_dir, web_ui),
        **GEOMETRIES[geometry],
    )
    made, placement = decoded(result.image), result.placement
    assert placement is not None
    assert made.shape == (placement.height, placement.width, 3)
    kept, source = placement.kept, placement.source
    inside = made[kept.y : kept.y + kept.height, kept.x : kept.x + kept.width]
    used = original[source.y : source.y + source.height, source.x : source.x + source.width]
    assert (inside == used).all()
    assert result.original == "exact"
    # Nothing beside the photo is left of what was drawn under the mask, nor black or white.
    if kept.x >= 4 and kept.height > 16:
        beside = made[kept.y : kept.y + kept.height, kept.x - 4 : kept.x]
        assert abs(beside.mean() - inside[:, :4].mean()) < 12


@pytest.mark.parametrize("dialect", ["a1111", "forge", "sdnext"])
def test_a_hole_of_the_callers_is_filled_in_every_dialect(data_dir: Path, dialect: Any) -> None:
    with StableDiffusionEmulator(api_key=USER, dialect=dialect) as emulator:
        result = uncrop.extend(
            photo_png(640, 512), mask=mask_png(640, 512), provider="sdapi", settings=configured(data_dir, emulator)
        )
    made = decoded(result.image)
    assert made.shape == (512, 640, 3)
    assert (made[:, :480] == photo(640, 512)[:, :480]).all()


def test_the_progress_is_told(data_dir: Path) -> None:
    told: list[tuple[float, str]] = []
    with StableDiffusionEmulator() as emulator:
        emulator.holds_work = True

        def progress(fraction: float, step: str) -> None:
            told.append((fraction, step))
            emulator.release()

        uncrop.extend(
            photo_png(64, 48),
            left=16,
            provider="sdapi",
            settings=configured(data_dir, emulator),
            progress=progress,
        )
    assert (0.5, "painting") in told


# --- clients that leave ----------------------------------------------------------------------------------------------


def form() -> Form:
    return Form(
        fields={"provider": "sdapi", "organization_id": ORGANIZATION, "extend_left": "16"},
        files={"image_file": photo_png(64, 48)},
    )


def paths(emulator: StableDiffusionEmulator) -> list[str]:
    return [call.path for call in emulator.calls]


def leave(house: Real, emulator: StableDiffusionEmulator) -> None:
    leaving = send(house.url, form(), key=house.key)
    emulator.wait_for_work()
    leaving.close()


@pytest.mark.parametrize("dialect", ["a1111", "forge"])
def test_work_of_a_client_that_leaves_is_interrupted_and_not_booked(tmp_path: Path, dialect: Any) -> None:
    with StableDiffusionEmulator(api_key=USER, dialect=dialect) as emulator:
        named = {"sdapi_base_url": emulator.url, "sdapi_api_auth": USER}
        with real(tmp_path, settings=named) as house:
            emulator.holds_work = True
            leave(house, emulator)
            wait_until(lambda: house.server.service.capacity.slots.running == 0)
            assert paths(emulator) == ["/sdapi/v1/img2img", "/internal/progress", "/sdapi/v1/interrupt"]
            emulator.holds_work = False
            assert ask(house.url, form(), key=house.key).status_code == 200
            assert house.booked() == 1


def test_work_that_may_be_anothers_goes_on(tmp_path: Path) -> None:
    with (
        StableDiffusionEmulator(dialect="sdnext") as emulator,
        real(tmp_path, settings={"sdapi_base_url": emulator.url}) as house,
    ):
        emulator.holds_work = True
        leave(house, emulator)
        wait_until(lambda: house.server.service.capacity.slots.running == 0)
        assert paths(emulator) == ["/sdapi/v1/img2img", "/internal/progress"]


def test_whatever_runs_is_interrupted_where_the_operator_says_so(tmp_path: Path) -> None:
    with StableDiffusionEmulator(dialect="sdnext") as emulator:
        named = {"sdapi_base_url": emulator.url, "sdapi_interrupt": "any"}
        with real(tmp_path, settings=named) as house:
            emulator.holds_work = True
            leave(house, emulator)
            wait_until(lambda: house.server.service.capacity.slots.running == 0)
            assert paths(emulator) == ["/sdapi/v1/img2img", "/sdapi/v1/interrupt"]


def test_one_clients_leaving_does_not_spoil_anothers_picture(tmp_path: Path) -> None:
    with (
        StableDiffusionEmulator() as emulator,
        real(tmp_path, settings={"sdapi_base_url": emulator.url}) as house,
    ):
        whole = decoded(ask(house.url, form().but(seed="1"), key=house.key).content)
        emulator.holds_work = True
        first = send(house.url, form().but(seed="1"), key=house.key)
        emulator.wait_for_work()
        second = send(house.url, form(), key=house.key)
        emulator.wait_for_calls(3)
        second.close()  # it waits for its turn at the web UI
        emulator.wait_for_calls(4)
        emulator.holds_work = False
        emulator.release()
        response = first.getresponse()
        assert response.status == 200
        assert (decoded(response.read()) == whole).all()
        first.close()
        assert "/sdapi/v1/interrupt" not in paths(emulator)


# --- bad input -------------------------------------------------------------------------------------------------------


def test_without_an_address_it_is_not_configured(house: Real) -> None:
    check(
        ask(house.url, form(), key=house.key),
        Refusal(
            status=503,
            code="PROVIDER_NOT_CONFIGURED",
            message="This provider is not configured on this server",
            details={"provider": "sdapi"},
            system_message="The provider sdapi has no base_url",
            type="server_error",
        ),
    )


def test_a_field_that_it_does_not_take_is_refused(house: Real) -> None:
    check(
        ask(house.url, form().but(size="1024x1024"), key=house.key),
        Refusal(
            status=422,
            code="INVALID_FIELD_VALUE",
            message="size is not supported by provider sdapi",
            details={"field": "size", "provider": "sdapi"},
        ),
    )
