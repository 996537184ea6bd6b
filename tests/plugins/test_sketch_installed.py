"""A provider that is only installed shows up wherever providers do, and makes pictures by every way in."""

from __future__ import annotations

import json
import os
import re
import signal
import subprocess
import sys
from typing import TYPE_CHECKING, Any

import httpx2
import numpy as np
import pytest
from typer.testing import CliRunner

import uncrop
from fixtures_http import Form, ask
from fixtures_server import ORGANIZATION, PROVIDER_KEY, Real, real
from uncrop import settings
from uncrop.client import Client
from uncrop.errors import SettingsError
from uncrop.imaging import codec
from uncrop.imaging.header import open_file
from uncrop.testing.pictures import photo, photo_png

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

    from sketch.emulator import SketchEmulator

pytestmark = pytest.mark.usefixtures("sketch_installed")
WIDTH, HEIGHT = 90, 70
SIDES = {"left": 37, "right": -6, "up": 5, "down": 64}
CANVAS = (WIDTH + 37 - 6, HEIGHT + 5 + 64)


@pytest.fixture
def sketch() -> Iterator[SketchEmulator]:
    from sketch.emulator import SketchEmulator

    with SketchEmulator(api_key=PROVIDER_KEY) as running:
        yield running


@pytest.fixture
def variables(sketch: SketchEmulator, data_dir: Path) -> dict[str, str]:
    return {
        "UNCROP_DATA_DIR": str(data_dir),
        "UNCROP_SKETCH_API_KEY": PROVIDER_KEY,
        "UNCROP_SKETCH_BASE_URL": sketch.url,
        "COLUMNS": "200",
    }


@pytest.fixture
def house(sketch: SketchEmulator, tmp_path: Path) -> Iterator[Real]:
    with real(tmp_path, settings={"sketch_api_key": PROVIDER_KEY, "sketch_base_url": sketch.url}) as running:
        yield running


def run(arguments: list[str], variables: dict[str, str], folder: Path) -> subprocess.CompletedProcess[str]:
    command = [sys.executable, "-m", "uncrop", *arguments]
    environment = {**os.environ, **variables}
    return subprocess.run(
        command, check=False, env=environment, cwd=folder, capture_output=True, text=True, timeout=240
    )


# --- it shows up -----------------------------------------------------------------------------------------------------


def test_without_its_package_nobody_knows_it(monkeypatch: pytest.MonkeyPatch) -> None:
    from fixtures_plugin import PLUGINS

    monkeypatch.setattr(sys, "path", [entry for entry in sys.path if entry != str(PLUGINS)])
    settings._installed.cache_clear()
    assert "sketch" not in settings.load().rows


def test_the_api_lists_it_and_its_description_allows_it(house: Real) -> None:
    listed = {entry["name"]: entry for entry in httpx2.get(f"{house.url}/api/v1/providers").json()["providers"]}
    entry = listed["sketch"]
    assert (entry["title"], entry["configured"], entry["bills"], entry["answer_format"]) == (
        "Sketch",
        True,
        True,
        "PNG",
    )
    assert entry["geometry"]["speaks"] == "canvas"
    assert entry["geometry"]["grid"] == 16
    assert [field["name"] for field in entry["fields"]] == ["seed", "prompt"]
    assert PROVIDER_KEY not in json.dumps(entry)
    document = httpx2.get(f"{house.url}/openapi.json").json()
    assert provider_enum(document) == [
        "bfl",
        "bria",
        "clipdrop",
        "comfyui",
        "local",
        "openai",
        "sdapi",
        "sketch",
        "stability",
        "auto",
    ]


def provider_enum(document: Any) -> list[str]:
    """Return the values of the form's field ``provider``."""
    form = document["paths"]["/api/v1/images/uncrop"]["post"]["requestBody"]["content"]["multipart/form-data"]["schema"]
    while "$ref" in form:
        name = form["$ref"].rpartition("/")[2]
        form = document["components"]["schemas"][name]
    return list(form["properties"]["provider"]["enum"])


def test_the_commands_list_it(variables: dict[str, str], tmp_path: Path) -> None:
    listed = run(["providers"], variables, tmp_path)
    assert listed.returncode == 0, listed.stderr
    assert re.search(
        r"^sketch +configured +canvas and place +seed, prompt +0\.05 USD a picture$", listed.stdout, re.MULTILINE
    )
    told = run(["providers", "--json"], {**variables, "UNCROP_SKETCH_API_KEY": ""}, tmp_path)
    assert {entry["name"]: entry["configured"] for entry in json.loads(told.stdout)["providers"]}["sketch"] is False
    missing = run(["providers"], {**variables, "UNCROP_SKETCH_API_KEY": ""}, tmp_path)
    assert "uncrop: to use sketch, set UNCROP_SKETCH_API_KEY\n" in missing.stderr


