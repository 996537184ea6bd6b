"""The seeds of several pictures of one request."""

from __future__ import annotations

from typing import TYPE_CHECKING

from uncrop.engine import FAMILY, family_seed

if TYPE_CHECKING:
    from uncrop.model import FieldFacts

DRAWN_BELOW = 2**32


def seed_of(row: FieldFacts | None, asked: int | None, drawn: int, number: int) -> int | None:
    """Return the seed of one picture of several.

    They are the seed that was asked for and the others of its family, 4 n to 4 n + 3, in turn: with those, the local
    engine makes half of its candidates once for all. A provider's range goes on at its start.

    Parameters
    ----------
    row
        The provider's row of the field ``seed``; ``None`` where it takes none.
    asked
        The seed of the request.
    drawn
        What takes its place where the request has none, 0..2^32 - 1.
    number
        Which of the pictures, 0 to 3.

    Returns
    -------
    int or None
        ``asked`` itself where the provider takes no seed, or not this one, so that it is refused as in any request.
    """
    if row is None or row.minimum is None or row.maximum is None:
        return asked
    span = row.maximum - row.minimum + 1
    seed = row.minimum + drawn % span if asked is None else asked
    if not row.minimum <= seed <= row.maximum:
        return asked
    member = family_seed(seed) + (seed + number) % FAMILY
    return row.minimum + (member - row.minimum) % span
