"""What was asked, and by whom."""

from __future__ import annotations

import re
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

from uncrop.model.shapes import Sides

if TYPE_CHECKING:
    from uncrop.model.pictures import ImageFormat

ORGANIZATION_ID = re.compile(r"org_[A-Za-z0-9_-]{1,64}")
ORGANIZATION_ID_RULE = "org_ followed by 1 to 64 letters, digits, _ or -"  # the same in words
MAX_ORGANIZATION_ID = 68  # characters, by the same rule


@dataclass(frozen=True, kw_only=True, slots=True)
class UncropRequest:
    """What was asked: bytes and wishes, nothing opened yet. ``None`` means that the field was not sent."""

    provider: str
    image: bytes = field(repr=False)
    organization_id: str | None = None
    sides: Sides = field(default_factory=Sides)
    seed: int | None = None
    mask: bytes | None = field(default=None, repr=False)
    prompt: str | None = field(default=None, repr=False)
    size: str | None = None
    quality: str | None = None
    confidence_map: bool = False
    aspect_ratio: str | None = None
    canvas_width: int | None = None
    canvas_height: int | None = None
    canvas_x: int | None = None
    canvas_y: int | None = None
    zoom_out: int | None = None
    anchor: str | None = None
    output_size: str | None = None
    answer_format: ImageFormat | None = None


@dataclass(frozen=True, kw_only=True, slots=True)
class Caller:
    """Who asks. Both ids are ``None`` on the command line and in Python, where nobody is billed."""

    organization_id: str | None = None
    key_id: str | None = None
