"""Several pictures of one photo on the command line: numbered files, and a line for each."""

from __future__ import annotations

import re
from collections.abc import Iterator
from pathlib import Path

import pytest
from click.testing import Result
from typer.testing import CliRunner

from uncrop.cli import app
from uncrop.cli.files import numbered
from uncrop.imaging.header import read_header
from uncrop.testing import outcomes
from uncrop.testing.clipdrop import ClipdropEmulator
from uncrop.testing.pictures import photo_jpeg


@pytest.fixture
def clipdrop(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[ClipdropEmulator]:
    monkeypatch.chdir(tmp_path)  # where no .env lies
    Path("photo.jpg").write_bytes(photo_jpeg(64, 48))
    with ClipdropEmulator(api_key="key") as emulator:
        monkeypatch.setenv("UNCROP_DATA_DIR", str(tmp_path / "data"))
        monkeypatch.setenv("UNCROP_CLIPDROP_API_KEY", "key")
        monkeypatch.setenv("UNCROP_CLIPDROP_BASE_URL", emulator.url)
        yield emulator


def run(*arguments: str) -> Result:
    wishes = ("--left", "16", "--provider", "clipdrop", "-o", "wide.jpg")
    return CliRunner().invoke(app, ["extend", "photo.jpg", *wishes, *arguments])


def test_names_are_numbered_where_there_are_several() -> None:
    assert numbered(Path("a/wide.jpg"), 1) == [Path("a/wide.jpg")]
    assert numbered(Path("a/wide.old.jpg"), 2) == [Path("a/wide.old-1.jpg"), Path("a/wide.old-2.jpg")]


def test_each_picture_is_a_file_and_a_line(clipdrop: ClipdropEmulator) -> None:
    result = run("--variations", "3", "--seed", "8")
    assert (result.exit_code, result.stderr) == (0, "")
    lines = result.stdout.splitlines()
    for number, line in enumerate(lines):
        assert re.fullmatch(rf"wide-{number + 1}\.jpg: 80x48, clipdrop, seed {8 + number}, .*", line)
        assert read_header(Path(f"wide-{number + 1}.jpg").read_bytes()).width == 80
    assert (len(lines), len(clipdrop.calls), Path("wide.jpg").exists()) == (3, 3, False)


def test_what_was_made_is_written_and_what_was_not_is_told(clipdrop: ClipdropEmulator) -> None:
    clipdrop.script(outcomes.Outcome(status=429))
    result = run("--variations", "2")
    assert result.exit_code == 4
    assert len(result.stdout.splitlines()) == 1
    assert result.stderr == (
        "uncrop: 1 of 2 were not made: clipdrop: the provider is limiting requests; try again later\n"
    )
    assert (Path("wide-1.jpg").exists(), Path("wide-2.jpg").exists()) == (True, False)


@pytest.mark.parametrize("number", ["0", "5"])
def test_a_number_that_cannot_be_is_a_line(clipdrop: ClipdropEmulator, number: str) -> None:
    result = run("--variations", number)
    assert (result.exit_code, result.stdout, clipdrop.calls) == (2, "", [])
    assert result.stderr == f"uncrop: --variations {number}: must be between 1 and 4\n"
    assert sorted(path.name for path in Path().iterdir() if path.is_file()) == ["photo.jpg"]
