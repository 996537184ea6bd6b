"""Pictures on their way out and in: what is sent of a photo, and what is believed of an answer."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

from uncrop.errors import InvalidRequest, ProviderInvalidResponse
from uncrop.imaging import arrays, codec
from uncrop.imaging.cost import check_cost
from uncrop.imaging.header import open_file
from uncrop.imaging.upload import encode_anew, upload_bytes
from uncrop.model import MEDIA_TYPES, Metadata
from uncrop.placement.frames import draw_photo, fills, visible_part
from uncrop.placement.underpaint import underpaint
from uncrop.providers.conversation import Part, unpack

if TYPE_CHECKING:
    from collections.abc import Generator

    from numpy.typing import NDArray

    from uncrop.model import Frame, ImageFormat, ImageHeader, Pixels, Task, UploadFacts
    from uncrop.providers.conversation import Step

# A provider may round its sizes; a picture of another shape shows something else than what was asked for.
SHAPE_TOLERANCE = 0.02
# An answer may be larger than what was asked for, but not so much that decoding it is a danger.
MAX_AREA_FACTOR = 4
MIN_AREA_CAP = 4_000_000
OPAQUE = 255


def photo_part(name: str, task: Task, upload: UploadFacts) -> Part:
    """Make the form field that carries the photo: whole, upright, and without what is nobody's business.

    Where the bytes would exceed the provider's limit, which a re-encoded photo can, it goes as a JPEG.
    """
    return picture_part(name, *_whole(task, upload))


def used_file(task: Task, upload: UploadFacts) -> tuple[bytes, ImageFormat]:
    """Make the file of the part of the photo that is used, for providers that do not crop by themselves.

    It holds what negative sides leave of the photo, and is made as ``photo_part`` makes the whole.
    """
    source, (height, width) = task.job.placement.source, task.photo.shape[:2]
    if (source.width, source.height) == (width, height):
        return _whole(task, upload)
    used = task.photo[source.y : source.y + source.height, source.x : source.x + source.width]
    return _within(encode_anew(task.job.header, used, formats=upload.formats), used, task, upload)


def opaque_file(task: Task, upload: UploadFacts) -> tuple[bytes, ImageFormat]:
    """Make ``used_file`` without alpha, the photo's colours drawn out under all that is wholly transparent.

    For providers that take transparency for something that is to be kept, or to be made.
    """
    if not arrays.has_alpha(task.photo):
        return used_file(task, upload)
    pixels, visible, source = arrays.to_rgb8(task.photo), visible_part(task), task.job.placement.source
    if visible is not None:
        pixels = underpaint(pixels, visible)
    used = pixels[source.y : source.y + source.height, source.x : source.x + source.width]
    return _within(encode_anew(task.job.header, used, formats=upload.formats), used, task, upload)


def _whole(task: Task, upload: UploadFacts) -> tuple[bytes, ImageFormat]:
    job = task.job
    file = upload_bytes(job.photo_file, task.photo, formats=upload.formats)
    return _within(file, task.photo, task, upload)


def _within(
    file: tuple[bytes, ImageFormat], pixels: Pixels, task: Task, upload: UploadFacts
) -> tuple[bytes, ImageFormat]:
    """Return the file, or the pixels as a JPEG where it is too long."""
    if len(file[0]) <= upload.max_bytes:
        return file
    metadata = Metadata(icc=task.job.header.metadata.icc)
    return codec.encode(arrays.to_rgb8(pixels), "JPEG", jpeg=task.job.header.jpeg, metadata=metadata), "JPEG"


def framed_part(name: str, task: Task, frame: Frame, upload: UploadFacts) -> Part:
    """Make the form field that carries the photo in the shape of a frame.

    The stripped file goes as it is where the photo fills the frame and has no transparent pixel. Otherwise the photo is
    drawn into the frame, with its own colours drawn out under all that is empty: as a fine JPEG where it was one, which
    takes a fraction of the time and of the bytes of a PNG, else as a PNG.
    """
    visible = visible_part(task)
    if fills(frame) and visible is None:
        return photo_part(name, task, upload)
    pixels = draw_photo(task, frame, visible)
    file = encode_anew(task.job.header, pixels, formats=upload.formats)
    return picture_part(name, *_within(file, pixels, task, upload))


def picture_part(name: str, data: bytes, picture_format: ImageFormat) -> Part:
    """Make a form field that carries a picture, with the file name and the type that providers insist on."""
    filename = f"{name.removesuffix('_file')}.{picture_format.lower()}"
    return Part(name=name, value=data, filename=filename, media_type=MEDIA_TYPES[picture_format])


def read_picture(
    data: bytes, width: int, height: int, photo: ImageHeader
) -> Generator[Step, object, NDArray[np.uint8]]:
    """Have a provider's picture decoded, which should have the shape ``width`` : ``height``, whatever its size.

    A part of a conversation: ``pixels = yield from read_picture(...)``.

    Parameters
    ----------
    data
        The picture's file.
    width, height
        The shape that was asked for.
    photo
        The photo's header: the picture is converted into its colour space.

    Returns
    -------
    NDArray
        (rows, columns, 3). What the provider left transparent is filled from around it.

    Raises
    ------
    ProviderInvalidResponse
        It is no whole picture, far too large, of another shape, or nothing but transparent. All but the last is
        checked before its pixels are decoded.
    """
    try:
        file = open_file(data)
        header = file.header
        if header.width * header.height > max(MAX_AREA_FACTOR * width * height, MIN_AREA_CAP):
            raise _unusable(f"{header.width}x{header.height}, far larger than {width}x{height}")
        wanted = width * header.height
        if abs(header.width * height - wanted) > SHAPE_TOLERANCE * wanted:
            raise _unusable(f"{header.width}x{header.height}, another shape than {width}x{height}")
        check_cost(file)
        picture = yield from unpack(file, photo)
    except InvalidRequest as error:
        raise ProviderInvalidResponse(system_message="The provider's answer is not a whole picture") from error
    pixels, alpha = picture.colours, picture.alpha
    return pixels if alpha is None or alpha.min() == OPAQUE else _opaque(pixels, alpha)


def _opaque(pixels: NDArray[np.uint8], alpha: NDArray[np.uint8]) -> NDArray[np.uint8]:
    """Lay a picture over its own colours, drawn out from where it is opaque, or at least not wholly transparent."""
    known = alpha == OPAQUE
    if not known.any():
        known = alpha > 0
    if not known.any():
        raise _unusable("nothing but transparent")
    ground = underpaint(pixels, known)
    weight = alpha[..., None].astype(np.uint16)
    laid: NDArray[np.uint8] = ((pixels * weight + ground * (OPAQUE - weight) + OPAQUE // 2) // OPAQUE).astype(np.uint8)
    return laid


def _unusable(what: str) -> ProviderInvalidResponse:
    return ProviderInvalidResponse(system_message=f"The provider's picture is {what}")
