"""Uncrop extends photographs beyond their borders.

>>> import uncrop
>>> result = uncrop.extend("photo.jpg", left=256, right=256)  # doctest: +SKIP
>>> open("wide.jpg", "wb").write(result.image)  # doctest: +SKIP

``extend`` makes one picture and blocks until it is there. A program that makes many, or runs an event loop, keeps one
``Uncropper`` open:

>>> async with uncrop.open_uncropper() as uncropper:  # doctest: +SKIP
...     result = await uncropper.run(uncrop.UncropRequest(provider="local", image=data, sides=uncrop.Sides(left=256)))
"""

from __future__ import annotations

from importlib import import_module
from pathlib import Path
from typing import TYPE_CHECKING, Any

from uncrop._version import __version__
from uncrop.errors import UncropError
from uncrop.model import Caller, Sides, UncropRequest, UncropResult

if TYPE_CHECKING:
    import os

    from uncrop.bootstrap import open_uncropper
    from uncrop.model import ImageFormat, Progress
    from uncrop.settings import Settings
    from uncrop.uncropper import Uncropper

__all__ = [
    "Caller",
    "Settings",
    "Sides",
    "UncropError",
    "UncropRequest",
    "UncropResult",
    "Uncropper",
    "__version__",
    "extend",
    "open_uncropper",
]

# Looked up on first use: they bring the HTTP client, the codecs and the settings library along.
_LAZY = {
    "Settings": "uncrop.settings",
    "Uncropper": "uncrop.uncropper",
    "open_uncropper": "uncrop.bootstrap",
}


def extend(
    photo: bytes | str | os.PathLike[str],
    *,
    left: int = 0,
    right: int = 0,
    up: int = 0,
    down: int = 0,
    provider: str = "local",
    seed: int | None = None,
    quality: str | None = None,
    mask: bytes | None = None,
    prompt: str | None = None,
    size: str | None = None,
    aspect_ratio: str | None = None,
    canvas: tuple[int, int] | None = None,
    position: tuple[int, int] | None = None,
    zoom_out: int | None = None,
    anchor: str | None = None,
    output_size: str | None = None,
    output_format: ImageFormat | None = None,
    confidence_map: bool = False,
    progress: Progress | None = None,
    settings: Settings | None = None,
) -> UncropResult:
    """Extend one photo and wait for it.

    Parameters
    ----------
    photo
        The file's bytes, or its path: JPEG, PNG or WebP.
    left, right, up, down
        Pixels to add on each side, -2000..2000; a negative number crops.
    provider, seed
        Who makes the pixels: one of those that ``uncrop providers`` lists; remote ones need their key in the settings.
        The same seed gives the same picture; drawn when absent and returned in the result.
    quality, confidence_map, mask, prompt, size
        Where the provider takes them: ``fast``, ``standard`` or ``best``; whether the result has a grey PNG, the
        lighter the surer; in place of sides, a PNG that is transparent where pixels are to be made; what to continue
        with; with a mask, the output size.
    aspect_ratio, canvas, position, zoom_out, anchor
        In place of sides: a ratio such as ``"16:9"``; the canvas's width and height, and where the photo's top left
        corner lies on it; per cent to zoom out, 1..90; where the photo lies, such as ``"left"`` or ``"top-right"``.
    output_size, output_format
        The finished picture's size, such as ``"1920x1080"``, of the canvas's shape; ``"JPEG"``, ``"PNG"`` or
        ``"WEBP"``.
    progress
        Called, as far as the provider tells, as ``progress(fraction, step)`` in another thread; what it raises ends the
        work.
    settings
        Read from the environment when absent.

    Raises
    ------
    UncropError
        See ``uncrop.errors``; what is wrong with the request is a ``ValueError`` too.
    OSError
        When the file cannot be read.
    """
    from uncrop import settings as configuration
    from uncrop.bootstrap import extend_once

    request = UncropRequest(
        provider=provider,
        image=photo if isinstance(photo, bytes) else Path(photo).read_bytes(),
        sides=Sides(left=left, right=right, up=up, down=down),
        seed=seed,
        quality=quality,
        mask=mask,
        prompt=prompt,
        size=size,
        aspect_ratio=aspect_ratio,
        canvas_width=None if canvas is None else canvas[0],
        canvas_height=None if canvas is None else canvas[1],
        canvas_x=None if position is None else position[0],
        canvas_y=None if position is None else position[1],
        zoom_out=zoom_out,
        anchor=anchor,
        output_size=output_size,
        answer_format=output_format,
        confidence_map=confidence_map,
    )
    return extend_once(request, settings or configuration.load(), progress=progress)


def __getattr__(name: str) -> Any:
    if name in _LAZY:
        return getattr(import_module(_LAZY[name]), name)
    raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
