"""Reading photos, and what names of files say."""

from __future__ import annotations

import errno
import os
import stat
import sys
from pathlib import Path
from typing import TYPE_CHECKING

from uncrop.cli.exits import stop

if TYPE_CHECKING:
    from uncrop.model import ImageFormat

SUFFIXES: dict[str, ImageFormat] = {".jpg": "JPEG", ".jpeg": "JPEG", ".png": "PNG", ".webp": "WEBP"}
STREAM = Path("-")
"""The name that stands for standard input, or standard output."""


def check_file(path: Path) -> None:
    """Stop with a line unless there is a file to read."""
    if path == STREAM:
        if sys.stdin is None or sys.stdin.isatty():
            stop("-: standard input is the terminal; send a photo there, as in: uncrop extend - --output - < photo.jpg")
        return
    try:
        is_folder = stat.S_ISDIR(path.stat().st_mode)
    except OSError as error:
        stop(why_unread(path, error))
    if is_folder:
        stop(f"{path}: is a folder, not a photo")


def read_file(path: Path) -> bytes:
    """Read a file, or standard input, or stop with a line that says why not."""
    try:
        data = sys.stdin.buffer.read() if path == STREAM else path.read_bytes()
    except OSError as error:
        stop(why_unread(path, error))
    if not data and path == STREAM:
        stop("-: standard input is empty; a photo is expected there")
    return data


def why_unread(path: Path, error: OSError) -> str:
    """Return the line about a file that cannot be read."""
    if error.errno == errno.ENOENT:
        return f"{path}: no such file"
    if error.errno == errno.EISDIR:
        return f"{path}: is a folder, not a photo"
    return f"{path}: cannot be read ({reason(error)})"


def format_of(path: Path) -> ImageFormat:
    """Return the format that a file name asks for, or stop."""
    try:
        return SUFFIXES[path.suffix.lower()]
    except KeyError:
        stop(f"{path}: the name must end in {', '.join(SUFFIXES)}")


def numbered(path: Path, count: int) -> list[Path]:
    """Return as many names as there are pictures: the name itself for one, else ``wide-1.jpg`` and so on."""
    if count == 1:
        return [path]
    return [path.with_name(f"{path.stem}-{number}{path.suffix}") for number in range(1, count + 1)]


def is_same(one: Path, other: Path) -> bool:
    """Tell whether two names lead to one file, through links too, whether or not it exists."""
    return os.path.realpath(one) == os.path.realpath(other)  # unlike Path's, it bears links that lead in a circle


def reason(error: OSError) -> str:
    """Return the system's reason, in small letters."""
    return (error.strerror or "unknown reason").lower()
