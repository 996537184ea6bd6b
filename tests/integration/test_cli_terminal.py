"""The command line in a terminal and between pipes: real processes, signals, pseudo-terminals, shells."""

from __future__ import annotations

import fcntl
import os
import pty
import re
import shutil
import signal
import struct
import subprocess
import sys
import termios
import threading
from collections.abc import Callable
from functools import partial
from pathlib import Path

import pytest

from fixtures_server import wait_until
from terminals import read_terminal
from uncrop.imaging.header import read_header
from uncrop.testing import outcomes
from uncrop.testing.clipdrop import ClipdropEmulator
from uncrop.testing.comfyui import ComfyUIEmulator
from uncrop.testing.pictures import photo_jpeg

BIN = Path(sys.executable).parent  # where the command `uncrop` lies

# What a shell starts in the background ignores interrupts from birth, and so do its children.
INTERRUPTIBLE = ("env", "--default-signal=INT")

# Runs the command line with an engine that begins, and never looks up again.
STUCK = """
import sys, threading
from uncrop.workers import engine_runner

def compute(*arguments):
    arguments[-1](0.5, "seams")
    threading.Event().wait()

engine_runner.compute = compute
from uncrop.__main__ import main
main()
"""


@pytest.fixture
def environment(data_dir: Path) -> dict[str, str]:
    path = f"{BIN}{os.pathsep}{os.environ['PATH']}"
    return {**os.environ, "UNCROP_DATA_DIR": str(data_dir), "TERM": "xterm", "NO_COLOR": "", "PATH": path}


