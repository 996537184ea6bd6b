"""Keeps bytes under a name that says what they are; the only package that imports obstore.

An object's name is the SHA-256 of its bytes and the id of its one owner: ``ab/<digest>.<owner>``. The digest is looked
at whenever the object is read. The owner is in the name so that no object has two, of whom one could delete it while
the other writes it.

What is found again by somebody else's name has that name, ``<folder>/<name>``, and nothing is told by it.
"""

from __future__ import annotations

import hashlib
import os
import re
import shutil
from collections.abc import Mapping
from contextlib import contextmanager, suppress
from datetime import timedelta
from pathlib import Path
from typing import TYPE_CHECKING, Any, TypeVar

import anyio
import obstore
import structlog
from anyio import to_thread
from obstore.exceptions import BaseError
from obstore.store import LocalStore, S3Store

from uncrop.errors import ServerBusy
from uncrop.objects.place import BucketPlace, FolderPlace

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator
    from datetime import datetime

T = TypeVar("T")
log = structlog.stdlib.get_logger("uncrop.objects")

# A request waits for its answer to be kept, and a database's transaction may follow; what takes longer is given up.
CALL_S, ALL_TRIES_S, TRIES = 10, 15, 2
AT_ONCE = 8
_NAME = re.compile(r"[0-9a-f]{2}/([0-9a-f]{64})\.([0-9a-f]{1,64})")
_IN_A_FOLDER = re.compile(r"[^/]+/[^/]+")
_SIDE_BY_SIDE = 500  # names that are listed at a time


class Objects:
    """The objects of one place; safe to share between tasks.

    Parameters
    ----------
    place
        Where they lie.
    """

    def __init__(self, place: FolderPlace | BucketPlace) -> None:
        self._folder = place.folder if isinstance(place, FolderPlace) else None
        self._place = place
        self._opened: LocalStore | S3Store | None = None
        self._limiter = anyio.CapacityLimiter(AT_ONCE)

    async def put(self, owner: str, data: bytes) -> str:
        """Write an object, whole or not at all, and return its name; what was put stays after a power cut.

        Parameters
        ----------
        owner
            Letters and digits of hexadecimal numbers; puts the same bytes once more, if at all.

        Raises
        ------
        ServerBusy
            The place cannot be used: it is full, read-only or away.
        """
        return await self._do("put", self._put, owner, data)

    async def get(self, name: str) -> bytes | None:
        """Return an object's bytes; ``None`` where it is not there, or is not what was put.

        Raises
        ------
        ServerBusy
            The place cannot be used.
        """
        data = await self._do("get", self._get, name)
        if data is not None and hashlib.sha256(data).hexdigest() != digest_of(name):
            log.error("an object is damaged", object=name)
            return None
        return data

    async def write(self, folder: str, name: str, data: bytes) -> None:
        """Write an object under a name, whole or not at all, over what was there; it stays after a power cut.

        Raises
        ------
        ServerBusy
            The place cannot be used: it is full, read-only or away.
        """
        await self._do("write", self._write, f"{folder}/{name}", data)

    async def read(self, folder: str, name: str) -> bytes | None:
        """Return the bytes of an object of that name; ``None`` where it is not there.

        Raises
        ------
        ServerBusy
            The place cannot be used.
        """
        return await self._do("read", self._get, f"{folder}/{name}")

    async def delete_folder(self, folder: str) -> None:
        """Delete all objects whose names are in a folder, if there are any.

        Raises
        ------
        ServerBusy
            The place cannot be used.
        """
        await self._do("delete", self._delete_folder, folder)

    async def folders_older_than(self, moment: datetime) -> frozenset[str]:
        """Return the folders of which some object was written before a moment, by the clock of their place.

        Raises
        ------
        ServerBusy
            The place cannot be used.
        """
        names = await self._do("list", self._older_than, moment, _IN_A_FOLDER)
        return frozenset(name.partition("/")[0] for name in names)

    async def delete(self, name: str) -> None:
        """Delete an object, if it is there.

        Raises
        ------
        ServerBusy
            The place cannot be used.
        """
        await self._do("delete", self._delete, name)

    async def older_than(self, moment: datetime) -> list[str]:
        """Return the names of the objects that were written before a moment, by the clock of their place.

        Raises
        ------
        ServerBusy
            The place cannot be used.
        """
        return await self._do("list", self._older_than, moment, _NAME)

    async def check(self) -> None:
        """Write something and delete it again.

        Raises
        ------
        ServerBusy
            The place cannot be used.
        """
        await self.delete(await self.put("0", b"uncrop"))

    async def _do(self, what: str, function: Callable[..., T], *arguments: object) -> T:
        with _converted(what):
            return await to_thread.run_sync(function, *arguments, limiter=self._limiter)

    @property
    def _store(self) -> LocalStore | S3Store:
        if self._opened is None:
            self._opened = opened(self._place)
        return self._opened

    def _put(self, owner: str, data: bytes) -> str:
        digest = hashlib.sha256(data).hexdigest()
        name = f"{digest[:2]}/{digest}.{owner}"
        self._write(name, data)
        return name

    def _write(self, name: str, data: bytes) -> None:
        # By one request, which either writes all or nothing; parts could be left over in a bucket.
        store, folder = self._store, self._folder
        first = folder is not None and not (folder / name).parent.exists()
        obstore.put(store, name, data, use_multipart=False)
        if folder is not None:
            _synchronize(folder, name, first=first)

    def _get(self, name: str) -> bytes | None:
        try:
            return bytes(obstore.get(self._store, name).bytes())
        except FileNotFoundError:
            return None

    def _delete(self, name: str) -> None:
        with suppress(FileNotFoundError):
            obstore.delete(self._store, name)

    def _delete_folder(self, name: str) -> None:
        if self._folder is not None:
            with suppress(FileNotFoundError):
                shutil.rmtree(self._folder / name)
            return
        for page in obstore.list(self._store, prefix=name, chunk_size=_SIDE_BY_SIDE):
            for entry in page:
                self._delete(entry["path"])

    def _older_than(self, moment: datetime, names: re.Pattern[str]) -> list[str]:
        pages = obstore.list(self._store, chunk_size=_SIDE_BY_SIDE)
        return [
            entry["path"]
            for page in pages
            for entry in page
            if entry["last_modified"] < moment and names.fullmatch(entry["path"])
        ]


