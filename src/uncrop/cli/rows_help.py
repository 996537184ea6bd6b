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

MOST_OFFERED = 60  # characters
SEVERAL = -1  # how many values click takes for an argument that may be repeated
_PLACE = re.compile(r"\{(providers|emulated|takes:(\w+))\}")


class RowsCommand(TyperCommand):
    """A command whose help is filled in from the rows where it has places for them."""

    def format_help(self, ctx: Any, formatter: Any) -> None:
        """Fill in the help, then write it."""
        self._fill_in()
        for parameter in self.params:
            if parameter.nargs == SEVERAL:
                # Instead of the type in Python's words; whether it may be named more than once is in the usage.
                parameter.display_type_rich = _path_type  # type: ignore[attr-defined]
        super().format_help(ctx, formatter)

    def shell_complete(self, ctx: Any, incomplete: str) -> list[Any]:
        """Offer options with what they do, which some shells show, in so few words that they stay in one line."""
        self._fill_in()
        offered = super().shell_complete(ctx, incomplete)
        for item in offered:
            item.help = shortened(item.help or "")
        return offered

    def _fill_in(self) -> None:
        with_places = [each for each in self.params if _PLACE.search(getattr(each, "help", None) or "")]
        if not with_places:
            return
        from uncrop.providers.registry import load_rows

        rows = list(load_rows().values())
        for parameter in with_places:
            parameter.help = filled(parameter.help, rows)  # type: ignore[attr-defined]


def shortened(text: str) -> str:
    """Return the first sentence of a help text, or as many of its words as a line of completion has place for."""
    first = text.partition(". ")[0].removesuffix(".")
    if len(first) <= MOST_OFFERED:
        return first
    return f"{first[: MOST_OFFERED - 1].rpartition(' ')[0]}..."


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


def _path_type(**_context: object) -> str:
    return "<path>"
