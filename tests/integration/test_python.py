"""Uncrop as a library, with the real engine."""

from __future__ import annotations

import asyncio
import signal
import subprocess
import sys
import threading
import time
from pathlib import Path
from typing import Any, NoReturn

import numpy as np
import pytest

import uncrop
from uncrop import settings
from uncrop.imaging import codec
from uncrop.imaging.header import open_file
from uncrop.testing import outcomes, pictures
from uncrop.testing.clipdrop import ClipdropEmulator
from uncrop.workers import engine_runner


@pytest.fixture
def configured(data_dir: Path) -> settings.Settings:
    return settings.load(data_dir=data_dir)


def test_one_call_extends_a_file(configured: settings.Settings, tmp_path: Path) -> None:
    photo = tmp_path / "photo.png"
    photo.write_bytes(pictures.photo_png(64, 48))
    result = uncrop.extend(photo, left=16, up=8, seed=3, settings=configured)
    assert isinstance(result, uncrop.UncropResult)
    assert (result.width, result.height, result.seed, result.media_type) == (80, 56, 3, "image/png")
    original = codec.decode_8bit(open_file(photo.read_bytes()))
    assert np.array_equal(codec.decode_8bit(open_file(result.image))[8:, 16:], original)
    again = uncrop.extend(photo.read_bytes(), left=16, up=8, seed=3, settings=configured)
    assert again.image == result.image


def test_progress_is_told_and_a_map_is_made_on_request(configured: settings.Settings) -> None:
    told: list[tuple[float, str]] = []
    result = uncrop.extend(
        pictures.photo_png(64, 48),
        left=16,
        seed=3,
        quality="fast",
        confidence_map=True,
        progress=lambda *step: told.append(step),
        settings=configured,
    )
    assert (told[0], told[-1]) == ((0.0, "prepare"), (1.0, "done"))
    assert result.confidence_map is not None
    assert (codec.decode_8bit(open_file(result.confidence_map))[:, 16:] == 255).all()
    assert result.facts.advice is not None
    assert 0 <= result.facts.advice.left <= 16


def test_a_lossless_webp_stays_lossless(configured: settings.Settings) -> None:
    pixels = pictures.photo(64, 48)
    photo = codec.encode(pixels, "WEBP", lossless=True)
    result = uncrop.extend(photo, left=8, seed=1, settings=configured)
    assert result.media_type == "image/webp"
    assert np.array_equal(codec.decode_8bit(open_file(result.image))[:, 8:], codec.decode_8bit(open_file(photo)))


def test_auto_asks_whom_the_settings_name(data_dir: Path) -> None:
    with ClipdropEmulator(api_key="key") as clipdrop:
        values = {"clipdrop_api_key": "key", "clipdrop_base_url": clipdrop.url, "auto_providers": "openai,clipdrop"}
        configured = settings.load(data_dir=data_dir, **values)
        result = uncrop.extend(pictures.photo_jpeg(64, 48), left=16, provider="auto", settings=configured)
        assert (result.facts.provider, len(clipdrop.calls)) == ("clipdrop", 1)


def test_variations_differ_in_their_seeds_and_tell_what_was_not_made(data_dir: Path) -> None:
    with ClipdropEmulator(api_key="key") as clipdrop:
        configured = settings.load(data_dir=data_dir, clipdrop_api_key="key", clipdrop_base_url=clipdrop.url)
        wishes: dict[str, Any] = {"left": 16, "provider": "clipdrop", "seed": 5, "settings": configured}
        photo = pictures.photo_jpeg(64, 48)
        made = uncrop.extend_variations(photo, 2, output_format="png", **wishes)
        assert isinstance(made, uncrop.Variations)
        assert ([result.seed for result in made.results], made.failures) == ([5, 6], ())
        assert {(result.width, result.media_type) for result in made.results} == {(80, "image/png")}
        assert made.results[0].image != made.results[1].image
        clipdrop.script(outcomes.refuse(500))
        some = uncrop.extend_variations(photo, 2, **wishes)
        assert [len(some.results), *(failure.code for failure in some.failures)] == [1, "PROVIDER_ERROR"]
        calls = len(clipdrop.calls)
        with pytest.raises(ValueError, match="variations must be between 1 and 4"):
            uncrop.extend_variations(photo, 5, **wishes)
        assert len(clipdrop.calls) == calls


