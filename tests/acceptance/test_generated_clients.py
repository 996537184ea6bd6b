"""Clients that generators make of ``/openapi.json``, against a real server: each provider, a map, an error.

The generators are installed from locks into a folder of their own, once; where they cannot be had the tests skip.
"""

from __future__ import annotations

import base64
import json
import os
import shutil
import sys
from pathlib import Path
from typing import TYPE_CHECKING, Any, Protocol

import httpx2
import pytest

from fixtures_server import ORGANIZATION, Real, real
from installed import TOOLS, installing, npm_packages, run
from uncrop.imaging.header import read_header
from uncrop.testing.pictures import mask_png, photo_jpeg, photo_png

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping

ROOT = Path(__file__).resolve().parents[2]
LOCK = ROOT / "requirements" / "generators.txt"
PROGRAMS = Path(__file__).with_name("generated_clients")
WIDTH, HEIGHT = 96, 64
FILES = {
    "photo.jpg": photo_jpeg(WIDTH, HEIGHT),
    "photo.png": photo_png(WIDTH, HEIGHT),
    "mask.png": mask_png(WIDTH, HEIGHT),
}


class Client(Protocol):
    """A generated client: takes requests, (fields, files by field), and returns what it got."""

    def __call__(self, *requests: tuple[Mapping[str, Any], Mapping[str, str]]) -> list[dict[str, Any]]: ...


# --- the generators --------------------------------------------------------------------------------------------------


@pytest.fixture(scope="module")
def house(tmp_path_factory: pytest.TempPathFactory, kernels: Path) -> Iterator[Real]:
    folder = tmp_path_factory.mktemp("house")
    (folder / "kernels").symlink_to(kernels)
    with real(folder) as running:
        yield running


@pytest.fixture(scope="module")
def document(house: Real, tmp_path_factory: pytest.TempPathFactory) -> Path:
    path = tmp_path_factory.mktemp("document") / "openapi.json"
    path.write_bytes(httpx2.get(f"{house.url}/openapi.json").content)
    return path


@pytest.fixture(scope="module")
def python_program(document: Path, tmp_path_factory: pytest.TempPathFactory) -> list[str | Path]:
    """The package that openapi-python-client makes, and a program that uses it."""
    with installing("python", LOCK) as folder:
        if folder is not None:
            run(sys.executable, "-m", "venv", folder, cwd=ROOT)
            pip = [folder / "bin" / "python", "-m", "pip", "--disable-pip-version-check", "--no-input"]
            options = ["--quiet", "--no-deps", "--require-hashes", "-r", LOCK]
            run(*pip, "install", *options, cwd=ROOT, what="openapi-python-client")
            run(*pip, "check", cwd=ROOT)
    made = tmp_path_factory.mktemp("python") / "made"
    programs = TOOLS / "python" / "bin"
    search = {**os.environ, "PATH": f"{programs}{os.pathsep}{os.environ['PATH']}"}
    generator = [programs / "openapi-python-client", "generate", "--path", document, "--output-path", made]
    run(*generator, cwd=made.parent, env=search)
    shutil.copy(PROGRAMS / "main.py", made)
    return [programs / "python", made / "main.py"]


@pytest.fixture(scope="module")
def typescript_program(document: Path, tmp_path_factory: pytest.TempPathFactory) -> list[str | Path]:
    """The types that openapi-typescript makes, and a program that is compiled with them."""
    modules = npm_packages("node", PROGRAMS, what="openapi-typescript")
    node = str(shutil.which("node"))
    made = tmp_path_factory.mktemp("node") / "made"
    shutil.copytree(PROGRAMS, made)
    (made / "node_modules").symlink_to(modules)
    programs = made / "node_modules" / ".bin"
    run(programs / "openapi-typescript", document, "--output", made / "schema.d.ts", cwd=made)
    run(programs / "tsc", "--project", made, cwd=made)
    return [node, made / "main.mjs"]


