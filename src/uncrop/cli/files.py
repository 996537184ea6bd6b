"""Reading photos and writing pictures: whole or not at all."""

from __future__ import annotations

import os
import tempfile
from pathlib import Path
from typing import TYPE_CHECKING, get_args

from uncrop.cli.exits import stop
from uncrop.model import ImageFormat

if TYPE_CHECKING:
    from collections.abc import Callable

SUFFIXES: dict[str, ImageFormat] = {".jpg": "JPEG", ".jpeg": "JPEG", ".png": "PNG", ".webp": "WEBP"}


def read_file(path: Path) -> bytes:
    """Read a file, or stop with a line that says why not."""
    try:
        return path.read_bytes()
    except FileNotFoundError:
        stop(f"{path}: no such file")
    except IsADirectoryError:
        stop(f"{path}: is a folder, not a photo")
    except OSError as error:
        stop(f"{path}: cannot be read ({_reason(error)})")


def format_of(path: Path) -> ImageFormat:
    """Return the format that a file name asks for, or stop."""
    try:
        return SUFFIXES[path.suffix.lower()]
    except KeyError:
        stop(f"{path}: the name must end in {', '.join(SUFFIXES)} ({', '.join(get_args(ImageFormat))})")


def prepare_output(path: Path) -> Callable[[bytes], None]:
    """Check that a picture can be written to ``path`` before any work, and return what writes it.

    The picture is written to a temporary name in the same folder and then renamed, so that nobody ever sees half of it.
    """
    if os.path.isdir(path):  # noqa: PTH112 - unlike Path's, it raises nothing where one may not look
        stop(f"{path}: is a folder; name a file")
    try:
        descriptor, temporary = tempfile.mkstemp(prefix=".uncrop-", suffix=path.suffix, dir=path.parent)
    except OSError as error:
        stop(f"{path}: cannot be written ({_reason(error)})")
    os.close(descriptor)
    Path(temporary).unlink()

    def write(data: bytes) -> None:
        try:
            _write_whole(Path(temporary), path, data)
        except OSError as error:
            stop(f"{path}: cannot be written ({_reason(error)})")

    return write


def numbered(path: Path, count: int) -> list[Path]:
    """Return as many names as there are pictures: the name itself for one, else ``wide-1.jpg`` and so on."""
    if count == 1:
        return [path]
    return [path.with_name(f"{path.stem}-{number}{path.suffix}") for number in range(1, count + 1)]


def prepare_map(path: Path, *, beside: Path) -> Callable[[bytes], None]:
    """Check that a map can be written to ``path``, as a PNG and not over the picture ``beside``; return what does."""
    if format_of(path) != "PNG":
        stop(f"{path}: the name must end in .png")
    if os.path.realpath(path) == os.path.realpath(beside):  # unlike Path's, it bears links that lead in a circle
        stop(f"{path}: is where the picture goes")
    return prepare_output(path)


def _write_whole(temporary: Path, path: Path, data: bytes) -> None:
    try:
        with temporary.open("xb") as file:
            file.write(data)
        temporary.replace(path)
    except BaseException:
        temporary.unlink(missing_ok=True)
        raise


def _reason(error: OSError) -> str:
    return (error.strerror or "unknown reason").lower()
