"""Fingerprints of what requests ask, by which another one under the same key is noticed."""

from __future__ import annotations

import hashlib
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Iterable


def fingerprint(parts: Iterable[bytes]) -> bytes:
    """Return the SHA-256 digest of parts in their order, each with its length: no two lists have the same bytes."""
    digest = hashlib.sha256()
    for part in parts:
        digest.update(len(part).to_bytes(8, "big"))
        digest.update(part)
    return digest.digest()
