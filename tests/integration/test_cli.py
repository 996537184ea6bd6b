"""The command line as a user meets it: real processes, real files, the real engine."""

from __future__ import annotations

import os
import pty
import re
import signal
import stat
import subprocess
import sys
from functools import partial
from pathlib import Path

import httpx2
import numpy as np
import pytest

import uncrop
from fixtures_server import wait_until
from terminals import read_terminal
from uncrop.imaging import codec, header
from uncrop.imaging.header import open_file
from uncrop.testing import pictures
from uncrop.testing.clipdrop import ClipdropEmulator

PHOTO = Path(__file__).parents[2] / "examples" / "raccoon.jpg"


@pytest.fixture
def environment(data_dir: Path) -> dict[str, str]:
    return {**os.environ, "UNCROP_DATA_DIR": str(data_dir), "COLUMNS": "200"}


def run(arguments: list[str | Path], environment: dict[str, str], folder: Path) -> subprocess.CompletedProcess[str]:
    command = [sys.executable, "-m", "uncrop", *map(str, arguments)]
    return subprocess.run(
        command, check=False, env=environment, cwd=folder, capture_output=True, text=True, timeout=240
    )


@pytest.fixture
def small(tmp_path: Path) -> Path:
    path = tmp_path / "small.png"
    path.write_bytes(pictures.photo_png(80, 60))
    return path


def test_a_photo_is_extended_and_one_line_says_how(environment: dict[str, str], small: Path, tmp_path: Path) -> None:
    done = run(["extend", small, "--left", 24, "--down", 8, "--seed", 5, "--output", "wide.png"], environment, tmp_path)
    assert done.returncode == 0, done.stderr
    assert re.fullmatch(r"wide\.png: 104x68, local, seed 5, confidence [01]\.\d\d, \d+\.\d s\n", done.stdout)
    made = codec.decode_8bit(open_file((tmp_path / "wide.png").read_bytes()))
    assert np.array_equal(made[:60, 24:], codec.decode_8bit(open_file(small.read_bytes())))
    again = run(["extend", small, "--left", 24, "--down", 8, "--seed", 5, "-o", "again.png"], environment, tmp_path)
    assert again.returncode == 0
    assert (tmp_path / "again.png").read_bytes() == (tmp_path / "wide.png").read_bytes()


def test_the_map_is_written_and_too_far_a_side_is_told(
    environment: dict[str, str], small: Path, tmp_path: Path
) -> None:
    arguments = ["extend", small, "--left", 300, "--seed", 5, "--quality", "fast", "-o", "wide.png"]
    done = run([*arguments, "--confidence-map", "map.png"], environment, tmp_path)
    assert done.returncode == 0, done.stderr
    assert done.stdout.count("\n") == 1
    data = (tmp_path / "map.png").read_bytes()
    found = header.read_header(data)
    assert (found.width, found.height, found.channels, found.bits) == (380, 60, 1, 8)
    trust = codec.decode(header.open_file(data))[:, :, 0]
    assert (trust[:, 300:] == 255).all()
    confidence = re.search(r"confidence ([01]\.\d\d)", done.stdout)
    assert confidence is not None
    assert float(confidence[1]) == pytest.approx(trust[:, :300].mean() / 255, abs=0.0051)
    advice = re.fullmatch(r"uncrop: confident up to left (\d+)\n", done.stderr)
    assert advice is not None, done.stderr
    assert int(advice[1]) < 300
    # What was advised is not too far.
    again = run([*arguments, "--left", -8, "--force"], environment, tmp_path)
    assert (again.returncode, again.stderr) == (0, "")


def test_a_terminal_sees_a_bar_that_leaves_no_trace(environment: dict[str, str], small: Path, tmp_path: Path) -> None:
    reader, terminal = pty.openpty()
    arguments = ["extend", str(small), "--left", "8", "--seed", "5", "--quality", "fast", "-o", "wide.png"]
    command = [sys.executable, "-m", "uncrop", *arguments]
    process = subprocess.Popen(command, env=environment, cwd=tmp_path, stdout=subprocess.PIPE, stderr=terminal)
    os.close(terminal)
    shown = read_terminal(reader).decode()
    output, _ = process.communicate(timeout=240)
    assert process.returncode == 0, shown
    assert output.startswith(b"wide.png: 88x60, local, seed 5, ")
    *drawn, wiped, rest = shown.split("\r")[1:]
    bars = [re.fullmatch(r"uncrop: \[(#*)(\.*)\] +(\d+)%  ([a-z0-9 ]+?) *", line) for line in drawn]
    assert all(bars), drawn
    percents = [int(bar[3]) for bar in bars if bar]
    assert (percents[0], percents[-1]) == (0, 100)
    assert percents == sorted(percents)
    assert wiped.strip() == ""
    assert len(wiped) >= len(drawn[-1].rstrip())
    assert "[" not in rest