def test_what_is_wrong_with_the_request_is_a_value_error(configured: settings.Settings) -> None:
    with pytest.raises(ValueError, match="exceed 2000px") as caught:
        uncrop.extend(pictures.photo_png(64, 48), left=3000, settings=configured)
    assert isinstance(caught.value, uncrop.UncropError)


@pytest.mark.parametrize(("wished", "media_type"), [("PNG", "image/png"), ("png", "image/png"), ("webp", "image/webp")])
def test_the_answers_format_is_named_in_either_case(
    configured: settings.Settings, wished: Any, media_type: str
) -> None:
    result = uncrop.extend(pictures.photo_jpeg(32, 24), left=8, output_format=wished, settings=configured)
    assert result.media_type == media_type


def test_a_format_that_is_none_is_refused_before_anything_is_made(configured: settings.Settings) -> None:
    with pytest.raises(uncrop.UncropError, match="output_format must be one of jpeg, png, webp") as refused:
        uncrop.extend(pictures.photo_jpeg(32, 24), left=8, output_format="jpg", settings=configured)  # type: ignore[arg-type]
    assert refused.value.details == {"field": "output_format", "allowed": ["jpeg", "png", "webp"]}


def test_a_missing_file_is_an_os_error(configured: settings.Settings) -> None:
    with pytest.raises(FileNotFoundError):
        uncrop.extend("none.jpg", left=8, settings=configured)


async def test_one_call_works_in_a_notebook_too(configured: settings.Settings) -> None:
    result = uncrop.extend(pictures.photo_png(64, 48), left=8, seed=1, quality="fast", settings=configured)
    assert result.width == 72


def test_an_interrupt_ends_the_work_at_its_next_step(
    configured: settings.Settings, monkeypatch: pytest.MonkeyPatch
) -> None:
    me = threading.get_ident()
    ended = threading.Event()
    # What a shell starts in the background ignores interrupts from birth: without this the test would wait for ever.
    before = signal.signal(signal.SIGINT, signal.default_int_handler)

    def work(*arguments: object) -> NoReturn:
        progress = arguments[-1]
        signal.pthread_kill(me, signal.SIGINT)
        try:
            while True:
                progress(0.5, "search")  # type: ignore[operator]
                time.sleep(0.001)
        finally:
            ended.set()

    monkeypatch.setattr(engine_runner, "compute", work)
    try:
        with pytest.raises(KeyboardInterrupt):
            uncrop.extend(pictures.photo_png(64, 48), left=8, settings=configured)
    finally:
        signal.signal(signal.SIGINT, before)
    assert ended.is_set()


async def test_an_open_uncropper_makes_many_at_once(configured: settings.Settings) -> None:
    photo = pictures.photo_png(64, 48)
    async with uncrop.open_uncropper(configured) as uncropper:
        requests = [
            uncrop.UncropRequest(provider="local", image=photo, sides=uncrop.Sides(right=8), seed=seed, quality="fast")
            for seed in (1, 2, 1)
        ]
        first, second, third = await asyncio.gather(*map(uncropper.run, requests))
    assert first.image == third.image
    assert first.seed != second.seed


def test_every_public_name_can_be_looked_up() -> None:
    assert uncrop.__all__ == sorted(uncrop.__all__, key=lambda name: (not name[0].isupper(), name))
    for name in uncrop.__all__:
        assert getattr(uncrop, name) is not None
    with pytest.raises(AttributeError, match="has no attribute 'none'"):
        _ = uncrop.none  # type: ignore[attr-defined]


def test_importing_uncrop_loads_nothing_heavy() -> None:
    code = (
        "import sys, uncrop; "
        "print(sorted(sys.modules.keys() & {'numpy', 'numba', 'PIL', 'httpx2', 'pydantic', 'sqlalchemy', 'starlette', "
        "'structlog', 'anyio', 'typer'}))"
    )
    done = subprocess.run([sys.executable, "-c", code], check=True, capture_output=True, text=True)
    assert done.stdout == "[]\n"
