"""What may be asked for each photo of a batch: columns of a table, by the names that options of `extend` have."""

from __future__ import annotations

import re
from dataclasses import replace
from typing import TYPE_CHECKING, Any

from uncrop.model import Sides, UncropRequest

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

    from uncrop.model import ImageFormat

SUFFIXES: Mapping[str, ImageFormat] = {".jpg": "JPEG", ".jpeg": "JPEG", ".png": "PNG", ".webp": "WEBP"}
SOURCE, OUTPUT = "source", "output"
SIDES = ("left", "right", "up", "down")
_CANVAS = re.compile(r"([0-9]{1,6})x([0-9]{1,6})(?:([+-][0-9]{1,6})([+-][0-9]{1,6}))?")
_NUMBER = re.compile(r"[+-]?[0-9]{1,18}")
_NO_GEOMETRY: dict[str, Any] = {
    "sides": Sides(),
    **dict.fromkeys(("aspect_ratio", "canvas_width", "canvas_height", "canvas_x", "canvas_y", "zoom_out", "anchor")),
}


class BadValueError(Exception):
    """A value that its column cannot have.

    Attributes
    ----------
    column
        Its name.
    """

    def __init__(self, column: str, reason: str) -> None:
        super().__init__(reason)
        self.column = column


def parse_canvas(text: str) -> dict[str, int]:
    """Read ``2000x1500`` or ``2000x1500+X+Y``; X and Y may be negative, as in ``2000x1500-10+0``.

    Raises
    ------
    ValueError
    """
    match = _CANVAS.fullmatch(text)
    if match is None:
        raise ValueError("must be like 2000x1500 or 2000x1500+100+0")
    names = ("canvas_width", "canvas_height", "canvas_x", "canvas_y")
    return {name: int(number) for name, number in zip(names, match.groups(), strict=True) if number is not None}


def parse_format(text: str) -> ImageFormat:
    """Read the name of a format.

    Raises
    ------
    ValueError
    """
    named = SUFFIXES.get(f".{text.lower()}")
    if named is None:
        raise ValueError("must be jpeg, png or webp")
    return named


def _number(text: str) -> int:
    if not _NUMBER.fullmatch(text):
        raise ValueError("must be a whole number")
    return int(text)


def _field(name: str, read: Callable[[str], Any] = str) -> Callable[[str], dict[str, Any]]:
    return lambda text: {name: read(text)}


GEOMETRY: Mapping[str, Callable[[str], dict[str, Any]]] = {
    **{side: _field(side, _number) for side in SIDES},
    "aspect": _field("aspect_ratio"),
    "canvas": parse_canvas,
    "zoom-out": _field("zoom_out", _number),
    "anchor": _field("anchor"),
}
OTHERS: Mapping[str, Callable[[str], dict[str, Any]]] = {
    "output-size": _field("output_size"),
    "output-format": _field("answer_format", parse_format),
    "provider": _field("provider"),
    "quality": _field("quality"),
    "seed": _field("seed", _number),
    "max-calls": _field("max_calls", _number),
    "detail": _field("detail"),
    "prompt": _field("prompt"),
    "negative-prompt": _field("negative_prompt"),
}
COLUMNS = (SOURCE, OUTPUT, *GEOMETRY, *OTHERS)


def column_of(field: str) -> str | None:
    """Return the column that says the same as a field of a request; ``None`` where there is none."""
    renamed = {"aspect_ratio": "aspect", "canvas_width": "canvas", "canvas_height": "canvas"}
    renamed |= {"canvas_x": "canvas", "canvas_y": "canvas"}
    name = renamed.get(field, field.removeprefix("extend_").replace("_", "-"))
    return name if name in COLUMNS else None


def request_of(values: Mapping[str, str], defaults: UncropRequest) -> UncropRequest:
    """Return what is asked for one photo, without its bytes.

    Parameters
    ----------
    values
        By column; empty ones are as if absent.
    defaults
        What is asked where a column is absent. Of the geometry, all of it or nothing: a row that says anything about
        it says all.

    Raises
    ------
    BadValueError
        Only for what can be told without knowing the provider.
    """
    given = {name: text for name, value in values.items() if (text := value.strip()) and name in (*GEOMETRY, *OTHERS)}
    changes: dict[str, Any] = dict(_NO_GEOMETRY) if any(name in GEOMETRY for name in given) else {}
    sides: dict[str, int] = {}
    for name, text in given.items():
        try:
            read = (GEOMETRY.get(name) or OTHERS[name])(text)
        except ValueError as error:
            raise BadValueError(name, str(error)) from error
        (sides if name in SIDES else changes).update(read)
    if sides:
        changes["sides"] = Sides(**sides)
    return replace(defaults, **changes)
