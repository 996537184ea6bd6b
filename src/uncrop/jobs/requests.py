"""A request's fields as text, and back; the files' bytes lie elsewhere."""

from __future__ import annotations

import hashlib
import json
from dataclasses import asdict, fields

from uncrop.model import Sides, UncropRequest
from uncrop.model.fingerprints import fingerprint

_FILES = ("image", "mask")


def to_text(request: UncropRequest) -> str:
    """Write down all fields that were sent; of the files only whether there is a mask."""
    values = {field.name: getattr(request, field.name) for field in fields(UncropRequest) if field.name not in _FILES}
    values["sides"] = asdict(request.sides)
    kept = {name: value for name, value in values.items() if value is not None}
    return json.dumps({"fields": kept, "mask": request.mask is not None}, separators=(",", ":"), sort_keys=True)


def has_mask(text: str) -> bool:
    """Tell whether the request that ``to_text`` wrote down has a mask."""
    return bool(json.loads(text)["mask"])


def from_text(text: str, *, image: bytes, mask: bytes | None) -> UncropRequest:
    """Return the request that ``to_text`` wrote down."""
    values = json.loads(text)["fields"]
    return UncropRequest(**{**values, "sides": Sides(**values["sides"])}, image=image, mask=mask)


def fingerprint_of(request: UncropRequest) -> bytes:
    """Return the SHA-256 digest of all that a request asks for, its files included; not of how it was sent."""
    files = (hashlib.sha256(file).digest() for file in (request.image, request.mask or b""))
    return fingerprint((to_text(request).encode(), *files))
