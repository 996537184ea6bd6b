"""What the shell offers for a value when Tab is pressed."""

from __future__ import annotations

from typing import TYPE_CHECKING, get_args

if TYPE_CHECKING:
    from collections.abc import Iterable


def complete_provider(incomplete: str) -> list[str]:
    """Offer the providers' names, plug-ins' too."""
    from uncrop.providers.registry import load_rows

    return _beginning(["auto", *load_rows()], incomplete)


def complete_quality(incomplete: str) -> list[str]:
    """Offer the qualities."""
    from uncrop.model import Quality

    return _beginning(get_args(Quality), incomplete)


def complete_anchor(incomplete: str) -> list[str]:
    """Offer the places where the photo may lie."""
    from uncrop.geometry.notations import ANCHORS

    return _beginning(ANCHORS, incomplete)


def complete_format(incomplete: str) -> list[str]:
    """Offer the formats of pictures."""
    from uncrop.model import ImageFormat

    return _beginning([name.lower() for name in get_args(ImageFormat)], incomplete)


def complete_emulated(incomplete: str) -> list[str]:
    """Offer the providers that have an emulator."""
    from uncrop.testing.emulators import emulated

    return _beginning(emulated(), incomplete)


def _beginning(names: Iterable[str], incomplete: str) -> list[str]:
    return [name for name in names if name.startswith(incomplete)]