def test_the_name_of_the_output_sets_its_format(environment: dict[str, str], small: Path, tmp_path: Path) -> None:
    done = run(["extend", small, "--right", 8, "--quality", "fast", "--output", "wide.webp"], environment, tmp_path)
    assert done.returncode == 0, done.stderr
    assert header.read_header((tmp_path / "wide.webp").read_bytes()).format == "WEBP"


def test_the_output_is_readable_like_any_new_file(environment: dict[str, str], small: Path, tmp_path: Path) -> None:
    run(["extend", small, "--right", 8, "--quality", "fast", "--output", "wide.png"], environment, tmp_path)
    (tmp_path / "plain").touch()
    modes = [stat.S_IMODE((tmp_path / name).stat().st_mode) for name in ("wide.png", "plain")]
    assert modes[0] == modes[1]


# Each is a process: one of each kind every day. tests/unit/cli tries their words within this one.
rare = partial(pytest.param, marks=pytest.mark.slow)


@pytest.mark.parametrize(
    ("arguments", "code", "line"),
    [
        (["none.jpg", "--left", 8, "-o", "out.jpg"], 2, "none.jpg: no such file"),
        (["folder", "--left", 8, "-o", "out.jpg"], 2, "folder: is a folder, not a photo"),
        (["text.jpg", "--left", 8, "-o", "out.jpg"], 3, "text.jpg: the image is not a PNG, JPEG or WebP"),
        rare(["cut.jpg", "--left", 8, "-o", "out.jpg"], 3, "cut.jpg: the image is corrupt or incomplete"),
        rare(["small.png", "--left", 8, "-o", "none/out.png"], 2, "none/out.png: cannot be written"),
        (["small.png", "--left", 8, "-o", "folder"], 2, "folder: is a folder; name a file in it, or use --output-dir"),
        (
            ["small.png", "--left", 8, "-o", "out.png", "--confidence-map", "map.jpg"],
            2,
            "map.jpg: the name must end in",
        ),
        (["small.png", "--left", 8, "-o", "out.png", "--confidence-map", "./out.png"], 2, "is where the picture goes"),
        rare(["small.png", "--left", 8, "-o", "out.png", "--confidence-map", "none/m.png"], 2, "none/m.png: cannot be"),
        rare(
            ["small.png", "--left", 8, "--provider", "clipdrop", "-o", "out.png", "--confidence-map", "map.png"],
            2,
            "--confidence-map is not supported by provider clipdrop",
        ),
        (["small.png", "--left", 8, "-o", "out.gif"], 2, "out.gif: the name must end in .jpg"),
        rare(["small.png", "-o", "out.png"], 3, "nothing says what to add: --left, "),
        (["small.png", "--left", 2500, "-o", "out.png"], 3, "--left 2500: must be from -2000 to 2000 pixels"),
        rare(["small.png", "--left", 8, "--provider", "none", "-o", "out.png"], 2, "--provider none: unknown provider"),
        (
            ["small.png", "--left", 8, "--provider", "clipdrop", "-o", "out.png"],
            5,
            "clipdrop is not configured; set UNCROP_CLIPDROP_API_KEY",
        ),
    ],
    ids=lambda value: " ".join(map(str, value)) if isinstance(value, list) else None,
)
def test_a_failure_is_one_line_and_leaves_nothing_behind(
    arguments: list[str | Path], code: int, line: str, environment: dict[str, str], small: Path, tmp_path: Path
) -> None:
    (tmp_path / "folder").mkdir()
    (tmp_path / "text.jpg").write_text("a text")
    (tmp_path / "cut.jpg").write_bytes(PHOTO.read_bytes()[:60_000] + b"\xff\xd9")
    before = sorted(tmp_path.iterdir())
    done = run(["extend", *arguments], environment, tmp_path)
    assert (done.returncode, done.stdout) == (code, "")
    assert done.stderr.count("\n") == 1
    assert done.stderr.startswith("uncrop: ")
    assert line in done.stderr
    assert sorted(tmp_path.iterdir()) == before


def test_wrong_settings_stop_the_start_with_a_line_each(environment: dict[str, str], tmp_path: Path) -> None:
    wrong = {**environment, "UNCROP_MAX_RUNNING": "0", "UNCROP_OPENAI_BASE_URL": "nowhere"}
    for arguments in (["serve", "--port", "0"], ["extend", PHOTO, "--left", "8", "-o", "out.jpg"]):
        done = run(arguments, wrong, tmp_path)
        assert done.returncode == 2
        assert done.stderr.splitlines() == [
            "uncrop: UNCROP_MAX_RUNNING: Input should be greater than or equal to 1",
            "uncrop: UNCROP_OPENAI_BASE_URL: must be an http:// or https:// address",
        ]


