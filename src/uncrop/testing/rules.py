"""What the rules of several emulators have in common."""

from __future__ import annotations

import base64
import unicodedata
from typing import TYPE_CHECKING

from uncrop.errors import InvalidRequest
from uncrop.imaging import codec
from uncrop.imaging.header import open_file

if TYPE_CHECKING:
    from uncrop.model import Pixels
    from uncrop.testing.emulator import Refusal


def may_be_english(prompt: str) -> bool:
    """Tell whether all letters are Latin: the languages of real providers cannot be told apart here any closer."""
    return all("LATIN" in unicodedata.name(letter, "") for letter in prompt if letter.isalpha())


def picture_in_base64(text: str, refusal: Refusal) -> Pixels:
    """Decode a picture that stands in JSON.

    Raises
    ------
    Refusal
        The one given: the text is no base64, or the file no picture.
    """
    try:
        return codec.decode(open_file(base64.b64decode(text, validate=True)))
    except (ValueError, InvalidRequest):  # binascii.Error is a ValueError
        raise refusal from None
