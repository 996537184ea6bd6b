"""From what was asked to a job that is legal, cheapest checks first; no pixel is decoded."""

from __future__ import annotations

from typing import TYPE_CHECKING

from uncrop.geometry.sides import placement_of_sides
from uncrop.geometry.sizes import parse_size, placement_of_size
from uncrop.imaging.header import read_header
from uncrop.imaging.mask import check_mask_header
from uncrop.intake.fields import check_fields, quality_of
from uncrop.intake.limits import check_bytes, check_extent, check_output, check_plan
from uncrop.model import Job

if TYPE_CHECKING:
    from collections.abc import Callable

    from uncrop.model import ImageHeader, Placement, ProviderFacts, UncropRequest


def parse(
    request: UncropRequest,
    facts: ProviderFacts,
    *,
    max_output_pixels: int,
    draw_seed: Callable[[int], int],
) -> Job:
    """Check a request against what the provider takes and what this server allows.

    Parameters
    ----------
    request
        What was asked.
    facts
        The provider's row, as it is configured.
    max_output_pixels
        Largest canvas, in pixels, for providers that state no limit of their own.
    draw_seed
        Draws a seed in 0..maximum; called only when the provider takes one and none was sent.

    Raises
    ------
    InvalidRequest
        Any of its kinds: ``InvalidFieldValue``, ``InvalidExtendParameters``, ``MaskRequired``, ``InvalidMask``,
        ``InvalidImage``, ``ImageTooLarge``, ``UnsupportedImageFormat``.
    """
    check_fields(request, facts)
    check_bytes(request.image, facts)
    header = read_header(request.image)
    check_extent(header, facts)
    placement = _placement(request, header)
    answer_format = request.answer_format or facts.answer_format or header.format
    check_output(placement, answer_format, facts.max_output_pixels or max_output_pixels)
    if request.mask is None:
        check_plan(placement, facts)
    else:
        check_mask_header(request.mask, header.width, header.height)
    row = facts.field("seed")
    seed = request.seed
    if seed is None and row is not None and row.maximum is not None:
        seed = draw_seed(row.maximum)
    return Job(
        request=request,
        provider=facts,
        header=header,
        placement=placement,
        seed=seed,
        quality=quality_of(request),
        answer_format=answer_format,
    )


def _placement(request: UncropRequest, header: ImageHeader) -> Placement:
    if request.mask is None:
        return placement_of_sides(header.width, header.height, request.sides)
    size = None if request.size is None else parse_size(request.size)
    return placement_of_size(header.width, header.height, size)