def test_a_database_that_does_not_answer_stops_the_start(environment: dict[str, str], tmp_path: Path) -> None:
    wrong = {**environment, "UNCROP_DATABASE_URL": "postgresql+psycopg://nobody@127.0.0.1:1/none"}
    done = run(["serve", "--port", "0"], wrong, tmp_path)
    assert done.returncode == 2
    assert [line for line in done.stderr.splitlines() if line.startswith("uncrop: UNCROP_DATABASE_URL: ")]


def test_wrong_places_stop_the_start_before_anything_is_compiled(environment: dict[str, str], tmp_path: Path) -> None:
    (tmp_path / "file").touch()
    wrong = {**environment, "UNCROP_DATA_DIR": str(tmp_path / "file" / "data")}
    done = run(["serve", "--port", "0"], wrong, tmp_path)
    assert (done.returncode, done.stdout) == (2, "")
    assert done.stderr.count("\n") == 1
    assert done.stderr.startswith("uncrop: UNCROP_DATA_DIR: ")
    done = run(["warm-up"], wrong, tmp_path)
    assert (done.returncode, done.stdout) == (2, "")
    assert done.stderr.count("\n") == 1


def test_another_provider_makes_the_picture(environment: dict[str, str], small: Path, tmp_path: Path) -> None:
    with ClipdropEmulator() as clipdrop:
        settings = {"UNCROP_CLIPDROP_API_KEY": "any", "UNCROP_CLIPDROP_BASE_URL": clipdrop.url}
        arguments = ["extend", small, "--left", "8", "--provider", "clipdrop", "--seed", "7", "-o", "out.jpg"]
        done = run(arguments, environment | settings, tmp_path)
    assert done.returncode == 0, done.stderr
    assert done.stdout.startswith("out.jpg: 88x60, clipdrop, seed 7, ")


def test_the_doctor_says_what_is_and_what_to_do(environment: dict[str, str], tmp_path: Path) -> None:
    done = run(["doctor"], {**environment, "UNCROP_MAX_RUNING": "3"}, tmp_path)
    assert done.returncode == 0, done.stdout
    assert "UNCROP_MAX_RUNING is no setting" in done.stdout
    assert re.search(r"^ok  engine +made a picture in \d", done.stdout, re.MULTILINE)
    assert "Set UNCROP_CLIPDROP_API_KEY to use it." in done.stdout
    done = run(["doctor"], {**environment, "UNCROP_MAX_RUNNING": "none"}, tmp_path)
    assert done.returncode == 2
    assert done.stdout.startswith("bad settings   UNCROP_MAX_RUNNING: ")


def test_version_and_help(environment: dict[str, str], tmp_path: Path) -> None:
    assert run(["--version"], environment, tmp_path).stdout == f"{uncrop.__version__}\n"
    assert "extend" in run(["--help"], environment, tmp_path).stdout


def test_the_first_start_prints_a_key_and_a_line_that_works(environment: dict[str, str], tmp_path: Path) -> None:
    command = [sys.executable, "-m", "uncrop", "serve", "--port", "0"]
    server = subprocess.Popen(command, env=environment, cwd=tmp_path, stdout=subprocess.PIPE, stderr=subprocess.PIPE)
    try:
        assert server.stdout is not None
        assert server.stderr is not None
        # The key goes to stdout, the word that it listens to stderr, after the key.
        while not (line := server.stderr.readline().decode()).startswith("uncrop: listening on"):
            assert line, "the server ended"
        url = line.split()[-1]
        shown = b""
        os.set_blocking(server.stdout.fileno(), False)
        shown = (server.stdout.read() or b"").decode()
        key = re.search(r"^  key +(\S+)", shown, re.MULTILINE)
        organization = re.search(r"^  organization +(org_\S+)", shown, re.MULTILINE)
        assert key is not None
        assert organization is not None
        curl = shown[shown.index("curl ") :].strip()
        assert url in curl
        done = subprocess.run(
            curl.replace("curl ", "curl -sS --fail-with-body --retry 20 --retry-connrefused --retry-delay 1 ", 1),
            check=False,
            shell=True,
            cwd=tmp_path,
            timeout=240,
            capture_output=True,
            text=True,
        )
        assert done.returncode == 0, done.stdout + done.stderr
        assert header.read_header((tmp_path / "wide.jpg").read_bytes()).width == 1024 + 512
        wait_until(lambda: httpx2.get(f"{url}/readyz").status_code == 200)
        usage = run(["usage", "--organization", organization[1]], environment, tmp_path)
        assert "local" in usage.stdout
    finally:
        server.send_signal(signal.SIGTERM)
        _output, errors = server.communicate(timeout=60)
    assert server.returncode == 0, errors
    assert key[1].encode() not in errors
    assert b"Traceback" not in errors
