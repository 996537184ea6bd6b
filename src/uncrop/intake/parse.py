"""From what was asked to a job that is legal, cheapest checks first; no pixel is decoded."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from uncrop.geometry.notations import parse_ratio, placement_of_canvas, placement_of_ratio, placement_of_zoom, sides_of
from uncrop.geometry.output import output_size
from uncrop.geometry.sides import placement_of_sides
from uncrop.geometry.sizes import parse_size, placement_of_size
from uncrop.imaging.colour.turned import in_rgb
from uncrop.imaging.cost import check_cost
from uncrop.imaging.header import open_file
from uncrop.imaging.mask import open_mask
from uncrop.intake.fields import check_fields, quality_of
from uncrop.intake.limits import (
    check_bytes,
    check_depth,
    check_extent,
    check_made,
    check_output,
    check_work,
    plan_calls,
)
from uncrop.model import Job

if TYPE_CHECKING:
    from collections.abc import Callable

    from uncrop.model import ImageFormat, ImageHeader, Placement, Plan, ProviderFacts, UncropRequest


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
    photo_file, mask_file = open_file(request.image), None
    header = photo_file.header
    shape = shape_for(request, header, facts, max_output_pixels=max_output_pixels)
    if not facts.keeps_depth or shape.answer_format == "WEBP":  # neither knows grey
        photo_file = in_rgb(photo_file)
    check_cost(photo_file)
    if request.mask is not None:
        mask_file = open_mask(request.mask, header.width, header.height)
        check_cost(mask_file)
    row = facts.field("seed")
    seed = request.seed
    if seed is None and row is not None and row.maximum is not None:
        seed = draw_seed(row.maximum)
    return Job(
        request=request,
        provider=facts,
        photo_file=photo_file,
        mask_file=mask_file,
        placement=shape.placement,
        plan=shape.plan,
        sides=sides_of(shape.placement, header.width, header.height),
        output_size=shape.output_size,
        seed=seed,
        quality=quality_of(request),
        answer_format=shape.answer_format,
    )


@dataclass(frozen=True, kw_only=True, slots=True)
class Shape:
    """The canvas, the calls that make it unless by a mask, and the width, height and format of the finished picture."""

    placement: Placement
    output_size: tuple[int, int]
    answer_format: ImageFormat
    plan: Plan | None


def shape_for(request: UncropRequest, header: ImageHeader, facts: ProviderFacts, *, max_output_pixels: int) -> Shape:
    """Return the shape of what a provider is asked for, once it is known that it can make it.

    Raises
    ------
    InvalidRequest
        The photo or the canvas is beyond a limit of the provider or of this server, or the canvas cannot be what was
        asked.
    """
    placement, finished = measure(request, header.width, header.height)
    check_depth(header, max(max_output_pixels, facts.max_output_pixels or 0))
    check_extent(header, placement.source, facts)
    answer_format = request.answer_format or facts.answer_format or header.format
    for width, height in ((placement.width, placement.height), finished):
        check_output(width, height, answer_format, facts.max_output_pixels or max_output_pixels)
    plan = None
    if request.mask is None:
        sides = sides_of(placement, header.width, header.height)
        check_made(sides, facts)
        check_work(header, sides, facts, max_output_pixels)
        plan = plan_calls(request, header, placement, facts)
        check_bytes(request.image, facts, plan)
    return Shape(placement=placement, output_size=finished, answer_format=answer_format, plan=plan)


def measure(request: UncropRequest, width: int, height: int) -> tuple[Placement, tuple[int, int]]:
    """Return where a photo of ``width`` x ``height`` pixels will lie, and the finished picture's width and height.

    No provider plays a part in it.

    Raises
    ------
    InvalidRequest
        The canvas, or the finished picture, cannot be what was asked.
    """
    placement = _placement(request, width, height)
    return placement, _finished(request, placement)


def _placement(request: UncropRequest, width: int, height: int) -> Placement:
    anchor = request.anchor or "center"
    if request.aspect_ratio is not None:
        return placement_of_ratio(width, height, parse_ratio(request.aspect_ratio), anchor)
    if request.zoom_out is not None:
        return placement_of_zoom(width, height, request.zoom_out, anchor)
    if request.canvas_width is not None and request.canvas_height is not None:
        place = None
        if request.canvas_x is not None and request.canvas_y is not None:
            place = (request.canvas_x, request.canvas_y)
        return placement_of_canvas(width, height, (request.canvas_width, request.canvas_height), place, anchor)
    if request.mask is None:
        return placement_of_sides(width, height, request.sides)
    return placement_of_size(width, height, None if request.size is None else parse_size(request.size))


def _finished(request: UncropRequest, placement: Placement) -> tuple[int, int]:
    """Return the size of the finished picture."""
    if request.output_size is None:
        return placement.width, placement.height
    return output_size(request.output_size, placement.width, placement.height)