@pytest.fixture(autouse=True)
def photo(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.chdir(tmp_path)
    path = tmp_path / "photo.jpg"
    path.write_bytes(photo_jpeg(64, 48))
    return path


def in_terminal(
    command: list[str],
    environment: dict[str, str],
    *,
    columns: int = 80,
    seen: Callable[[int, bytes], None] | None = None,
) -> tuple[int, str]:
    """Run a command in a terminal of its own; return its exit code and all that it wrote there.

    ``seen`` is told the process, and what was written so far, each time that there is more.
    """
    ours, theirs = pty.openpty()
    fcntl.ioctl(theirs, termios.TIOCSWINSZ, struct.pack("HHHH", 24, columns, 0, 0))
    known = {name: value for name, value in environment.items() if name not in {"COLUMNS", "LINES"}}
    process = subprocess.Popen(
        command,
        env=known,
        stdin=theirs,
        stdout=theirs,
        stderr=theirs,
        start_new_session=True,
    )
    os.close(theirs)
    written = read_terminal(ours, (lambda _: None) if seen is None else partial(seen, process.pid))
    return process.wait(timeout=120), written.decode().replace("\r\n", "\n")


def uncrop(*arguments: str) -> list[str]:
    return [sys.executable, "-m", "uncrop", *arguments]


def test_an_interrupt_ends_work_that_does_not_look_up_and_leaves_all_as_it_was(
    environment: dict[str, str], tmp_path: Path
) -> None:
    Path("wide.jpg").write_bytes(b"before")
    before = {path: path.read_bytes() for path in tmp_path.iterdir() if path.is_file()}
    interrupted: list[int] = []

    def interrupt(process: int, written: bytes) -> None:
        if b"seams" in written and not interrupted:
            interrupted.append(process)
            os.kill(process, signal.SIGINT)

    command = [
        *INTERRUPTIBLE,
        sys.executable,
        "-c",
        STUCK,
        "extend",
        "photo.jpg",
        "--left",
        "8",
        "-o",
        "wide.jpg",
        "--force",
    ]
    code, shown = in_terminal(command, environment, seen=interrupt)
    assert code == 130
    *_, wiped, last = shown.rstrip("\n").split("\r")
    assert (wiped.strip(), last) == ("", "uncrop: interrupted; wide.jpg not written")
    assert "Traceback" not in shown
    assert {path: path.read_bytes() for path in tmp_path.iterdir() if path.is_file()} == before


def test_an_interrupt_tells_that_a_provider_may_bill(environment: dict[str, str]) -> None:
    with ClipdropEmulator(api_key="key") as clipdrop:
        clipdrop.script(outcomes.hold(threading.Event()))
        settings = {"UNCROP_CLIPDROP_API_KEY": "key", "UNCROP_CLIPDROP_BASE_URL": clipdrop.url}
        wishes = ("--left", "8", "--provider", "clipdrop", "-o", "wide.jpg")
        command = [*INTERRUPTIBLE, *uncrop("extend", "photo.jpg", *wishes)]
        process = subprocess.Popen(command, env=environment | settings, stderr=subprocess.PIPE, text=True)
        clipdrop.wait_for_calls(1)
        process.send_signal(signal.SIGINT)
        _, said = process.communicate(timeout=120)
    assert process.returncode == 130
    assert said == "uncrop: interrupted; wide.jpg not written; clipdrop may bill what it began\n"


@pytest.mark.slow
def test_an_interrupt_ends_the_work_at_a_provider_that_can_be_told(environment: dict[str, str]) -> None:
    with ComfyUIEmulator() as comfyui:
        comfyui.endless = True
        command = [
            *INTERRUPTIBLE,
            *uncrop("extend", "photo.jpg", "--left", "8", "--provider", "comfyui", "-o", "a.png"),
        ]
        process = subprocess.Popen(command, env=environment | {"UNCROP_COMFYUI_BASE_URL": comfyui.url})
        wait_until(lambda: any(call.path.startswith("/history/") for call in list(comfyui.calls)))
        process.send_signal(signal.SIGINT)
        assert process.wait(timeout=120) == 130
        assert len(comfyui.cancelled) == 1
    assert not Path("a.png").exists()


@pytest.mark.parametrize("variables", [{}, {"NO_COLOR": "1"}, {"TERM": "dumb"}], ids=str)
def test_colours_are_for_terminals_that_have_and_want_them(
    environment: dict[str, str], variables: dict[str, str]
) -> None:
    code, shown = in_terminal(uncrop("doctor"), environment | variables | {"UNCROP_MAX_RUNNING": "none"})
    assert code == 2
    assert ("\x1b[31mbad \x1b[0m" in shown) is (not variables)


def test_help_takes_the_terminals_width(environment: dict[str, str]) -> None:
    widths = []
    for columns in (60, 130):
        code, shown = in_terminal(uncrop("extend", "--help"), environment, columns=columns)
        assert code == 0
        widths.append(max(map(len, shown.splitlines())))
        assert columns - 15 < widths[-1] < columns
    assert widths[0] < widths[1]


@pytest.mark.slow
def test_a_photo_goes_through_pipes(environment: dict[str, str], photo: Path) -> None:
    command = uncrop("extend", "-", "--right", "8", "--quality", "fast", "--seed", "3", "--output", "-")
    done = subprocess.run(command, env=environment, input=photo.read_bytes(), capture_output=True, check=False)
    assert done.returncode == 0, done.stderr
    assert read_header(done.stdout).width == 72
    assert re.fullmatch(rb"uncrop: 72x48, local, seed 3, .*\n(uncrop: confident .*\n)?", done.stderr)


@pytest.mark.slow
def test_whoever_reads_may_go_away(environment: dict[str, str]) -> None:
    with ClipdropEmulator(api_key="key") as clipdrop:
        settings = {"UNCROP_CLIPDROP_API_KEY": "key", "UNCROP_CLIPDROP_BASE_URL": clipdrop.url}
        reader, writer = os.pipe()
        os.close(reader)
        command = uncrop("extend", "photo.jpg", "--left", "8", "--provider", "clipdrop", "-o", "-")
        done = subprocess.run(command, env=environment | settings, stdout=writer, stderr=subprocess.PIPE, check=False)
        os.close(writer)
    assert done.returncode == 1
    assert b"Traceback" not in done.stderr
    assert b"Exception" not in done.stderr


@pytest.mark.parametrize(
    ("arguments", "said"),
    [
        (("-", "--left", "8", "-o", "out.jpg"), "uncrop: -: standard input is the terminal; "),
        (("photo.jpg", "--left", "8", "-o", "-"), "uncrop: --output -: standard output is the terminal; "),
    ],
)
def test_a_terminal_is_no_place_for_pictures(
    environment: dict[str, str], arguments: tuple[str, ...], said: str
) -> None:
    code, shown = in_terminal(uncrop("extend", *arguments), environment, columns=200)
    assert (code, shown.count("\n")) == (2, 1)
    assert shown.startswith(said)


@pytest.mark.slow
def test_names_of_all_kinds_are_written_and_told_in_any_locale(environment: dict[str, str], tmp_path: Path) -> None:
    names = [b"caf\xe9.jpg", "写真.jpg".encode(), b"two\nlines.jpg"]
    for name in names:
        (tmp_path / os.fsdecode(name)).write_bytes(photo_jpeg(64, 48))
    plain = {**environment, "LC_ALL": "C", "PYTHONCOERCECLOCALE": "0", "PYTHONUTF8": "0"}
    with ClipdropEmulator(api_key="key") as clipdrop:
        settings = {"UNCROP_CLIPDROP_API_KEY": "key", "UNCROP_CLIPDROP_BASE_URL": clipdrop.url}
        command = uncrop("extend", "--left", "8", "--provider", "clipdrop", "--output-dir", "out")
        done = subprocess.run(
            [*map(os.fsencode, command), *names], env=plain | settings, capture_output=True, check=False
        )
    assert (done.returncode, done.stderr) == (0, b"")
    assert done.stdout.count(b"\n") == len(names)
    assert sorted(os.fsencode(path.name) for path in Path("out").iterdir()) == sorted(names)


@pytest.mark.slow
def test_the_viewer_gets_the_file(environment: dict[str, str], tmp_path: Path) -> None:
    viewer = tmp_path / "bin" / "xdg-open"
    viewer.parent.mkdir()
    viewer.write_text('#!/bin/sh\nprintf %s "$1" > "$SHOWN"\n')
    viewer.chmod(0o755)
    os.mkfifo(tmp_path / "shown")
    path = f"{viewer.parent}{os.pathsep}{environment['PATH']}"
    with ClipdropEmulator(api_key="key") as clipdrop:
        settings = {"UNCROP_CLIPDROP_API_KEY": "key", "UNCROP_CLIPDROP_BASE_URL": clipdrop.url}
        settings |= {"PATH": path, "SHOWN": str(tmp_path / "shown")}
        command = uncrop("extend", "photo.jpg", "--left", "8", "--provider", "clipdrop", "-o", "wide.jpg", "--open")
        done = subprocess.run(command, env=environment | settings, capture_output=True, text=True, check=False)
    assert (done.returncode, done.stderr) == (0, "")
    # The command has ended, with its streams, while the viewer is still at work: it waits for somebody who reads this.
    assert (tmp_path / "shown").read_text() == str(tmp_path / "wide.jpg")


@pytest.mark.parametrize("no_color", ["", "1"])
def test_completion_is_installed_for_the_shell_that_asks(
    environment: dict[str, str], tmp_path: Path, no_color: str
) -> None:
    command = ["bash", "-c", "uncrop --install-completion; true"]
    _, shown = in_terminal(command, {**environment, "HOME": str(tmp_path), "NO_COLOR": no_color}, columns=200)
    assert "bash completion installed in" in shown
    assert ("\x1b[" in shown) is (no_color == "")
    assert "uncrop" in (tmp_path / ".bashrc").read_text()


SHELLS = {
    "bash": "source <(uncrop --show-completion); COMP_WORDS=(uncrop extend --provider c); COMP_CWORD=3; "
    '_uncrop_completion uncrop; printf "%s\\n" "${COMPREPLY[@]}"',
    "fish": 'uncrop --show-completion | source; complete -C "uncrop extend --provider c"',
}


@pytest.mark.parametrize("shell", SHELLS)
def test_shells_complete_what_is_typed(environment: dict[str, str], shell: str) -> None:
    if shutil.which(shell) is None:
        pytest.skip(f"{shell} is not installed")
    done = subprocess.run([shell, "-c", SHELLS[shell]], env=environment, capture_output=True, text=True, check=False)
    assert done.stdout.split() == ["clipdrop", "comfyui"], done.stderr


def test_the_shells_are_offered_one_line_each(environment: dict[str, str]) -> None:
    asked = {
        "_UNCROP_COMPLETE": "complete_fish",
        "_TYPER_COMPLETE_FISH_ACTION": "get-args",
        "_TYPER_COMPLETE_ARGS": "uncrop extend --",
    }
    done = subprocess.run(["uncrop"], env=environment | asked, capture_output=True, text=True, check=False)
    offered = dict(line.split("\t") for line in done.stdout.splitlines())
    assert {"--left", "--provider", "--output-dir", "--help"} <= offered.keys()
    assert not any("{" in text for text in offered.values())
