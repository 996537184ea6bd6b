"""Sizes: the picture's own, or one that was asked for, into which the photo is fitted without distorting it."""

from __future__ import annotations

from uncrop.model.shapes import Placement, Rect


def placement_of_size(width: int, height: int, size: tuple[int, int] | None) -> Placement:
    """Compute the placement of a photo that is itself the canvas, as with a mask.

    Without ``size`` the picture has the photo's own size. With it, the photo is scaled to fit inside and centred, so
    that its shape is never distorted; what is left over is to be made.
    """
    source = Rect(x=0, y=0, width=width, height=height)
    if size is None:
        return Placement(width=width, height=height, source=source, kept=source)
    return Placement(width=size[0], height=size[1], source=source, kept=fit_inside(width, height, *size))


def fit_inside(width: int, height: int, outer_width: int, outer_height: int) -> Rect:
    """Return the largest centred rectangle of the shape ``width`` : ``height`` inside the outer extent."""
    if width * outer_height >= height * outer_width:
        inner_width, inner_height = outer_width, max(1, (height * outer_width + width // 2) // width)
    else:
        inner_width, inner_height = max(1, (width * outer_height + height // 2) // height), outer_height
    return Rect(
        x=(outer_width - inner_width) // 2,
        y=(outer_height - inner_height) // 2,
        width=inner_width,
        height=inner_height,
    )


def parse_size(size: str) -> tuple[int, int]:
    """Parse ``"1024x1536"`` into (width, height)."""
    width, _, height = size.partition("x")
    return int(width), int(height)
