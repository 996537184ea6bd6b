"""The files of an emulated ComfyUI: what was uploaded, and what was made."""

from __future__ import annotations

import threading
from collections import OrderedDict
from collections.abc import Mapping
from pathlib import PurePosixPath
from typing import TYPE_CHECKING

from uncrop.testing.comfyui.rules import PLACES, leads_out
from uncrop.testing.emulator import Refusal

if TYPE_CHECKING:
    from uncrop.testing.comfyui.rules import Upload

KEPT_FILES = 256


class StoredFiles:
    """Files by place, folder and name; of more than 256 the oldest is forgotten.

    Attributes
    ----------
    crowded
        Every name that comes is taken already, by another file: an upload is renamed, unless it overwrites.
    """

    def __init__(self, *, crowded: bool) -> None:
        self.crowded = crowded
        self._files: OrderedDict[tuple[str, str, str], bytes] = OrderedDict()
        self._lock = threading.Lock()

    def take(self, upload: Upload) -> str:
        """Keep what was uploaded, and return the name that it got; the same file is kept once."""
        path = PurePosixPath(upload.name)
        tried, name = 0, upload.name
        if self.crowded and not upload.overwrites:
            tried, name = 1, f"{path.stem} (1){path.suffix}"
        with self._lock:
            while not upload.overwrites and self._is_taken((upload.place, upload.folder, name), upload.data):
                tried += 1
                name = f"{path.stem} ({tried}){path.suffix}"
        self.put(upload.place, upload.folder, name, upload.data)
        return name

    def put(self, place: str, folder: str, name: str, data: bytes) -> None:
        """Keep a file."""
        with self._lock:
            self._files[place, folder, name] = data
            if len(self._files) > KEPT_FILES:
                self._files.popitem(last=False)

    def view(self, query: Mapping[str, str]) -> bytes:
        """Return what ``GET /view`` asks for.

        Raises
        ------
        Refusal
        """
        name, folder, place = query.get("filename", ""), query.get("subfolder", ""), query.get("type", "output")
        if "filename" not in query:
            raise Refusal(404, "Not Found")
        if not name or name.startswith("/") or ".." in name or place not in PLACES:
            raise Refusal(400, "Bad Request")
        if leads_out(folder):
            raise Refusal(403, "Forbidden")
        with self._lock:
            data = self._files.get((place, folder, name))
        if data is None:
            raise Refusal(404, "Not Found")
        return data

    def loadable(self) -> dict[str, bytes]:
        """Return all files by the ways in which graphs name them: ``folder/name [place]``, or without for inputs."""
        named = {}
        with self._lock:
            for (place, folder, name), data in self._files.items():
                path = f"{folder}/{name}" if folder else name
                named[f"{path} [{place}]"] = data
                if place == "input":
                    named[path] = data
        return named

    def _is_taken(self, key: tuple[str, str, str], data: bytes) -> bool:
        return self._files.get(key, data) != data
