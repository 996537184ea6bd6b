"""The chart under `uncrop usage`."""

from __future__ import annotations

import io
import sys
from datetime import date, timedelta
from decimal import Decimal

import pytest

from uncrop.cli import chart
from uncrop.store.usage import DayOfUsage

TODAY = date(2026, 11, 26)


def day(ago: int, pictures: int, provider: str = "local") -> DayOfUsage:
    return DayOfUsage(
        day=TODAY - timedelta(days=ago),
        provider=provider,
        pictures=pictures,
        failed=0,
        open=0,
        credits=Decimal(0),
        input_tokens=0,
        output_tokens=0,
    )


@pytest.mark.parametrize(
    ("value", "drawn", "plain"),
    [(0, "", ""), (1, "▏", "#"), (50, "█████", "#####"), (51, "█████▏", "######"), (100, "█" * 10, "#" * 10)],
)
def test_a_bar(value: int, drawn: str, plain: str) -> None:
    assert chart.bar(value, 100, 10, plain=False) == drawn
    assert chart.bar(value, 100, 10, plain=True) == plain


def test_days_without_pictures_are_shown_and_old_ones_are_not(
    capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("COLUMNS", "40")
    chart.show_chart([day(20, 999), day(2, 3), day(0, 4, "local"), day(0, 8, "clipdrop")], TODAY)
    blank, heading, *lines = capsys.readouterr().out.splitlines()
    assert (blank, heading, len(lines)) == ("", "Pictures on the last 14 UTC days", 14)
    assert lines[-3:] == [
        f"2026-11-24  3 {chart.bar(3, 12, 24, plain=False)}",
        "2026-11-25  0",
        f"2026-11-26 12 {'█' * 24}",
    ]
    assert all(len(line) <= 40 for line in lines)


def test_nothing_made_is_no_chart(capsys: pytest.CaptureFixture[str]) -> None:
    chart.show_chart([day(0, 0), day(20, 9)], TODAY)
    assert capsys.readouterr().out == ""


def test_a_terminal_without_blocks_gets_plain_characters(monkeypatch: pytest.MonkeyPatch) -> None:
    stream = io.TextIOWrapper(io.BytesIO(), encoding="ascii")
    monkeypatch.setattr(sys, "stdout", stream)
    chart.show_chart([day(0, 4)], TODAY)
    stream.flush()
    assert b"2026-11-26 4 ####" in stream.buffer.getvalue()  # type: ignore[attr-defined]
