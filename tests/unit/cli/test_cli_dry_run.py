"""What a picture would take, on the command line."""

from __future__ import annotations

import json
import re
from pathlib import Path

import pytest
from click.testing import Result
from typer.testing import CliRunner

from uncrop.cli import app
from uncrop.providers.registry import load_rows
from uncrop.testing.pictures import photo_jpeg


@pytest.fixture(autouse=True)
def folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)  # where no .env lies
    monkeypatch.setenv("UNCROP_DATA_DIR", str(tmp_path / "data"))
    monkeypatch.setenv("UNCROP_CLIPDROP_API_KEY", "key")
    for row in load_rows(()).values():
        for setting in row.settings:
            if row.name != "clipdrop":
                monkeypatch.delenv(row.variable(setting), raising=False)
    Path("photo.jpg").write_bytes(photo_jpeg(64, 48))


def run(*arguments: str) -> Result:
    return CliRunner().invoke(app, ["extend", "photo.jpg", "--left", "16", *arguments])


def lines_of(result: Result) -> list[list[str]]:
    return [re.split(r"  +", line) for line in result.stdout.splitlines()]


def test_one_provider_is_a_table_of_one_line() -> None:
    result = run("--dry-run", "--provider", "clipdrop")
    assert (result.exit_code, result.stderr) == (0, "")
    assert lines_of(result) == [
        ["PROVIDER", "POSSIBLE", "CANVAS", "CALLS", "PRICE", "MEMORY", "WHY NOT"],
        ["clipdrop", "yes", "80x48+16+0", "1", "1 credit (2026-11)", "-", "-"],
    ]
    assert not Path("data").exists()


def test_all_are_a_table() -> None:
    result = run("--dry-run", "--provider", "all")
    assert result.exit_code == 0
    lines = {line[0]: line[1:] for line in lines_of(result)}
    assert lines["local"][:4] == ["yes", "80x48+16+0", "1", "free"]
    assert lines["local"][4].endswith(" MB")
    assert lines["openai"] == [
        "no",
        "80x48+16+0",
        "-",
        "not known",
        "-",
        "openai is not configured; set UNCROP_OPENAI_API_KEY",
    ]
    price = load_rows(())["stability"].price
    assert price is not None
    assert lines["stability"][3] == f"4 credit a picture ({price.date})"


def test_json_is_what_the_api_tells() -> None:
    one, of_all = (json.loads(run("--dry-run", "--json", "--provider", name).stdout) for name in ("clipdrop", "all"))
    assert one in of_all
    assert (one["provider"], one["calls"], one["expected_seconds"]) == ("clipdrop", 1, None)


@pytest.mark.parametrize(
    ("arguments", "code"),
    [(("--provider", "openai"), 5), (("--provider", "clipdrop", "--prompt", "a beach"), 2)],
)
def test_one_that_cannot_ends_as_the_picture_would(arguments: tuple[str, ...], code: int) -> None:
    result = run("--dry-run", *arguments)
    assert result.exit_code == code
    assert lines_of(result)[1][1] == "no"


def test_what_nobody_could_make_is_a_line() -> None:
    result = run("--dry-run", "--right", "2001")
    assert (result.exit_code, result.stdout) == (3, "")
    assert result.stderr == "uncrop: --right 2001: must be from -2000 to 2000 pixels\n"


@pytest.mark.parametrize(
    ("arguments", "line"),
    [
        ((), "uncrop: --output or --output-dir is missing: where to write\n"),
        (("--json",), "uncrop: --output or --output-dir is missing: where to write\n"),
    ],
)
def test_what_is_missing_is_a_line(arguments: tuple[str, ...], line: str) -> None:
    result = run(*arguments)
    assert (result.exit_code, result.stdout, result.stderr) == (2, "", line)


def test_auto_is_a_table_of_those_that_would_be_asked(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("UNCROP_AUTO_PROVIDERS", "openai,clipdrop,local")
    result = run("--dry-run", "--provider", "auto")
    assert result.exit_code == 0
    assert [line[:2] for line in lines_of(result)[1:]] == [["openai", "no"], ["clipdrop", "yes"], ["local", "yes"]]
