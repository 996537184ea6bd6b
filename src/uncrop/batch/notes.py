"""What is noted of photos that are not made: skipped, since nothing is to be done, or not, and why."""

from __future__ import annotations

import json
import os
import tempfile
from typing import TYPE_CHECKING

from uncrop.errors import InvalidFieldValue, UncropError
from uncrop.geometry.notations import parse_ratio, placement_of_ratio
from uncrop.imaging.header import open_file

if TYPE_CHECKING:
    from uncrop.model import UncropRequest

EXISTS, AS_WANTED = "EXISTS", "AS_WANTED"
_SKIPPED = {
    EXISTS: "its picture is there already",
    AS_WANTED: "it already has the canvas that is asked for",
}


def skipped(code: str) -> str:
    """Write down why a photo is skipped."""
    return json.dumps({"code": code, "message": _SKIPPED[code]})


def kept_elsewhere(image: bytes) -> str | None:
    """Keep a picture in the system's folder for temporary files, and return its name there if that works."""
    try:
        descriptor, name = tempfile.mkstemp(prefix="uncrop-")
        with os.fdopen(descriptor, "wb") as file:
            file.write(image)
    except OSError:
        return None
    return name


def is_as_wanted(request: UncropRequest) -> bool:
    """Tell whether a photo already has the ratio or the canvas that is asked for, so that nothing would be added."""
    try:
        header = open_file(request.image).header
        if request.aspect_ratio is not None:
            return _has_ratio(request.aspect_ratio, header.width, header.height)
    except UncropError:
        return False
    whole = (request.canvas_width, request.canvas_height) == (header.width, header.height)
    return whole and (request.canvas_x or 0, request.canvas_y or 0) == (0, 0)


def _has_ratio(text: str, width: int, height: int) -> bool:
    ratio = parse_ratio(text)
    try:
        placement_of_ratio(width, height, ratio)
    except InvalidFieldValue:
        return True
    return False
