"""What decodes files of strangers, and the plainest of it: here and now."""

from __future__ import annotations

from typing import TYPE_CHECKING, Protocol

from uncrop.imaging import codec
from uncrop.imaging.answer import decode_answer
from uncrop.imaging.jpeg.kept import read_own
from uncrop.imaging.mask import decode_mask

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray

    from uncrop.imaging.jpeg.coefficients.blocks import Coefficients
    from uncrop.model import ImageHeader, Mask, OpenedFile, Pixels


class Decoder(Protocol):
    """Decodes files in whichever thread it is called; safe to share between threads."""

    @property
    def is_ready(self) -> bool:
        """Whether files can be decoded."""
        ...

    def warm_up(self) -> None:
        """Do what the first file would wait for otherwise.

        Raises
        ------
        ServerBusy
            No process can be started.
        """
        ...

    def photo(self, file: OpenedFile) -> Pixels:
        """Decode a photo as ``codec.decode`` does.

        Raises
        ------
        InvalidImage
            Also when the process that decodes it ends, or exceeds its limits.
        ServerBusy
            No process can be started.
        """
        ...

    def mask(self, file: OpenedFile) -> Mask:
        """Decode a mask as ``mask.decode_mask`` does.

        Raises
        ------
        InvalidMask
            As ``photo`` raises ``InvalidImage``.
        ServerBusy
        """
        ...

    def answer(self, file: OpenedFile, photo: ImageHeader) -> tuple[NDArray[np.uint8], NDArray[np.uint8] | None]:
        """Decode a provider's picture as ``answer.decode_answer`` does.

        Raises
        ------
        InvalidImage
            As ``photo``.
        ServerBusy
        """
        ...

    def coefficients(self, file: OpenedFile) -> Coefficients:
        """Read a JPEG's coefficients as ``kept.read_own`` does.

        Raises
        ------
        InvalidImage
            As ``photo``.
        ServerBusy
        """
        ...


class InlineDecoder:
    """Decodes in this process: for the command line and for Python, where the files are the user's own."""

    is_ready = True

    def warm_up(self) -> None:
        """Do nothing: here, nothing is to be started."""

    def photo(self, file: OpenedFile) -> Pixels:
        """Decode a photo.

        Raises
        ------
        InvalidImage
        """
        return codec.decode(file)

    def mask(self, file: OpenedFile) -> Mask:
        """Decode a mask.

        Raises
        ------
        InvalidMask
        """
        return decode_mask(file)

    def answer(self, file: OpenedFile, photo: ImageHeader) -> tuple[NDArray[np.uint8], NDArray[np.uint8] | None]:
        """Decode a provider's picture.

        Raises
        ------
        InvalidImage
        """
        return decode_answer(file, photo)

    def coefficients(self, file: OpenedFile) -> Coefficients:
        """Read a JPEG's coefficients.

        Raises
        ------
        InvalidImage
        """
        return read_own(file)


INLINE = InlineDecoder()
"""For whoever is given no other decoder."""
