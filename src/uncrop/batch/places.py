"""Opens what addresses name: folders and buckets, by the settings that all programs share."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

from uncrop.batch.sources import BUCKET
from uncrop.errors import SettingsError
from uncrop.objects.place import BucketPlace
from uncrop.objects.trees import BucketFiles, FolderFiles
from uncrop.settings.objects import read_place

if TYPE_CHECKING:
    from uncrop.objects.trees import Files


class Places:
    """Opens each place once, and reads photos by their whole names."""

    def __init__(self) -> None:
        self._opened: dict[str, Files] = {}

    def files_at(self, url: str) -> Files:
        """Return the files of a folder, or below ``s3://bucket/prefix``.

        Raises
        ------
        SettingsError
            The address is none, or the environment names half of a pair of keys.
        """
        if url not in self._opened:
            self._opened[url] = _open(url)
        return self._opened[url]

    def read(self, source: str) -> bytes:
        """Return the bytes of a photo.

        Raises
        ------
        OSError
            It cannot be read.
        ServerBusy
            Its bucket cannot be used at the moment.
        """
        if not source.startswith(BUCKET):
            return Path(source).read_bytes()
        bucket, _, key = source.removeprefix(BUCKET).partition("/")
        return self.files_at(f"{BUCKET}{bucket}").read(key)


def _open(url: str) -> Files:
    if not url.startswith(BUCKET):
        return FolderFiles(Path(url))
    try:
        place = read_place(url, Path())
    except ValueError as error:
        raise SettingsError([str(error)]) from error
    if not isinstance(place, BucketPlace):
        raise SettingsError([f"{url}: must be s3://bucket or s3://bucket/prefix, in characters that need no escaping"])
    return BucketFiles(place)
