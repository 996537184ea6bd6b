"""A small chart for a terminal: pictures a day, as bars."""

from __future__ import annotations

import shutil
import sys
from collections import Counter
from datetime import timedelta
from typing import TYPE_CHECKING

import typer

from uncrop.cli.colour import coloured

if TYPE_CHECKING:
    from collections.abc import Sequence
    from datetime import date

    from uncrop.store.usage import DayOfUsage

DAYS = 14
LONGEST = 50  # columns of a bar
_EIGHTHS = " ▏▎▍▌▋▊▉"
_FULL = "█"


def show_chart(days: Sequence[DayOfUsage], today: date) -> None:
    """Print how many pictures were made on each of the last days."""
    made: Counter[date] = Counter()
    for each in days:
        made[each.day] += each.pictures
    shown = [today - timedelta(days=ago) for ago in range(DAYS - 1, -1, -1)]
    most = max(made[day] for day in shown)
    if not most:
        return
    digits = len(str(most))
    room = max(8, min(LONGEST, shutil.get_terminal_size().columns - len("2026-01-01") - digits - 4))
    typer.echo(f"\nPictures on the last {DAYS} UTC days")
    for day in shown:
        drawn = bar(made[day], most, room, plain=not _has_blocks())
        typer.echo(f"{day.isoformat()} {made[day]:>{digits}} {coloured(drawn, 'cyan')}".rstrip())


def bar(value: int, most: int, room: int, *, plain: bool) -> str:
    """Draw one bar: of whole characters where ``plain``, else to an eighth of one; what is not 0 is seen."""
    eighths = -(-value * room * 8 // most)
    if plain:
        return "#" * -(-eighths // 8)
    return (_FULL * (eighths // 8) + _EIGHTHS[eighths % 8]).rstrip()


def _has_blocks() -> bool:
    """Tell whether standard output's encoding has the characters that bars are drawn with."""
    try:
        (_FULL + _EIGHTHS).encode(sys.stdout.encoding or "ascii")
    except (UnicodeEncodeError, LookupError):
        return False
    return True
