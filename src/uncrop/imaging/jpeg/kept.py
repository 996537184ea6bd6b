"""A photo's own coefficients in a larger JPEG, so that compressing again and again does not wear the photo.

Where the photo's blocks fall on the blocks of what is written, they are taken over as they are, with the photo's
quantisation tables and sampling, and only the blocks that show anything else are made of pixels.
"""

from __future__ import annotations

import io
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, TypeAlias

import numpy as np
from PIL import Image

from uncrop.errors import InvalidImage, ServerBusy
from uncrop.imaging import arrays
from uncrop.imaging.jpeg.coefficients import make, places, read, turn, write
from uncrop.imaging.jpeg.coefficients.blocks import SIDE, Coefficients
from uncrop.imaging.jpeg.layout import JpegLayout, read_layout
from uncrop.imaging.jpeg.pixels import decode_written

if TYPE_CHECKING:
    from collections.abc import Callable

    from numpy.typing import NDArray

    from uncrop.imaging.jpeg.coefficients.blocks import BlockGrid
    from uncrop.model import Mask, OpenedFile, Pixels, Placement, Rect

    ReadsOwn: TypeAlias = Callable[[OpenedFile], Coefficients]

# Each takes a pass over the coefficients; encoders write up to a dozen.
MAX_KEPT_SCANS = 24
BLOCK_BYTES = 2 * SIDE * SIDE
FILES = 5  # copies of what is read or written that stand beside the coefficients
# By how many levels of 256 a picture that was turned as coefficients may differ from one that was turned as pixels:
# decoders round between the two directions of their transform, and again for the colours.
TURNING = 6


@dataclass(frozen=True, kw_only=True, slots=True)
class Kept:
    """A JPEG that holds the photo's own coefficients.

    ``exact`` is whether each pixel of the photo comes out of it as it was.
    """

    data: bytes = field(repr=False)
    exact: bool


@dataclass(frozen=True, kw_only=True, slots=True)
class _Canvas:
    """What is written.

    Attributes
    ----------
    picture, own
        The finished pixels, and the photo's part of them as it was before: (height, width, channels).
    kept
        Where that part lies.
    grid, made
        How the picture is cut into blocks, and which of each component are made of pixels.
    near
        Which squares of 8 x 8 pixels are not only the photo's, or lie beside such.
    """

    picture: NDArray[np.uint8]
    own: NDArray[np.uint8]
    kept: Rect
    grid: BlockGrid
    made: tuple[Mask, ...]
    near: Mask


def keep(file: OpenedFile, photo: Pixels, picture: Pixels, placement: Placement, *, reads_own: ReadsOwn) -> Kept | None:
    """Write a finished picture with the photo's own coefficients, as far as they can be kept.

    Parameters
    ----------
    file
        The photo's file, which was decoded whole before.
    photo
        The photo as it was decoded, upright.
    picture
        What is to be written, (placement.height, placement.width, channels). What differs from the photo is not kept.
    placement
        Where the photo lies on it.
    reads_own
        Reads the photo's coefficients as ``read_own`` does. Nothing that it says is trusted: the proof below judges it.

    Returns
    -------
    Kept or None
        ``None`` where nothing can be kept, or the photo would not come out of what was written: the picture is to be
        encoded as any other then.
    """
    layout = file.layout
    if not isinstance(layout, JpegLayout) or not _alike(file, layout, photo, picture, placement):
        return None
    orientation = file.header.orientation
    try:
        upright = turn.turned_grid(read.grid_of(file.data, layout), orientation)
        write.steps_of(upright)  # before anything is divided by one
        at = places.offset(upright, orientation, placement)
        canvas = None if at is None else _canvas(upright, photo, arrays.to_8bit(picture), placement)
        if at is None or canvas is None:
            return None
        data = write.write(_coefficients(reads_own(file), orientation, at, canvas))
        exact = _comes_out(decode_written(data, picture.shape[2]), canvas, 0 if orientation == 1 else TURNING)
    # The photo was decoded, but its data, or what was made of them, are not as plain as need be, or do not fit; or
    # there is nobody to read them now. What the picture has cost would be lost, for what it can do without.
    except (InvalidImage, ServerBusy, MemoryError):
        return None
    return None if exact is None else Kept(data=data, exact=exact)


def working_bytes(file: OpenedFile, placement: Placement) -> int:
    """Predict the bytes that ``keep`` takes at most for coefficients and what is coded; 0 where it keeps nothing."""
    orientation = file.header.orientation
    try:
        own = own_grid(file)
    except InvalidImage:
        return 0
    upright = turn.turned_grid(own, orientation)
    at = places.offset(upright, orientation, placement)
    if at is None:
        return 0
    canvas = places.canvas_grid(upright, placement, len(own.planes))
    files = FILES * len(file.data) * canvas.count // own.count
    # Before the canvas's are there: what was read, and as it is handed over; what is turned, and one component of it.
    before = 2 if orientation == 1 else 3
    return files + BLOCK_BYTES * max(own.count + canvas.count, before * own.count)


def own_grid(file: OpenedFile) -> BlockGrid:
    """Tell from its headers how a photo's file is cut into blocks.

    Raises
    ------
    InvalidImage
        When it is no JPEG, or its quantisation tables come late.
    """
    return read.grid_of(file.data, _layout(file))


