"""Transparency: transparent pixels are never copied, and the extension's alpha replicates the photo's border."""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import NDArray


def split_alpha(photo: NDArray[Any]) -> tuple[NDArray[Any], NDArray[Any] | None]:
    """Split a photo (h, w, 1 to 4) into colour (h, w, 1 or 3), C-contiguous, and alpha (h, w) or None."""
    count = photo.shape[2]
    if count in (1, 3):
        return photo, None
    return np.ascontiguousarray(photo[:, :, : count - 1]), np.ascontiguousarray(photo[:, :, count - 1])


def opaque_mask(shape: tuple[int, ...], alpha: NDArray[Any] | None) -> NDArray[np.bool_]:
    """Return (h, w): True for the pixels that may be copied, which are at least half opaque."""
    if alpha is None:
        return np.ones(shape[:2], np.bool_)
    opaque: NDArray[np.bool_] = alpha >= np.iinfo(alpha.dtype).max // 2 + 1
    return opaque


def fill_transparent(rgb: NDArray[np.uint8], opaque: NDArray[np.bool_]) -> NDArray[np.uint8]:
    """Give the pixels that are not ``opaque`` the mean colour of the nearest opaque ones.

    A file may store any colour under transparent pixels, often black; no patch must be compared with it. The method is
    pull-push: means are pulled up a pyramid and pushed down where nothing is known (Gortler et al. 1996,
    doi:10.1145/237170.237200).
    """
    if opaque.all() or not opaque.any():
        return rgb
    known = np.where(opaque[:, :, None], rgb, 0).astype(np.float32)
    filled = _pull_push(known, opaque.astype(np.float32))
    return np.where(opaque[:, :, None], rgb, np.floor(filled + 0.5).astype(np.uint8))


def _pull_push(colour: NDArray[np.float32], weight: NDArray[np.float32]) -> NDArray[np.float32]:
    """Return ``colour`` (h, w, 3), premultiplied by ``weight`` (h, w), with its holes filled from coarser means."""
    height, width = weight.shape
    here: Any = colour / np.maximum(weight, np.float32(1e-6))[:, :, None]
    if weight.all() or max(height, width) == 1:
        return here  # type: ignore[no-any-return]
    pad = ((0, height % 2), (0, width % 2))
    half = (np.pad(weight, pad)[::2] + np.pad(weight, pad)[1::2]).reshape(-1, (width + 1) // 2, 2).sum(axis=2)
    wide = np.pad(colour, (*pad, (0, 0)))
    halved = (wide[::2] + wide[1::2]).reshape(half.shape[0], half.shape[1], 2, 3).sum(axis=2)
    coarse = _pull_push(halved.astype(np.float32), half.astype(np.float32))
    pushed = coarse.repeat(2, axis=0).repeat(2, axis=1)[:height, :width]
    return np.where(weight[:, :, None] > 0, here, pushed)


def replicate_border(plane: NDArray[Any], up: int, down: int, left: int, right: int) -> NDArray[Any]:
    """Return ``plane`` (h, w, ...) with its outermost pixels repeated outward."""
    rest = ((0, 0),) * (plane.ndim - 2)
    return np.pad(plane, ((up, down), (left, right), *rest), mode="edge")
