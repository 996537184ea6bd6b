"""From what was asked to a job that is legal, cheapest checks first; no pixel is decoded."""

from __future__ import annotations

from typing import TYPE_CHECKING

from uncrop.geometry import canvas_of_sides, canvas_of_size, parse_size
from uncrop.imaging.header import read_header
from uncrop.imaging.mask import check_mask_header
from uncrop.intake.fields import check_fields, quality_of
from uncrop.intake.limits import check_bytes, check_extent, check_output
from uncrop.model import Job

if TYPE_CHECKING:
    from collections.abc import Callable

    from uncrop.model import Canvas, Capabilities, ImageHeader, UncropRequest


def parse(
    request: UncropRequest,
    capabilities: Capabilities,
    *,
    max_output_pixels: int,
    draw_seed: Callable[[int], int],
) -> Job:
    """Check a request against what the provider takes and what this server allows.

    Parameters
    ----------
    request
        What was asked.
    capabilities
        What the provider takes.
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
    check_fields(request, capabilities)
    check_bytes(request.image, capabilities)
    header = read_header(request.image)
    check_extent(header, capabilities)
    canvas = _canvas(request, capabilities, header)
    answer_format = request.answer_format or capabilities.answer_format or header.format
    check_output(canvas, answer_format, capabilities.max_output_pixels or max_output_pixels)
    if request.mask is not None:
        check_mask_header(request.mask, header.width, header.height)
    seed = request.seed
    if seed is None and capabilities.max_seed is not None:
        seed = draw_seed(capabilities.max_seed)
    return Job(
        request=request,
        capabilities=capabilities,
        header=header,
        canvas=canvas,
        seed=seed,
        quality=quality_of(request),
        answer_format=answer_format,
    )


def _canvas(request: UncropRequest, capabilities: Capabilities, header: ImageHeader) -> Canvas:
    if capabilities.takes_sides:
        return canvas_of_sides(header.width, header.height, request.sides)
    size = None if request.size is None else parse_size(request.size)
    return canvas_of_size(header.width, header.height, size)
