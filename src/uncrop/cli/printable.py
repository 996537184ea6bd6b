"""Text for a terminal: one line, whatever a file's name or a foreign text holds."""

from __future__ import annotations

import re

# Control characters, ends of lines, marks that turn the reading direction, and halves of characters: bytes of a name
# that are no UTF-8 reach Python as those.
_UNSAFE = re.compile("[\x00-\x1f\x7f-\x9f\u200e\u200f\u2028-\u202e\u2066-\u2069\ud800-\udfff]")


def printable(text: object) -> str:
    r"""Return a text in one line that a terminal shows as it is: ``\n``, ``\x1b`` and the like in place of the rest."""
    return _UNSAFE.sub(_escaped, str(text))


def _escaped(match: re.Match[str]) -> str:
    character = match[0]
    if "\udc80" <= character <= "\udcff":  # a byte, as os.fsdecode puts it
        return f"\\x{ord(character) - 0xDC00:02x}"
    return character.encode("unicode_escape", "surrogatepass").decode("ascii")
