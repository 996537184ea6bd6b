"""Showing a picture in the desktop's own viewer."""

from __future__ import annotations

import os
import sys
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from pathlib import Path


def open_viewer(path: Path) -> bool:
    """Hand a file to the program that the desktop opens it with; False where there is none.

    Nobody waits for that program. It gets none of our streams: a pipe behind us would stay open until it is closed.
    """
    if sys.platform == "win32":
        os.startfile(path)  # noqa: S606 - the name is one that was just written
        return True
    import subprocess

    opener = "open" if sys.platform == "darwin" else "xdg-open"
    try:
        subprocess.Popen(  # noqa: S603 - the name is one that was just written
            [opener, path],
            stdin=subprocess.DEVNULL,
            stdout=subprocess.DEVNULL,
            stderr=subprocess.DEVNULL,
            start_new_session=True,
        )
    except OSError:
        return False
    return True