def digest_of(name: str) -> str:
    """Return the SHA-256 that an object's name tells, as hexadecimal digits."""
    found = _NAME.fullmatch(name)
    return "" if found is None else found[1]


def owner_of(name: str) -> str:
    """Return the owner that an object's name tells."""
    return name.rpartition(".")[2]


def opened(place: FolderPlace | BucketPlace) -> LocalStore | S3Store:
    """Open a place; nothing is asked of it yet."""
    if isinstance(place, FolderPlace):
        place.folder.mkdir(mode=0o700, parents=True, exist_ok=True)
        return LocalStore(place.folder)
    known: Mapping[str, Any] = {
        "endpoint": place.endpoint,
        "region": place.region,
        "access_key_id": place.access_key_id,
        "secret_access_key": place.secret_access_key,
        "session_token": place.session_token,
        # Of services that are like Amazon's, not all can delete several at once.
        "disable_bulk_delete": True,
    }
    return S3Store(
        place.bucket,
        prefix=place.prefix or None,
        config={name: value for name, value in known.items() if value is not None},  # type: ignore[arg-type]
        client_options={
            "allow_http": place.endpoint is not None and place.endpoint.startswith("http://"),
            "connect_timeout": timedelta(seconds=3),
            "timeout": timedelta(seconds=CALL_S),
        },
        retry_config={"max_retries": TRIES, "retry_timeout": timedelta(seconds=ALL_TRIES_S)},
    )


def _synchronize(folder: Path, name: str, *, first: bool) -> None:
    """Have the disk keep a file and its entry in its folder before anybody is told that it is there.

    ``first``: the folder that it is in was made for it.
    """
    for path in (folder / name, (folder / name).parent, *([folder] if first else [])):
        descriptor = os.open(path, os.O_RDONLY)
        try:
            os.fsync(descriptor)
        finally:
            os.close(descriptor)


@contextmanager
def _converted(what: str) -> Iterator[None]:
    try:
        yield
    except (BaseError, OSError, ValueError) as error:
        # Its text may hold a path or an address, so the log gets its kind alone.
        log.warning("objects cannot be used", action=what, error_type=type(error).__name__)
        raise ServerBusy(
            "The server cannot use its store of results at the moment; try again later",
            system_message="The store of results could not be used",
        ) from error
