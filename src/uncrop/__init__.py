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
from typing import TYPE_CHECKING, Any, Unpack

from uncrop._version import __version__
from uncrop.errors import UncropError
from uncrop.extras import explained

if TYPE_CHECKING:
    import os

    from uncrop.bootstrap import open_uncropper
    from uncrop.model import Caller, Options, Progress, Sides, UncropRequest, UncropResult, Variations
    from uncrop.settings import Settings
    from uncrop.uncropper import Uncropper

__all__ = [
    "Caller",
    "Options",
    "Settings",
    "Sides",
    "UncropError",
    "UncropRequest",
    "UncropResult",
    "Uncropper",
    "Variations",
    "__version__",
    "extend",
    "extend_variations",
    "open_uncropper",
]

# Looked up on first use: they bring the HTTP client, the codecs, the settings library or dozens of types along.
_LAZY = {
    "Caller": "uncrop.model",
    "Options": "uncrop.model",
    "Settings": "uncrop.settings",
    "Sides": "uncrop.model",
    "UncropRequest": "uncrop.model",
    "UncropResult": "uncrop.model",
    "Uncropper": "uncrop.uncropper",
    "Variations": "uncrop.model",
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
    mask: bytes | None = None,
    progress: Progress | None = None,
    settings: Settings | None = None,
    **options: Unpack[Options],
) -> UncropResult:
    """Extend one photo and wait for it.

    Parameters
    ----------
    photo
        The file's bytes, or its path: JPEG, PNG or WebP.
    left, right, up, down
        Pixels to add on each side, -2000..2000; a negative number crops.
    provider
        Who makes the pixels: one of those that ``uncrop providers`` lists; remote ones need their key in the settings.
    mask
        In place of sides, where the provider takes one: a PNG that is transparent where pixels are to be made.
    progress
        Called, as far as the provider tells, as ``progress(fraction, step)`` in another thread; what it raises ends the
        work.
    settings
        Read from the environment when absent.
    options
        ``seed``, ``quality``, ``aspect_ratio`` and others: see ``uncrop.Options``.

    Raises
    ------
    UncropError
        See ``uncrop.errors``; what is wrong with the request is a ``ValueError`` too.
    OSError
        When the file cannot be read.
    ModuleNotFoundError
        The engine is not installed; says how it is.
    """
    with explained():
        from uncrop import settings as configuration
        from uncrop.bootstrap import extend_once
        from uncrop.model import Sides
    sides = Sides(left=left, right=right, up=up, down=down)
    request = _request(photo, options, provider=provider, sides=sides, mask=mask)
    return extend_once(request, settings or configuration.load(), progress=progress)


def extend_variations(
    photo: bytes | str | os.PathLike[str],
    count: int,
    *,
    left: int = 0,
    right: int = 0,
    up: int = 0,
    down: int = 0,
    provider: str = "local",
    mask: bytes | None = None,
    settings: Settings | None = None,
    **options: Unpack[Options],
) -> Variations:
    """Make several pictures of one photo, each of a seed of its own, and wait for them.

    Parameters
    ----------
    photo, left, right, up, down, provider, mask, settings, options
        As of ``extend``. A ``seed`` is that of the first picture; the others have seeds of its family of four.
    count
        How many, 1 to 4. What they have in common is computed once, and each is a call of its own to those who bill.

    Returns
    -------
    Variations
        The pictures that were made, and why others were not.

    Raises
    ------
    UncropError
        None was made; see ``extend`` for this and the rest.
    """
    with explained():
        from uncrop import settings as configuration
        from uncrop.bootstrap import make_once
        from uncrop.model import Sides, Variations
    sides = Sides(left=left, right=right, up=up, down=down)
    request = _request(photo, options, provider=provider, sides=sides, mask=mask, variations=count)
    made = make_once(request, settings or configuration.load())
    return Variations(results=tuple(picture.result for picture in made.pictures), failures=made.failures)


def _request(photo: bytes | str | os.PathLike[str], options: Options, **values: Any) -> UncropRequest:
    from uncrop.model import UncropRequest, form_values

    wished = form_values(options)
    answer_format = wished.pop("output_format", None)
    return UncropRequest(
        image=photo if isinstance(photo, bytes) else Path(photo).read_bytes(),
        answer_format=answer_format and answer_format.upper(),
        **values,
        **wished,
    )


def __getattr__(name: str) -> Any:
    if name in _LAZY:
        with explained():
            return getattr(import_module(_LAZY[name]), name)
    raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
