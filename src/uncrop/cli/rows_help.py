"""Help that is made from the providers' rows, when it is asked for.

A help text may hold ``{providers}``, all names; ``{emulated}``, those with an emulator; or ``{takes:FIELD}``, who takes
a field and what it may be.
"""

from __future__ import annotations

import re
from typing import TYPE_CHECKING, Any

from typer.core import TyperCommand

if TYPE_CHECKING:
    from uncrop.model import FieldFacts, ProviderFacts

_PLACE = re.compile(r"\{(providers|emulated|takes:(\w+))\}")


class RowsCommand(TyperCommand):
    """A command whose help is filled in from the rows."""

    def format_help(self, ctx: Any, formatter: Any) -> None:
        """Fill in the help, then write it."""
        from uncrop.providers.registry import load_rows

        rows = list(load_rows().values())
        for parameter in self.params:
            text = getattr(parameter, "help", None)
            if text:
                parameter.help = filled(text, rows)  # type: ignore[attr-defined]
        super().format_help(ctx, formatter)


def filled(text: str, rows: list[ProviderFacts]) -> str:
    """Fill in one help text."""

    def words(match: re.Match[str]) -> str:
        if match[1] == "providers":
            return ", ".join(row.name for row in rows)
        if match[1] == "emulated":
            return ", ".join(row.name for row in rows if row.emulator is not None)
        return "; ".join(f"{row.name}{_range(field)}" for row in rows if (field := row.field(match[2])) is not None)

    return _PLACE.sub(words, text)


def _range(field: FieldFacts) -> str:
    if field.choices:
        return f": {', '.join(field.choices)}"
    if field.minimum is not None and field.maximum is not None:
        return f": {field.minimum} to {field.maximum}"
    return f": up to {field.max_characters} characters" if field.max_characters is not None else ""
