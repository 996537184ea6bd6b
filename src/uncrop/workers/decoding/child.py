"""The life of a process that decodes one picture."""

from __future__ import annotations

import os
import pickle
from dataclasses import replace
from typing import TYPE_CHECKING

import numpy as np

from uncrop.errors import InvalidRequest
from uncrop.imaging import codec
from uncrop.imaging.answer import decode_answer
from uncrop.imaging.jpeg.kept import read_own
from uncrop.imaging.mask import decode_mask
from uncrop.workers.decoding.messages import DONE, DONE_WITH_ALPHA, OUT_OF_MEMORY, refusal_to_bytes

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping
    from typing import TypeAlias

    from numpy.typing import NDArray

    from uncrop.model import ImageHeader, OpenedFile
    from uncrop.workers.decoding.messages import Job, Work

    Arrays: TypeAlias = "tuple[NDArray[np.generic], ...]"
    Works: TypeAlias = "Mapping[Work, Callable[[OpenedFile, ImageHeader], Arrays]]"


def photo(file: OpenedFile, _photo: ImageHeader) -> Arrays:
    """Decode the caller's photo."""
    return (codec.decode(file),)


def mask(file: OpenedFile, _photo: ImageHeader) -> Arrays:
    """Decode the caller's mask."""
    return (decode_mask(file),)


def answer(file: OpenedFile, photo: ImageHeader) -> Arrays:
    """Decode a provider's picture, in the colours of the photo."""
    colours, alpha = decode_answer(file, photo)
    return (colours,) if alpha is None else (colours, alpha)


def coefficients(file: OpenedFile, _photo: ImageHeader) -> Arrays:
    """Read the coefficients of the caller's photo."""
    return (read_own(file).levels,)


WORKS: Works = {"photo": photo, "mask": mask, "answer": answer, "coefficients": coefficients}


def read_file(descriptor: int, job: Job) -> tuple[OpenedFile, ImageHeader]:
    """Read what the server has written: the opened file, and the header of the photo that it belongs to."""
    # Only the server writes to this memory, and it is sealed before it is sent.
    told = os.pread(descriptor, job.told, 0)
    file, header = pickle.loads(told)  # noqa: S301
    return replace(file, data=_read(descriptor, job.size, job.told)), header


def work(job: Job, source: int, target: int, works: Works) -> bytes:
    """Decode, write the pixels where the server expects them, and return the reply."""
    try:
        arrays = works[job.work](*read_file(source, job))
        for array in arrays:
            _write(target, array)
    except InvalidRequest as error:
        return refusal_to_bytes(error)
    except MemoryError:
        return OUT_OF_MEMORY
    return DONE if len(arrays) == 1 else DONE_WITH_ALPHA


def _read(descriptor: int, size: int, at: int) -> bytes:
    parts = []
    while size:
        part = os.pread(descriptor, size, at)
        parts.append(part)
        at, size = at + len(part), size - len(part)
    return b"".join(parts) if len(parts) != 1 else parts[0]


def _write(descriptor: int, array: NDArray[np.generic]) -> None:
    """Write pixels as they lie. The kernel takes pages for them at once, which mapping would do one by one."""
    left = np.ascontiguousarray(array).data.cast("B")
    while left:
        left = left[os.write(descriptor, left) :]
