"""The frozen types that a picture passes through, one per station.

``UncropRequest`` → (intake) → ``Job`` → (admission) → ``Grant`` → (provider) → ``Fill`` → (finish) → ``Picture`` →
(encode) → ``UncropResult``. Pixels are arrays of shape (row, column, channel), RGB order, ``uint8`` or ``uint16``;
1 channel is grey, 2 grey + alpha, 3 RGB, 4 RGBA. In a mask ``True`` means "to be made".
"""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from decimal import Decimal
from typing import TYPE_CHECKING, Literal, TypeAlias

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray

    Pixels: TypeAlias = NDArray[np.uint8] | NDArray[np.uint16]
    Mask: TypeAlias = NDArray[np.bool_]
    ConfidenceMap: TypeAlias = NDArray[np.uint8]  # (canvas.height, canvas.width), 0..255; 255 on the photo itself

ImageFormat: TypeAlias = Literal["JPEG", "PNG", "WEBP"]
Quality: TypeAlias = Literal["fast", "standard", "best"]
Progress: TypeAlias = Callable[[float, str], None]  # told 0..1 and the step that begins; what it raises ends the work
MEDIA_TYPES: Mapping[ImageFormat, str] = {"JPEG": "image/jpeg", "PNG": "image/png", "WEBP": "image/webp"}
ORGANIZATION_ID = re.compile(r"org_[A-Za-z0-9_-]{1,64}")
ORGANIZATION_ID_RULE = "org_ followed by 1 to 64 letters, digits, _ or -"  # the same in words
MAX_ORGANIZATION_ID = 68  # characters, by the same rule


# --- shapes ----------------------------------------------------------------------------------------------------------


@dataclass(frozen=True, kw_only=True, slots=True)
class Sides:
    """Pixels to add on each side; a negative number crops that side."""

    left: int = 0
    right: int = 0
    up: int = 0
    down: int = 0

    def left_over(self, width: int, height: int) -> tuple[int, int]:
        """Return what cropping leaves of a width and a height; under 1 where it leaves nothing."""
        return width + min(0, self.left) + min(0, self.right), height + min(0, self.up) + min(0, self.down)


@dataclass(frozen=True, kw_only=True, slots=True)
class Rect:
    """An axis-parallel rectangle: its top left pixel and its extent, in pixels."""

    x: int
    y: int
    width: int
    height: int


@dataclass(frozen=True, kw_only=True, slots=True)
class Canvas:
    """Where the photo lies on the picture that will be made.

    ``source`` is the part of the upright photo that is used, in the photo's coordinates; ``kept`` is where that part
    lies on the canvas, in the canvas's coordinates. The two have the same extent unless the photo is scaled to an
    output size that was asked for.
    """

    width: int
    height: int
    source: Rect
    kept: Rect


# --- 0 what was asked ------------------------------------------------------------------------------------------------


@dataclass(frozen=True, kw_only=True, slots=True)
class UncropRequest:
    """What was asked: bytes and wishes, nothing opened yet. ``None`` means that the field was not sent."""

    provider: str
    image: bytes = field(repr=False)
    organization_id: str | None = None
    sides: Sides = Sides()
    seed: int | None = None
    mask: bytes | None = field(default=None, repr=False)
    prompt: str | None = field(default=None, repr=False)
    size: str | None = None
    quality: str | None = None
    confidence_map: bool = False
    answer_format: ImageFormat | None = None  # for files and Python callers; the wire has no such field


@dataclass(frozen=True, kw_only=True, slots=True)
class Caller:
    """Who asks. Both ids are ``None`` on the command line and in Python, where nobody is billed."""

    organization_id: str | None = None
    key_id: str | None = None


# --- what a provider takes -------------------------------------------------------------------------------------------


@dataclass(frozen=True, kw_only=True, slots=True)
class Capabilities:
    """The row of facts about a provider: which fields it takes and where its limits are."""

    name: str
    takes_sides: bool
    takes_mask: bool
    takes_prompt: bool
    takes_size: bool
    takes_quality: bool
    max_seed: int | None  # None: takes no seed
    sizes: tuple[str, ...] = ()
    max_image_bytes: int
    max_image_pixels: int | None = None
    min_image_side: int = 1
    max_output_pixels: int | None = None
    max_prompt_characters: int = 32_000
    answer_format: ImageFormat | None  # None: the photo's own format
    bills: bool  # a call may cost money, so it is never sent twice and not cancelled once sent
    keeps_depth: bool = False  # works on 16 bits a channel and on grey as they are
    takes_confidence_map: bool = False  # can say of every pixel how far it can be trusted
    requests_per_minute: int | None = None  # of its own, below the organization's
    working_bytes: Callable[[ImageHeader, Sides], int] | None = None  # that it takes on this machine to make a picture


# --- 1 intake --------------------------------------------------------------------------------------------------------


