"""The bar, drawn on a stream that says that it is a terminal."""

from __future__ import annotations

import io

import pytest

from uncrop.cli.progress import Bar, bar


class Terminal(io.StringIO):
    def isatty(self) -> bool:
        return True

    def screen(self) -> str:
        """Return what stands in the line: each carriage return goes back to its start."""
        line: list[str] = []
        for part in self.getvalue().split("\r"):
            line[: len(part)] = part
        return "".join(line).rstrip()


@pytest.mark.parametrize(
    ("fraction", "drawn"),
    [
        (0.0, "uncrop: [..............................]   0%  search"),
        (0.5, "uncrop: [###############...............]  50%  search"),
        (1.0, "uncrop: [##############################] 100%  search"),
    ],
)
def test_the_bar(fraction: float, drawn: str) -> None:
    assert bar(fraction, "search") == drawn


def test_each_step_takes_the_place_of_the_one_before() -> None:
    terminal = Terminal()
    with Bar(terminal) as progress:
        assert progress is not None
        progress(0.0, "a long name")
        progress(0.5, "short")
        assert terminal.screen() == bar(0.5, "short")
    assert terminal.screen() == ""


def test_a_narrow_terminal_gets_no_second_line(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("COLUMNS", "20")
    terminal = Terminal()
    with Bar(terminal) as progress:
        assert progress is not None
        progress(0.5, "search")
        assert terminal.screen() == bar(0.5, "search")[:19]


def test_an_error_finds_a_clean_line() -> None:
    terminal = Terminal()
    with pytest.raises(ValueError), Bar(terminal) as progress:  # noqa: PT012
        assert progress is not None
        progress(0.5, "search")
        raise ValueError
    assert terminal.screen() == ""


def test_what_is_no_terminal_gets_nothing() -> None:
    stream = io.StringIO()
    with Bar(stream) as progress:
        assert progress is None
    assert stream.getvalue() == ""
