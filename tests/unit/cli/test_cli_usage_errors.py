"""Mistakes in options: one line each, in the voice of all other errors."""

from __future__ import annotations

import sys

import pytest

from uncrop import cli


def run(monkeypatch: pytest.MonkeyPatch, *arguments: str) -> int | str | None:
    monkeypatch.setattr(sys, "argv", ["uncrop", *arguments])
    with pytest.raises(SystemExit) as caught:
        cli.main()
    return caught.value.code


@pytest.mark.parametrize(
    ("arguments", "line"),
    [
        (("extend",), "PHOTO is missing; uncrop extend --help tells more"),
        (("extend", "a.jpg", "--left", "x"), "--left must be a whole number; uncrop extend --help tells more"),
        (
            ("extend", "a.jpg", "--lef", "8"),
            "--lef is no option; did you mean --left?; uncrop extend --help tells more",
        ),
        (("extend", "a.jpg", "--nothing-like-it"), "--nothing-like-it is no option; uncrop extend --help tells more"),
        (("extend", "a.jpg", "--left"), "--left needs a value; uncrop --help tells more"),
        (("extend", "a.jpg", "--json=yes"), "--json takes no value; uncrop --help tells more"),
        (("serve", "--port", "99999"), "--port must be at most 65535; uncrop serve --help tells more"),
        (("serve", "--port", "-1"), "--port must be at least 0; uncrop serve --help tells more"),
        (("serve", "here"), "here is more than this takes; uncrop serve --help tells more"),
        (("keys", "create"), "--organization is missing; uncrop keys create --help tells more"),
        (("keys", "paus", "a"), "paus is no command; did you mean pause?; uncrop keys --help tells more"),
        (("exten",), "exten is no command; did you mean extend?; uncrop --help tells more"),
        (("x\ny",), "x\\ny is no command; uncrop --help tells more"),
    ],
)
def test_a_mistake_is_a_line(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str], arguments: tuple[str, ...], line: str
) -> None:
    assert run(monkeypatch, *arguments) == 2
    assert capsys.readouterr() == ("", f"uncrop: {line}\n")


@pytest.mark.parametrize("arguments", [(), ("keys",)])
def test_without_a_command_the_help_is_shown(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str], arguments: tuple[str, ...]
) -> None:
    assert run(monkeypatch, *arguments) == 2
    shown = capsys.readouterr()
    assert shown.out == ""
    assert shown.err.startswith("Usage: uncrop")


@pytest.mark.parametrize("columns", [40, 80, 160])
def test_help_is_as_wide_as_the_terminal(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str], columns: int
) -> None:
    monkeypatch.setenv("COLUMNS", str(columns))
    assert run(monkeypatch, "extend", "--help") == 0
    longest = max(len(line) for line in capsys.readouterr().out.splitlines())
    assert columns - 12 <= longest < columns
