"""Paths that people write: `~`, relative ones, and characters that mean something elsewhere."""

from __future__ import annotations

import os
from pathlib import Path

import platformdirs


def default_data_folder() -> Path:
    """Return the user's own folder for uncrop.

    A user whom the system does not know, and who has no ``HOME``, is at home in ``/``, as in a container.
    """
    try:
        return platformdirs.user_data_path("uncrop")
    except RuntimeError:
        return Path("/.local/share/uncrop")


def folder(path: Path) -> Path:
    """Return a path as it was meant: ``~`` is the user's own folder, and a relative path begins in the working folder.

    Raises
    ------
    ValueError
        There is no such folder of a user, or the path is none.
    """
    try:
        os.fsencode(path).decode()
    except UnicodeError as error:
        raise ValueError("must be written in UTF-8") from error
    if "\0" in str(path):
        raise ValueError("must not hold a NUL character")
    try:
        return path.expanduser().absolute()
    except RuntimeError as error:
        raise ValueError("begins with ~, and there is no such user's folder") from error
    except OSError as error:
        raise ValueError("is relative, and the working folder is gone") from error


def in_address(path: Path) -> str:
    """Return a path as the last part of a database's address, where ``?`` and ``%`` have a meaning of their own."""
    return str(path).replace("%", "%25").replace("?", "%3F")
