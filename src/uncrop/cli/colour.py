"""Colour on standard output, where somebody sees and wants it."""

from __future__ import annotations

import sys

import typer


def coloured(text: str, colour: str) -> str:
    """Return the text in a colour, or as it is."""
    from uncrop.settings.terminal import has_colour

    return typer.style(text, fg=colour) if text and has_colour(sys.stdout) else text