# What both are made of is the same document: the one whose generator is there sooner reads it every day.
@pytest.fixture(params=[pytest.param("python", marks=pytest.mark.slow), "typescript"])
def client(request: pytest.FixtureRequest, house: Real, tmp_path: Path) -> Client:
    program = request.getfixturevalue(f"{request.param}_program")
    for name, data in FILES.items():
        (tmp_path / name).write_bytes(data)

    def send(*requests: tuple[Mapping[str, Any], Mapping[str, str]]) -> list[dict[str, Any]]:
        wished = [
            {
                "fields": {"organization_id": ORGANIZATION, **fields},
                "files": {field: str(tmp_path / name) for field, name in files.items()},
            }
            for fields, files in requests
        ]
        said = json.loads(run(*program, house.url, house.key, cwd=tmp_path, input=json.dumps(wished), timeout=120))
        assert said["live"] == "ok"
        rows = house.server.service.registry.facts()
        assert said["providers"] == {row.name: row.upload.max_bytes for row in rows}
        assert all(answer.get("same", True) for answer in said["answers"])
        answers: list[dict[str, Any]] = said["answers"]
        return answers

    return send


def picture(answer: Mapping[str, Any], provider: str, kind: str) -> tuple[int, int]:
    """Return the size of the picture that was answered."""
    assert (answer["status"], answer["provider"], answer["type"]) == (200, provider, f"image/{kind}"), answer
    header = read_header(base64.b64decode(answer["bytes"]))
    assert header.format == kind.upper()
    return header.width, header.height


# --- what they do ----------------------------------------------------------------------------------------------------


def test_a_generated_client_extends_a_photo_through_every_provider(client: Client) -> None:
    jpeg, png = {"image_file": "photo.jpg"}, {"image_file": "photo.png"}
    answers = client(
        ({"provider": "clipdrop", "extend_left": 20, "seed": 42}, jpeg),
        ({"provider": "openai", "prompt": "a wide beach"}, {**png, "mask_file": "mask.png"}),
        ({"provider": "local", "extend_down": 8, "quality": "fast"}, jpeg),
        ({"provider": "local", "extend_up": -8}, png),
    )
    found = [
        picture(answer, provider, kind)
        for answer, provider, kind in zip(
            answers, ("clipdrop", "openai", "local", "local"), ("jpeg", "png", "jpeg", "png"), strict=True
        )
    ]
    assert found == [(WIDTH + 20, HEIGHT), (WIDTH, HEIGHT), (WIDTH, HEIGHT + 8), (WIDTH, HEIGHT - 8)]


def test_a_generated_client_sends_nothing_that_nobody_set(client: Client, house: Real) -> None:
    before = len(house.clipdrop.calls)
    client(({"provider": "clipdrop", "extend_left": 20, "seed": 42}, {"image_file": "photo.jpg"}))
    sent = house.clipdrop.calls[before:]
    assert sent
    told = [{name for name, value in call.fields.items() if value != "0"} for call in sent]
    assert told == [{"extend_left", "seed"}] * len(sent)


def test_a_generated_client_reads_the_map(client: Client) -> None:
    fields = {"provider": "local", "extend_left": 8, "quality": "fast", "confidence_map": True}
    (answer,) = client((fields, {"image_file": "photo.png"}))
    assert (answer["status"], answer["type"]) == (200, "application/json")
    told = answer["map"]
    assert (told["image"]["media_type"], told["image"]["width"]) == ("image/png", WIDTH + 8)
    assert read_header(base64.b64decode(told["confidence_map"]["base64"])).width == WIDTH + 8
    assert told["report"]["provider"] == "local"
    assert json.loads(base64.b64decode(answer["bytes"])) == told


def test_a_generated_client_reads_errors(client: Client) -> None:
    refused = client(
        ({"provider": "clipdrop", "extend_left": 2500}, {"image_file": "photo.jpg"}),
        ({"provider": "clipdrop", "extend_left": 8, "quality": "fast"}, {"image_file": "photo.jpg"}),
        ({"provider": "local", "extend_left": 8, "organization_id": "org_other"}, {"image_file": "photo.jpg"}),
    )
    assert [(answer["status"], answer["code"]) for answer in refused] == [
        (422, "INVALID_EXTEND_PARAMETERS"),
        (422, "INVALID_FIELD_VALUE"),
        (403, "ORGANIZATION_ACCESS_DENIED"),
    ]