def read_own(file: OpenedFile) -> Coefficients:
    """Read a photo's own coefficients, as they lie in its file.

    Raises
    ------
    InvalidImage
        When it is no JPEG, or its scans are not what their headers say.
    """
    return read.read(file.data, _layout(file))


def reading_bytes(file: OpenedFile) -> int:
    """Predict the bytes that ``read_own`` takes at most.

    Raises
    ------
    InvalidImage
        As ``own_grid``.
    """
    return BLOCK_BYTES * own_grid(file).count + FILES * len(file.data)


def warm_up() -> None:
    """Compile the kernels ahead of the first picture, which otherwise waits some seconds for them."""
    coefficients = warm_up_reading()
    make.make(np.zeros((SIDE, SIDE, 1), np.uint8), (np.ones((1, 1), np.bool_),), coefficients)
    write.write(coefficients)


def warm_up_reading() -> Coefficients:
    """Compile the kernels that ``read_own`` takes; return the coefficients of one grey block."""
    for progressive in (True, False):
        file = io.BytesIO()
        Image.new("L", (SIDE, SIDE)).save(file, "JPEG", progressive=progressive)
        coefficients = read.read(file.getvalue(), read_layout(file.getvalue()))
    return coefficients


def _layout(file: OpenedFile) -> JpegLayout:
    if not isinstance(file.layout, JpegLayout):
        raise InvalidImage(system_message="only a JPEG has coefficients")
    return file.layout


def _alike(file: OpenedFile, layout: JpegLayout, photo: Pixels, picture: Pixels, placement: Placement) -> bool:
    """Tell whether the picture holds the photo's numbers, at the photo's scale, in components that it has too."""
    same_scale = (placement.source.width, placement.source.height) == (placement.kept.width, placement.kept.height)
    same_numbers = file.header.source_icc is None and photo.shape[2] == layout.components
    whole = all(max(factors) % factor == 0 for factors in zip(*layout.factors, strict=True) for factor in factors)
    colours = layout.components == 1 or (layout.components == picture.shape[2] and read.is_ycbcr(file.data, layout))
    extent = (placement.height, placement.width)
    return (
        (same_scale and same_numbers and whole and colours)
        and (picture.shape[:2] == extent and picture.shape[2] in (1, 3) and picture.dtype == np.uint8)
        and layout.scans <= MAX_KEPT_SCANS
    )


def _canvas(upright: BlockGrid, photo: Pixels, picture: NDArray[np.uint8], placement: Placement) -> _Canvas | None:
    """Find out which blocks are made; ``None`` where all of the first component's are."""
    source, kept = placement.source, placement.kept
    part = arrays.to_8bit(photo)[source.y : source.y + source.height, source.x : source.x + source.width]
    own = part if part.shape[2] == picture.shape[2] else arrays.to_rgb8(part)
    grid = places.canvas_grid(upright, placement, picture.shape[2])
    changed = np.zeros((-(-placement.height // SIDE), -(-placement.width // SIDE)), np.bool_)
    for rows, columns in places.differing(own, _part(picture, kept)):
        changed[(rows + kept.y) // SIDE, (columns + kept.x) // SIDE] = True
    size = (photo.shape[1], photo.shape[0])
    made = places.made_blocks(grid, placement, size, changed)
    if made[0].all():
        return None
    near = places.near_made(grid, made, placement, size)
    return _Canvas(picture=picture, own=own, kept=kept, grid=grid, made=made, near=near)


def _coefficients(own: Coefficients, orientation: int, at: tuple[int, int], canvas: _Canvas) -> Coefficients:
    """Put the photo's blocks where they belong, and make the others."""
    upright = turn.turned(own, orientation)
    del own  # where it was turned, its memory is the canvas's
    result = Coefficients(grid=canvas.grid, levels=np.zeros((canvas.grid.count, 64), np.int16))
    places.place_blocks(upright, at, result)
    make.make(np.require(canvas.picture, requirements=("C", "W")), canvas.made, result)
    return result


def _comes_out(decoded: NDArray[np.uint8], canvas: _Canvas, tolerance: int) -> bool | None:
    """Tell whether each pixel of the photo is what it was.

    Next to made blocks pixels may differ, since decoders smooth colours across blocks where these are subsampled.

    Returns
    -------
    bool or None
        ``None`` when a pixel farther inside differs by more than the tolerance, which must not be.
    """
    kept, exact = canvas.kept, True
    picture = _part(canvas.picture, kept)
    for rows, columns in places.differing(canvas.own, _part(decoded, kept)):
        own = canvas.own[rows, columns]
        gaps = np.abs(own.astype(np.int16) - decoded[rows + kept.y, columns + kept.x]).max(axis=1)
        gaps[(own != picture[rows, columns]).any(axis=1)] = 0  # what was to be changed
        exact = exact and not gaps.any()
        far = gaps > tolerance
        if not canvas.near[(rows[far] + kept.y) // SIDE, (columns[far] + kept.x) // SIDE].all():
            return None
    return exact


def _part(pixels: NDArray[np.uint8], rect: Rect) -> NDArray[np.uint8]:
    return pixels[rect.y : rect.y + rect.height, rect.x : rect.x + rect.width]