def test_the_help_names_it(monkeypatch: pytest.MonkeyPatch) -> None:
    from uncrop.cli import app

    shown = " ".join(CliRunner().invoke(app, ["extend", "--help"], env={"COLUMNS": "200"}).stdout.split())
    assert "Who makes the pixels: auto, bfl, bria, clipdrop, comfyui, local, openai, sdapi, sketch, stability." in shown
    assert "sketch: 0 to 65535" in shown
    assert "sketch: up to 500 characters" in shown
    shown = " ".join(CliRunner().invoke(app, ["emulate", "--help"], env={"COLUMNS": "200"}).stdout.split())
    assert "One of bfl, bria, clipdrop, comfyui, openai, sdapi, sketch, stability." in shown


def test_the_doctor_looks_at_it(monkeypatch: pytest.MonkeyPatch, variables: dict[str, str]) -> None:
    from uncrop.cli.doctor import check_providers

    for name, value in variables.items():
        monkeypatch.setenv(name, value)
    configured = {finding.what: finding for finding in check_providers(settings.load())}["sketch"]
    assert (configured.state, configured.says) == (
        "ok",
        f"is configured, at {variables['UNCROP_SKETCH_BASE_URL']} (not called)",
    )
    monkeypatch.delenv("UNCROP_SKETCH_API_KEY")
    missing = {finding.what: finding for finding in check_providers(settings.load())}["sketch"]
    assert (missing.state, missing.says, missing.todo) == ("off", "no key", "Set UNCROP_SKETCH_API_KEY to use it.")


def test_it_can_be_emulated(variables: dict[str, str], tmp_path: Path) -> None:
    command = [sys.executable, "-u", "-m", "uncrop", "emulate", "sketch"]
    process = subprocess.Popen(
        command, env={**os.environ, **variables}, cwd=tmp_path, stdout=subprocess.PIPE, text=True
    )
    try:
        assert process.stdout is not None
        lines = [process.stdout.readline() for _ in range(2)]
        exported = dict(re.fullmatch(r"export (\w+)=(\S+)\n", line).groups() for line in lines)  # type: ignore[union-attr]
        assert list(exported) == ["UNCROP_SKETCH_BASE_URL", "UNCROP_SKETCH_API_KEY"]
        (tmp_path / "photo.png").write_bytes(photo_png(WIDTH, HEIGHT))
        arguments = ["extend", "photo.png", "--left", "32", "--provider", "sketch", "-o", "wide.png"]
        made = run(arguments, {**variables, **exported}, tmp_path)
        assert made.returncode == 0, made.stderr
    finally:
        process.send_signal(signal.SIGINT)
        process.communicate(timeout=60)
    assert process.returncode == 0


# --- its settings ----------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("name", "value", "says"),
    [
        ("STEPS", "51", "Input should be less than or equal to 50"),
        ("STEPS", "many", "Input should be a valid integer, unable to parse string as an integer"),
        ("BASE_URL", "sketch", "must be an http:// or https:// address"),
    ],
)
def test_a_wrong_value_is_one_line_at_the_start(
    name: str, value: str, says: str, variables: dict[str, str], tmp_path: Path
) -> None:
    done = run(["serve", "--port", "0"], {**variables, f"UNCROP_SKETCH_{name}": value}, tmp_path)
    assert (done.returncode, done.stdout, done.stderr) == (2, "", f"uncrop: UNCROP_SKETCH_{name}: {says}\n")


