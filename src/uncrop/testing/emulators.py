"""Emulators, found like providers: by the row."""

from __future__ import annotations

from typing import TYPE_CHECKING, cast

from uncrop.providers.registry import load, load_rows

if TYPE_CHECKING:
    from uncrop.model import ProviderFacts
    from uncrop.testing.emulator import Emulator


def emulator_of(row: ProviderFacts) -> type[Emulator]:
    """Return the class of a provider's emulator.

    Raises
    ------
    LookupError
        The provider has none.
    """
    if row.emulator is None:
        raise LookupError(f"there is no emulator of {row.name}")
    return cast("type[Emulator]", load(row.emulator))


def emulated() -> dict[str, ProviderFacts]:
    """Return the rows of all providers that have an emulator, by name."""
    return {name: row for name, row in load_rows().items() if row.emulator is not None}
