"""The frozen type of each stage behind the request.

(intake) → ``Job`` → (admission) → ``Grant`` → (provider) → ``Fill`` → (finish) → ``Picture`` → (encode) →
``UncropResult``.
"""

from __future__ import annotations

from dataclasses import dataclass, field, replace
from decimal import Decimal
from typing import TYPE_CHECKING, Literal, TypeAlias

from uncrop.model.callers import Caller
from uncrop.model.shapes import Sides

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray

    from uncrop.errors import UncropError
    from uncrop.model.pictures import ConfidenceMap, ImageFormat, ImageHeader, Mask, OpenedFile, Pixels, Quality
    from uncrop.model.plans import Plan
    from uncrop.model.provider_facts import ProviderFacts
    from uncrop.model.requests import UncropRequest
    from uncrop.model.shapes import Placement


ENLARGED = 1.5  # from which factor on what was made looks soft beside the photo


@dataclass(frozen=True, kw_only=True, slots=True)
class Job:
    """The request is legal: format sniffed, sizes known, placement computed. No pixel is decoded yet."""

    request: UncropRequest
    provider: ProviderFacts
    photo_file: OpenedFile
    mask_file: OpenedFile | None = None
    placement: Placement
    plan: Plan | None = None  # of the calls; None: one call, made of the photo's own file
    sides: Sides  # that make the placement; negative where the photo is cropped
    output_size: tuple[int, int]  # width and height of the finished picture
    seed: int | None
    quality: Quality
    answer_format: ImageFormat

    @property
    def header(self) -> ImageHeader:
        """What the photo's file says about itself."""
        return self.photo_file.header

    @property
    def is_unscaled(self) -> bool:
        """Whether the finished picture has the canvas's own size."""
        return self.output_size == (self.placement.width, self.placement.height)

    @property
    def is_redrawn(self) -> bool:
        """Whether what is made will, as far as can be told before, be enlarged so much that detail is drawn into it."""
        if self.request.detail == "off":
            return False
        if self.plan is not None:
            return any(call.factor >= ENLARGED for call in self.plan.calls)
        most = self.provider.geometry.max_pixels
        return most is not None and self.placement.width * self.placement.height >= ENLARGED**2 * most

    @property
    def may_keep_coefficients(self) -> bool:
        """Whether the answer is a JPEG that may hold the photo's own coefficients, if it was a JPEG too."""
        return self.answer_format == "JPEG" and self.is_unscaled


@dataclass(frozen=True, kw_only=True, slots=True)
class Grant:
    """Permission to spend: who, and the hold to be settled (``None`` where nobody is billed)."""

    caller: Caller
    hold_id: str | None = None


@dataclass(frozen=True, kw_only=True, slots=True)
class Task:
    """What a provider works on: the job, the decoded upright photo, and what it must make."""

    job: Job
    photo: Pixels = field(repr=False)  # (header.height, header.width, header.channels)
    # The used part of the photo as RGB, (kept.height, kept.width, 3), where the placement scales it.
    scaled: NDArray[np.uint8] | None = field(default=None, repr=False)
    mask: Mask | None = field(default=None, repr=False)  # photo's extent; True = to be made


@dataclass(frozen=True, kw_only=True, slots=True)
class TokenUsage:
    """Tokens that a provider counted.

    Attributes
    ----------
    input_text_tokens
        Those of the input that are text, where the provider tells them apart from those of pictures.
    """

    input_tokens: int = 0
    input_text_tokens: int = 0
    output_tokens: int = 0
    total_tokens: int = 0


@dataclass(frozen=True, kw_only=True, slots=True)
class PictureFacts:
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
class Detail:
    """What was done about a provider's picture that had to be enlarged.

    Attributes
    ----------
    state
        ``redrawn``: detail was drawn from the photo; ``skipped``: it could not be; ``off``: it was not wanted.
    factor
        By how much it was enlarged.
    reason
        Why it was skipped.
    """

    state: Literal["redrawn", "skipped", "off"]
    factor: float
    reason: str | None = None

    def to_text(self) -> str:
        """Return it as every front tells it, such as ``redrawn; factor=3.1``."""
        text = f"{self.state}; factor={self.factor:.1f}"
        return text if self.reason is None else f"{text}; reason={self.reason}"


@dataclass(frozen=True, kw_only=True, slots=True)
class Fill:
    """Pixels for the whole canvas, at the provider's own size, and its facts."""

    pixels: Pixels = field(repr=False)
    facts: PictureFacts
    # By how much the provider had repainted the photo, 0..255, where that was measured before.
    repaint_difference: float | None = None
    detail: Detail | None = None  # what was done about it, where calls were finished before
    keeps_original: bool = False  # True: already at the canvas's size with the original pixels in place
    confidence_map: ConfidenceMap | None = field(default=None, repr=False)  # only where it was asked for

    def without_pixels(self) -> Fill:
        """Return it with no pixels, so that their memory is free."""
        return replace(self, pixels=self.pixels[:0, :0].copy())


@dataclass(frozen=True, kw_only=True, slots=True)
class Picture:
    """The finished pixels, (canvas.height, canvas.width, channels), and what the steps had to say."""

    pixels: Pixels = field(repr=False)
    warnings: tuple[str, ...] = ()
    # Mean absolute difference, 0..255, by which the provider had repainted the original.
    repaint_difference: float | None = None
    detail: Detail | None = None  # only where what was made was enlarged


@dataclass(frozen=True, kw_only=True, slots=True)
class StageTime:
    """How long one stage took."""

    name: str
    milliseconds: float


# How the photo's own pixels stand in the answer: bit by bit; the same before one compression with loss, all of them or
# those beside what was made; or brought to another size, depth or kind of pixels.
Original: TypeAlias = Literal["exact", "recompressed", "resampled"]


@dataclass(frozen=True, kw_only=True, slots=True)
class UncropResult:
    """The picture as bytes, and the report of how it came about.

    ``placement`` says where the photo lies, ``original`` how its pixels stand there, and ``repaint_difference`` by how
    many levels of 256, in the mean, the provider had repainted them before they were put back.
    ``provider_calls`` is how many calls that may be billed the picture took.
    ``detail`` is what was done about a provider's picture that was enlarged; ``None`` where none was.
    ``confidence_map`` is a grey PNG of 8 bits and of the picture's size, where it was asked for: 255 on the photo
    itself, elsewhere how far a pixel can be trusted.
    """

    image: bytes = field(repr=False)
    media_type: str
    width: int
    height: int
    seed: int | None
    facts: PictureFacts
    repaint_difference: float | None
    warnings: tuple[str, ...]
    stages: tuple[StageTime, ...]
    confidence_map: bytes | None = field(default=None, repr=False)
    placement: Placement | None = None
    original: Original | None = None
    provider_calls: int | None = None
    detail: Detail | None = None


@dataclass(frozen=True, kw_only=True, slots=True)
class Variations:
    """Several pictures of one photo.

    Attributes
    ----------
    results
        Those that were made, at least one, in the order of their seeds.
    failures
        Why others were not made.
    """

    results: tuple[UncropResult, ...]
    failures: tuple[UncropError, ...] = ()
