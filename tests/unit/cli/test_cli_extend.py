"""Photos in, pictures out: names, folders, streams, JSON. Clipdrop's emulator makes the pixels."""

from __future__ import annotations

import io
import json
import os
import re
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest
from click.testing import Result
from typer.testing import CliRunner

from uncrop.cli import app, making
from uncrop.imaging.header import read_header
from uncrop.testing import outcomes
from uncrop.testing.clipdrop import ClipdropEmulator
from uncrop.testing.pictures import photo_jpeg, photo_png


@pytest.fixture(autouse=True)
def clipdrop(tmp_path: Path, data_dir: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[ClipdropEmulator]:
    monkeypatch.chdir(tmp_path)  # where no .env lies
    Path("a.jpg").write_bytes(photo_jpeg(64, 48))
    Path("b.png").write_bytes(photo_png(40, 30))
    with ClipdropEmulator(api_key="key") as emulator:
        monkeypatch.setenv("UNCROP_DATA_DIR", str(data_dir))
        monkeypatch.setenv("UNCROP_CLIPDROP_API_KEY", "key")
        monkeypatch.setenv("UNCROP_CLIPDROP_BASE_URL", emulator.url)
        yield emulator


def run(*arguments: str | Path, stdin: bytes | None = None) -> Result:
    wishes = ("--left", "16", "--provider", "clipdrop")
    return CliRunner().invoke(app, ["extend", *wishes, *map(str, arguments)], input=stdin)


def size(path: str | Path) -> tuple[str, int, int]:
    header = read_header(Path(path).read_bytes())
    return header.format, header.width, header.height


def files() -> list[str]:
    return sorted(str(path) for path in Path().rglob("*") if path.is_file())


def test_several_photos_go_into_a_folder_under_their_own_names() -> None:
    result = run("a.jpg", "b.png", "--output-dir", "out/deep")
    assert (result.exit_code, result.stderr) == (0, "")
    assert [line.partition(",")[0] for line in result.stdout.splitlines()] == [
        "out/deep/a.jpg: 80x48",
        "out/deep/b.png: 56x30",
    ]
    assert (size("out/deep/a.jpg"), size("out/deep/b.png")) == (("JPEG", 80, 48), ("PNG", 56, 30))


def test_the_format_may_be_another() -> None:
    assert run("a.jpg", "b.png", "--output-dir", "out", "--output-format", "WebP").exit_code == 0
    assert (size("out/a.webp"), size("out/b.webp")) == (("WEBP", 80, 48), ("WEBP", 56, 30))
    assert run("a.jpg", "-o", "same.jpeg", "--output-format", "jpeg").exit_code == 0
    assert run("a.jpg", "-o", "bare", "--output-format", "png").exit_code == 0
    assert size("bare") == ("PNG", 80, 48)


def test_a_photo_that_fails_leaves_the_others_alone(clipdrop: ClipdropEmulator) -> None:
    Path("broken.jpg").write_bytes(photo_jpeg(64, 48)[:300])
    result = run("broken.jpg", "a.jpg", "--output-dir", "out")
    assert result.exit_code == 3
    assert result.stderr == "uncrop: broken.jpg: the image is corrupt or incomplete\n"
    assert result.stdout.startswith("out/a.jpg: 80x48, ")
    clipdrop.script(outcomes.Outcome(status=429))
    result = run("a.jpg", "b.png", "--output-dir", "more")
    assert result.exit_code == 4
    assert result.stderr == "uncrop: a.jpg: clipdrop: the provider is limiting requests; try again later\n"
    assert result.stdout.startswith("more/b.png: 56x30, ")


def test_a_photo_from_standard_input_and_a_picture_to_standard_output() -> None:
    result = run("-", "--output", "-", stdin=Path("a.jpg").read_bytes())
    assert result.exit_code == 0
    header = read_header(result.stdout_bytes)
    assert (header.format, header.width, header.height) == ("JPEG", 80, 48)
    assert re.fullmatch(r"uncrop: 80x48, clipdrop, seed \d+, .*\d\.\d s\n", result.stderr)
    result = run("a.jpg", "--output", "-", "--output-format", "png")
    assert read_header(result.stdout_bytes).format == "PNG"


def test_json_is_an_object_a_picture() -> None:
    result = run("a.jpg", "b.png", "--output-dir", "out", "--json", "--seed", "4")
    assert (result.exit_code, result.stderr) == (0, "")
    first, second = (json.loads(line) for line in result.stdout.splitlines())
    assert {
        name: first[name] for name in ("photo", "file", "media_type", "canvas", "provider", "seed", "warnings")
    } == {
        "photo": "a.jpg",
        "file": "out/a.jpg",
        "media_type": "image/jpeg",
        "canvas": "80x48+16+0",
        "provider": "clipdrop",
        "seed": 4,
        "warnings": [],
    }
    assert (second["width"], second["height"], second["credits_consumed"]) == (56, 30, "1")


def test_json_has_numbers_of_several_pictures() -> None:
    result = run("a.jpg", "-o", "wide.jpg", "--json", "--variations", "2", "--seed", "4")
    assert [(each["file"], each["seed"]) for each in map(json.loads, result.stdout.splitlines())] == [
        ("wide-1.jpg", 4),
        ("wide-2.jpg", 5),
    ]


@pytest.mark.parametrize(
    "name", ["two\nlines.jpg", os.fsdecode(b"caf\xe9.jpg"), "写真 🦝.jpg", "-dash.jpg", "\x1b[31m.jpg"]
)
def test_any_name_that_a_file_can_have(name: str) -> None:
    Path(name).write_bytes(photo_jpeg(64, 48))
    result = run("--output-dir", "out", "--", name)
    assert (result.exit_code, result.stderr) == (0, "")
    assert result.stdout.count("\n") == 1
    assert "\x1b" not in result.stdout
    assert size(Path("out", name)) == ("JPEG", 80, 48)
    again = run("--output-dir", "out", "--json", "--force", "--", name)
    assert json.loads(again.stdout)["file"] == f"out/{name}"
    refused = run("--output-dir", "out", "--", name)
    assert (refused.exit_code, refused.stderr.count("\n")) == (2, 1)


def test_a_stream_that_has_other_characters_shows_names_all_the_same(
    monkeypatch: pytest.MonkeyPatch, clipdrop: ClipdropEmulator
) -> None:
    from uncrop import cli

    Path("写真.jpg").write_bytes(photo_jpeg(64, 48))
    stdout = io.TextIOWrapper(io.BytesIO(), encoding="latin-1")
    monkeypatch.setattr(sys, "stdout", stdout)
    monkeypatch.setattr(
        sys, "argv", ["uncrop", "extend", "写真.jpg", "--left", "16", "--provider", "clipdrop", "-o", "é.jpg"]
    )
    monkeypatch.setattr(sys, "stderr", io.TextIOWrapper(io.BytesIO(), encoding="ascii"))
    with pytest.raises(SystemExit) as ended:
        cli.main()
    stdout.flush()
    assert ended.value.code == 0
    assert stdout.buffer.getvalue().startswith(b"\xe9.jpg: 80x48, ")  # type: ignore[attr-defined]


@pytest.mark.parametrize(
    ("arguments", "line"),
    [
        (("a.jpg",), "--output or --output-dir is missing: where to write"),
        (("a.jpg", "-o", "x.jpg", "--output-dir", "d"),
         "--output and --output-dir: only one of them says where to write"),
        (("a.jpg", "b.png", "-o", "x.jpg"),
         "--output x.jpg: is for one photo; --output-dir takes the pictures of several"),
        (("a.jpg", "a.jpg", "--output-dir", "d"), "a.jpg: is named twice"),
        (("a.jpg", "none.jpg", "--output-dir", "d"), "none.jpg: no such file"),
        (("a.jpg", "sub/a.jpg", "--output-dir", "d"),
         "a.jpg and sub/a.jpg: both would become d/a.jpg; give them different names, or folders of their own"),
        (("a.jpg", "a.webp", "--output-dir", "d", "--output-format", "png"),
         "a.jpg and a.webp: both would become d/a.png; give them different names, or folders of their own"),
        (("bare", "--output-dir", "d"), "bare: its name says no format for the picture; --output-format does"),
        (("-", "--output-dir", "d"), "-: has no name for --output-dir; use --output"),
        (("-", "-o", "x.jpg"), "-: standard input is empty; a photo is expected there"),
        (("a.jpg", "--output-dir", "b.png"), "--output-dir b.png: is a file, not a folder"),
        (("a.jpg", "--output-dir", "b.png/d"), "--output-dir b.png/d: cannot be made (not a directory)"),
        (("a.jpg", "--output-dir", ".", "--force"),
         "a.jpg: is the photo itself; a photo is not replaced by its own picture"),
        (("a.jpg", "-o", "link.jpg", "--force"),
         "link.jpg: is the photo a.jpg; a photo is not replaced by its own picture"),
        (("a.jpg", "-o", "there.jpg"), "there.jpg: exists; --force replaces it"),
        (("a.jpg", "-o", "x.png", "--output-format", "jpeg"),
         "x.png: the name's ending and --output-format jpeg contradict each other"),
        (("a.jpg", "-o", "x.jpg", "--output-format", "gif"), "--output-format gif: must be jpeg, png or webp"),
        (("a.jpg", "-o", "-", "--json"),
         "--output -: standard output takes the picture or the JSON, not both"),
        (("a.jpg", "-o", "-", "--variations", "2"),
         "--output -: standard output takes one picture; name a file for several"),
        (("a.jpg", "b.png", "--output-dir", "d", "--confidence-map", "m.png"), "--confidence-map: is for one photo"),
        (("a.jpg", "b.png", "--dry-run"), "--dry-run takes one photo at a time"),
    ],
    ids=lambda value: " ".join(value) if isinstance(value, tuple) else "",
)  # fmt: skip
def test_what_does_not_go_together_is_found_before_any_work(
    clipdrop: ClipdropEmulator, arguments: tuple[str, ...], line: str
) -> None:
    Path("sub").mkdir()
    for name in ("sub/a.jpg", "a.webp", "bare", "there.jpg"):
        Path(name).write_bytes(photo_jpeg(64, 48))
    Path("link.jpg").symlink_to("a.jpg")
    before = files()
    result = run(*arguments)
    assert (result.exit_code, result.stdout, result.stderr) == (2, "", f"uncrop: {line}\n")
    assert (files(), clipdrop.calls) == (before, [])


def test_pictures_are_shown_by_the_desktops_viewer(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    shown: list[Path] = []
    monkeypatch.setattr(making, "open_viewer", lambda path: shown.append(path) or True)
    assert run("a.jpg", "b.png", "--output-dir", "out", "--open").exit_code == 0
    assert shown == [tmp_path / "out" / "a.jpg", tmp_path / "out" / "b.png"]
    monkeypatch.setattr(making, "open_viewer", lambda path: False)
    result = run("a.jpg", "-o", "wide.jpg", "--open")
    assert (result.exit_code, result.stderr) == (0, "uncrop: --open: there is no viewer for wide.jpg\n")