def test_a_slip_is_told_with_what_was_meant(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("UNCROP_SKETCH_STEP", "3")
    assert settings.slip_lines(settings.load()) == [
        "UNCROP_SKETCH_STEP is no setting; did you mean UNCROP_SKETCH_STEPS?"
    ]


def test_a_key_that_no_header_can_carry_stops_the_start(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("UNCROP_SKETCH_API_KEY", "two words")
    with pytest.raises(SettingsError) as refused:
        settings.load()
    assert [line.partition(":")[0] for line in refused.value.problems] == ["UNCROP_SKETCH_API_KEY"]


def test_its_limits_are_the_rows(house: Real) -> None:
    form = form_of(photo_png(WIDTH, HEIGHT), prompt="x" * 501)
    error = ask(house.url, form, key=house.key).json()["error"]
    assert (error["code"], error["details"]["max_allowed"]) == ("INVALID_FIELD_VALUE", 500)
    wide = form_of(photo_png(3000, 64)).but(extend_left="1500")
    error = ask(house.url, wide, key=house.key).json()["error"]
    assert error["code"] == "IMAGE_TOO_LARGE"
    assert error["message"] == "Sketch cannot make this picture in one call"
    assert (error["details"]["limit"], error["details"]["max_allowed"]) == ("canvas_edge", 4096)


# --- a picture by every way in ---------------------------------------------------------------------------------------


def form_of(image: bytes, **fields: str) -> Form:
    values = {f"extend_{side}": str(pixels) for side, pixels in SIDES.items()}
    return Form(
        fields={"provider": "sketch", "organization_id": ORGANIZATION, **values, **fields}, files={"image_file": image}
    )


def check_picture(data: bytes) -> None:
    """Check that every pixel of the photo stands at its place, and that the rest continues it."""
    made = codec.decode_8bit(open_file(data))
    assert made.shape == (CANVAS[1], CANVAS[0], 3)
    used = photo(WIDTH, HEIGHT)[:, : WIDTH - 6]
    assert np.array_equal(made[5 : 5 + HEIGHT, 37:], used)
    beside = made[5 : 5 + HEIGHT, :37].astype(int)
    assert np.abs(beside - used[:, :1]).mean() < 40


def check_submit(sketch: SketchEmulator) -> None:
    """Check what the vendor received: one submit, on its grid, and downloads without a key."""
    (submit,) = sketch.submits
    fields = submit.json
    assert fields is not None
    assert {fields[name] % 16 for name in ("width", "height", "offset_x", "offset_y")} == {0}
    assert fields["steps"] == 20
    (fetched,) = sketch.files.calls
    assert not {"x-key", "x-api-key", "authorization", "cookie"} & set(fetched.headers)
    polls = [call for call in sketch.calls if call.method == "GET"]
    assert len(polls) == 5  # 202, 429, 503, 202, and done


def test_by_http(house: Real, sketch: SketchEmulator) -> None:
    response = ask(house.url, form_of(photo_png(WIDTH, HEIGHT)), key=house.key)
    assert response.status_code == 200, response.text
    assert response.headers["content-type"] == "image/png"
    assert response.headers["x-original"] == "exact"
    assert response.headers["x-canvas"] == f"{CANVAS[0]}x{CANVAS[1]}+37+5"
    check_picture(response.content)
    check_submit(sketch)
    assert house.booked() == 1


def test_by_the_client(house: Real, sketch: SketchEmulator) -> None:
    with Client(house.url, api_key=house.key, organization_id=ORGANIZATION) as client:
        picture = client.extend(photo_png(WIDTH, HEIGHT), provider="sketch", seed=3, **SIDES)
    check_picture(picture.image)
    assert picture.seed == 3


def test_by_command(variables: dict[str, str], sketch: SketchEmulator, tmp_path: Path) -> None:
    (tmp_path / "photo.png").write_bytes(photo_png(WIDTH, HEIGHT))
    sides = [part for side, pixels in SIDES.items() for part in (f"--{side}", str(pixels))]
    done = run(["extend", "photo.png", *sides, "--provider", "sketch", "-o", "wide.png"], variables, tmp_path)
    assert done.returncode == 0, done.stderr
    assert done.stdout.startswith(f"wide.png: {CANVAS[0]}x{CANVAS[1]}, sketch, seed ")
    check_picture((tmp_path / "wide.png").read_bytes())
    check_submit(sketch)


def test_by_python(variables: dict[str, str], sketch: SketchEmulator, monkeypatch: pytest.MonkeyPatch) -> None:
    for name, value in variables.items():
        monkeypatch.setenv(name, value)
    result = uncrop.extend(photo_png(WIDTH, HEIGHT), provider="sketch", **SIDES)
    assert isinstance(result, uncrop.UncropResult)
    assert (result.original, result.facts.model) == ("exact", "sketch-1")
    check_picture(result.image)
    check_submit(sketch)


def test_several_by_python(variables: dict[str, str], sketch: SketchEmulator, monkeypatch: pytest.MonkeyPatch) -> None:
    for name, value in variables.items():
        monkeypatch.setenv(name, value)
    made = uncrop.extend_variations(photo_png(WIDTH, HEIGHT), 2, provider="sketch", seed=8, **SIDES)
    assert ([result.seed for result in made.results], made.failures) == ([8, 9], ())
    for result in made.results:
        check_picture(result.image)