@dataclass(frozen=True, kw_only=True, slots=True)
class JpegFacts:
    """How a JPEG was compressed: the floor for what is written back."""

    quality: int  # 1..100, estimated from the quantisation tables
    subsampling: Literal["444", "422", "420", "440", "411", "grey"]
    progressive: bool


@dataclass(frozen=True, kw_only=True, slots=True)
class Metadata:
    """The photo's metadata that goes into the picture: colour profile, creator, copyright. Never GPS or thumbnails."""

    icc: bytes | None = field(default=None, repr=False)
    exif: bytes | None = field(default=None, repr=False)  # without the "Exif\0\0" prefix
    xmp: bytes | None = field(default=None, repr=False)


@dataclass(frozen=True, kw_only=True, slots=True)
class ImageHeader:
    """What a file says about itself before any pixel is decoded. Width and height are upright, in pixels."""

    format: ImageFormat
    width: int
    height: int
    channels: Literal[1, 2, 3, 4]  # after decoding: grey, grey + alpha, RGB, RGBA
    bits: Literal[8, 16]
    mode: str  # the codec's own word, for example "CMYK" or "P"
    orientation: int  # EXIF, 1..8; 1 is upright
    jpeg: JpegFacts | None
    metadata: Metadata
    lossless: bool = False  # the file holds its pixels exactly, as every PNG does


@dataclass(frozen=True, kw_only=True, slots=True)
class Job:
    """The request is legal: format sniffed, sizes known, canvas computed. No pixel is decoded yet."""

    request: UncropRequest
    capabilities: Capabilities
    header: ImageHeader
    canvas: Canvas
    seed: int | None
    quality: Quality
    answer_format: ImageFormat


# --- 2 admission -----------------------------------------------------------------------------------------------------


@dataclass(frozen=True, kw_only=True, slots=True)
class Grant:
    """Permission to spend: who, and the reservation to be settled (``None`` where nobody is billed)."""

    caller: Caller
    reservation_id: str | None = None


# --- 3 provider ------------------------------------------------------------------------------------------------------


@dataclass(frozen=True, kw_only=True, slots=True)
class Task:
    """What a provider works on: the job, the decoded upright photo, and what it must make."""

    job: Job
    photo: Pixels = field(repr=False)  # (header.height, header.width, header.channels)
    scaled: NDArray[np.uint8] | None = field(
        default=None, repr=False
    )  # its used part as RGB, where the canvas scales it
    mask: Mask | None = field(default=None, repr=False)  # photo's extent; True = to be made


@dataclass(frozen=True, kw_only=True, slots=True)
class TokenUsage:
    """Tokens that a provider counted."""

    input_tokens: int = 0
    output_tokens: int = 0
    total_tokens: int = 0


@dataclass(frozen=True, kw_only=True, slots=True)
class Facts:
    """What a provider says about its work."""

    provider: str
    request_id: str
    model: str | None = None
    credits_consumed: Decimal | None = None
    credits_remaining: Decimal | None = None
    usage: TokenUsage | None = None
    confidence: float | None = None  # 0..1
    advice: Sides | None = None  # how far each side can be trusted, at most as far as it was extended
    warnings: tuple[str, ...] = ()


@dataclass(frozen=True, kw_only=True, slots=True)
class Fill:
    """Pixels for the whole canvas, at the provider's own size, and its facts."""

    pixels: Pixels = field(repr=False)
    facts: Facts
    keeps_original: bool = False  # True: already at the canvas's size with the original pixels in place
    confidence_map: ConfidenceMap | None = field(default=None, repr=False)  # only where it was asked for


# --- 4 finish --------------------------------------------------------------------------------------------------------


@dataclass(frozen=True, kw_only=True, slots=True)
class Picture:
    """The finished pixels, (canvas.height, canvas.width, channels), and what the steps had to say."""

    pixels: Pixels = field(repr=False)
    warnings: tuple[str, ...] = ()
    drift: float | None = None  # mean absolute difference, 0..255, by which the provider had repainted the original


# --- 5 encode --------------------------------------------------------------------------------------------------------


@dataclass(frozen=True, kw_only=True, slots=True)
class StageTime:
    """How long one stage took."""

    name: str
    milliseconds: float


@dataclass(frozen=True, kw_only=True, slots=True)
class UncropResult:
    """The picture as bytes, and the report of how it came about.

    ``confidence_map`` is a grey PNG of 8 bits and of the picture's size, where it was asked for: 255 on the photo
    itself, elsewhere how far a pixel can be trusted.
    """

    image: bytes = field(repr=False)
    media_type: str
    width: int
    height: int
    seed: int | None
    facts: Facts
    drift: float | None
    warnings: tuple[str, ...]
    stages: tuple[StageTime, ...]
    confidence_map: bytes | None = field(default=None, repr=False)
