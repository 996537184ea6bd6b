"""Compiling once is said once, and where nothing can be kept, that is said instead."""

from __future__ import annotations

import subprocess
from pathlib import Path
from typing import Any

import pytest
import typer

from uncrop import engine, errors
from uncrop.cli import exits
from uncrop.cli.compiling import compile_once
from uncrop.cli.warm_up import warm_up
from uncrop.settings import Settings


@pytest.fixture
def configured(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Settings:
    monkeypatch.setattr(engine, "is_compiled", lambda _folder: False)
    monkeypatch.setenv("UNCROP_DATA_DIR", str(tmp_path))
    monkeypatch.chdir(tmp_path)
    return Settings()


def ended(code: int, said: bytes = b"") -> Any:
    return lambda command, **_: subprocess.CompletedProcess(command, code, b"", said)


def test_where_nothing_can_be_kept_no_other_process_compiles(
    configured: Settings, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setattr(engine, "why_not_kept", lambda _folder: "read-only file system")
    monkeypatch.setattr(subprocess, "run", lambda *_: pytest.fail("compiled in vain"))
    compile_once(configured)
    assert capsys.readouterr().err == (
        f"uncrop: the compiled engine cannot be kept in {configured.kernel_cache} (read-only file system), so every "
        "start compiles it anew (about half a minute); UNCROP_DATA_DIR names another folder\n"
    )
    with pytest.raises(typer.Exit) as caught:
        warm_up()
    assert caught.value.exit_code == 2
    assert capsys.readouterr().err.count("read-only file system") == 1


@pytest.mark.parametrize(
    ("code", "said", "line"),
    [
        (0, b"", None),
        (2, b"Traceback\nuncrop: it cannot be kept\n", "uncrop: it cannot be kept"),
        (1, b"killed", "uncrop: the engine could not be compiled ahead; its first picture will take longer"),
        (-9, b"", "uncrop: the engine could not be compiled ahead; its first picture will take longer"),
    ],
)
def test_what_hindered_compiling_ahead_is_one_line(
    configured: Settings,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
    code: int,
    said: bytes,
    line: str | None,
) -> None:
    monkeypatch.setattr(subprocess, "run", ended(code, said))
    compile_once(configured)
    assert capsys.readouterr().err.splitlines()[1:] == ([] if line is None else [line])


def test_a_fault_of_the_inside_is_told_to_whoever_types(capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(typer.Exit), exits.explained():
        raise errors.InternalError(system_message="The engine's worker ended in the middle of its work")
    assert capsys.readouterr().err == "uncrop: The engine's worker ended in the middle of its work\n"
