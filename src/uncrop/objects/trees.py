"""Files under names that people chose: below a folder, or below a prefix of a bucket.

A file is written whole under a temporary name and kept by the disk before it is renamed, so that nobody ever finds
half of one under its own name. All of it blocks.
"""

from __future__ import annotations

import os
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import IO, TYPE_CHECKING, Protocol

import obstore
from obstore.exceptions import AlreadyExistsError, BaseError

from uncrop.errors import ServerBusy
from uncrop.objects.objects import opened

if TYPE_CHECKING:
    from collections.abc import Iterator

    from obstore.store import ObjectStore

    from uncrop.objects.place import BucketPlace

LISTED_AT_A_TIME = 1000


class Files(Protocol):
    """Files below one place. Names have ``/`` between folders, and none at their beginning."""

    @property
    def url(self) -> str:
        """Where it is."""

    def names(self, *, recursive: bool) -> Iterator[str]:
        """Yield the names of all files, those of one folder in the order of their names."""

    def exists(self, name: str) -> bool:
        """Tell whether there is a file of this name."""

    def read(self, name: str) -> bytes:
        """Return a file's bytes."""

    def write(self, name: str, data: bytes | IO[bytes]) -> None:
        """Write a file that nobody looks for yet, and have the disk keep it; folders are made if need be."""

    def rename(self, name: str, to: str, *, replace: bool) -> None:
        """Give a file another name."""

    def delete(self, name: str) -> None:
        """Delete a file, if it is there."""


class FolderFiles:
    """The files below a folder; raises ``OSError`` as the system does."""

    def __init__(self, folder: Path) -> None:
        self._folder = folder
        self.url = str(folder)

    def names(self, *, recursive: bool) -> Iterator[str]:
        """See ``Files``; a folder that a link leads to is not entered, since it may lead in a circle."""
        yield from self._below(self.url, "", recursive=recursive)

    def _below(self, folder: str, prefix: str, *, recursive: bool) -> Iterator[str]:
        # Of one folder at a time, and names alone: this is all that is held of a tree of any size.
        with os.scandir(folder) as entries:
            found = sorted((entry.name, entry.is_dir(follow_symlinks=False), _is_file(entry)) for entry in entries)
        for name, _, is_file in found:
            if is_file:
                yield prefix + name
        for name, is_folder, _ in found:
            if is_folder and recursive:
                yield from self._below(f"{folder}/{name}", f"{prefix}{name}/", recursive=True)

    def exists(self, name: str) -> bool:
        """See ``Files``."""
        return os.path.lexists(f"{self.url}/{name}")  # no Path: a batch looks for each of its names

    def read(self, name: str) -> bytes:
        """See ``Files``."""
        return (self._folder / name).read_bytes()

    def write(self, name: str, data: bytes | IO[bytes]) -> None:
        """See ``Files``."""
        path = self._folder / name
        path.parent.mkdir(parents=True, exist_ok=True)
        try:
            with path.open("wb") as file:
                if isinstance(data, bytes):
                    file.write(data)
                else:
                    while piece := data.read(1 << 20):
                        file.write(piece)
                file.flush()
                os.fsync(file.fileno())
        except OSError:
            with suppress(OSError):
                path.unlink()
            raise

    def rename(self, name: str, to: str, *, replace: bool) -> None:
        """See ``Files``.

        Raises
        ------
        FileExistsError
            There is one of that name, and it is not to be replaced.
        """
        source, target = self._folder / name, self._folder / to
        target.parent.mkdir(parents=True, exist_ok=True)
        if replace:
            source.replace(target)
        else:
            _link(source, target)
        _sync(target.parent)

    def delete(self, name: str) -> None:
        """See ``Files``."""
        (self._folder / name).unlink(missing_ok=True)


class BucketFiles:
    """The files below a prefix of a bucket.

    Raises ``FileNotFoundError`` and ``FileExistsError``; ``ServerBusy`` where the bucket cannot be used at the moment.
    """

    def __init__(self, place: BucketPlace) -> None:
        self._store: ObjectStore = opened(place)
        self.url = f"s3://{place.bucket}/{place.prefix}".rstrip("/")

    def names(self, *, recursive: bool) -> Iterator[str]:
        """See ``Files``; the bucket's own order."""
        with _converted():
            for page in obstore.list(self._store, chunk_size=LISTED_AT_A_TIME):
                yield from (entry["path"] for entry in page if recursive or "/" not in entry["path"])

    def exists(self, name: str) -> bool:
        """See ``Files``."""
        with _converted():
            try:
                obstore.head(self._store, name)
            except FileNotFoundError:
                return False
            return True

    def read(self, name: str) -> bytes:
        """See ``Files``."""
        with _converted():
            return bytes(obstore.get(self._store, name).bytes())

    def write(self, name: str, data: bytes | IO[bytes]) -> None:
        """See ``Files``; by one request, which writes all or nothing, but for what is larger than a picture is."""
        with _converted():
            obstore.put(self._store, name, data, use_multipart=None if not isinstance(data, bytes) else False)

    def rename(self, name: str, to: str, *, replace: bool) -> None:
        """See ``Files``; a bucket copies and deletes, and a copy is whole."""
        if not replace and self.exists(to):
            raise FileExistsError(to)
        with _converted():
            obstore.copy(self._store, name, to)
            obstore.delete(self._store, name)

    def delete(self, name: str) -> None:
        """See ``Files``."""
        with _converted(), suppress(FileNotFoundError):
            obstore.delete(self._store, name)


def _is_file(entry: os.DirEntry[str]) -> bool:
    try:
        return entry.is_file()
    except OSError:  # a link that leads in a circle
        return False


def _link(source: Path, target: Path) -> None:
    """Give a file a name that no other has."""
    try:
        target.hardlink_to(source)
    except FileExistsError:
        raise
    except OSError:  # a file system that has no second names
        if os.path.lexists(target):
            raise FileExistsError(str(target)) from None
        source.replace(target)
    else:
        source.unlink()


def _sync(folder: Path) -> None:
    descriptor = os.open(folder, os.O_RDONLY)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)


@contextmanager
def _converted() -> Iterator[None]:
    try:
        yield
    except (FileNotFoundError, FileExistsError):
        raise
    except AlreadyExistsError as error:
        raise FileExistsError from error
    except (BaseError, OSError, ValueError) as error:
        if "<Code>NoSuchBucket</Code>" in str(error):
            raise FileNotFoundError from error
        # Its text may hold an address or a key, so that its kind alone is told.
        raise ServerBusy(
            "The bucket cannot be used at the moment; try again later",
            system_message=f"A bucket could not be used ({type(error).__name__})",
        ) from error
