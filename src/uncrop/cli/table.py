"""Plain tables for people, which grep and awk can read too."""

from __future__ import annotations

from typing import TYPE_CHECKING

import typer

from uncrop.cli.printable import printable

if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence


def show_table(headings: Sequence[str], rows: Iterable[Sequence[str]]) -> None:
    """Print left-aligned columns, two spaces apart, whatever the width of the terminal; ``-`` stands for nothing."""
    lines = [list(headings), *([printable(cell) or "-" for cell in row] for row in rows)]
    widths = [max(len(line[column]) for line in lines) for column in range(len(headings))]
    for line in lines:
        typer.echo("  ".join(cell.ljust(width) for cell, width in zip(line, widths, strict=True)).rstrip())
