"""The pepper: the secret under which keys are hashed. It lives in a file, never beside the hashes.

It can be replaced while keys go on working: each digest names the pepper that it was made with, the earlier ones stay
known for as long as a digest needs them, and a key that is used is hashed anew under the present one.
"""

from __future__ import annotations

import contextlib
import errno
import hashlib
import hmac
import os
import secrets
from typing import TYPE_CHECKING

from uncrop.errors import SettingsError

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator
    from pathlib import Path

PEPPER_BYTES = 32
ID_BYTES = 8
NAME = "pepper"
REPLACED = "pepper-previous-"
# What file systems without hard links answer, as on memory cards and in some network folders.
NO_LINKS = {errno.EPERM, errno.EACCES, errno.ENOSYS, errno.ENOTSUP, errno.EOPNOTSUPP, errno.EMLINK}


class Peppers:
    """The pepper that is hashed with, and earlier ones that digests may still be of.

    Parameters
    ----------
    present
        Hashes new keys.
    previous
        In any order.
    """

    def __init__(self, present: bytes, previous: Iterable[bytes] = ()) -> None:
        self._known = {pepper_id(pepper): pepper for pepper in (*previous, present)}
        self.present = present
        self.present_id = pepper_id(present)

    @property
    def ids(self) -> frozenset[str]:
        """The ids of all that are known."""
        return frozenset(self._known)

    def digest(self, text: str, under: str | None = None) -> bytes:
        """Return the digest of a key, 32 bytes.

        Parameters
        ----------
        text
            The key.
        under
            The id of the pepper; the present one if absent, or if it is not known, so that the time is the same.
        """
        return hmac.digest(self._known.get(under or "", self.present), text.encode("ascii"), hashlib.sha256)


def pepper_id(pepper: bytes) -> str:
    """Return 16 hexadecimal digits that a digest can name its pepper by; they do not tell what it is."""
    return fingerprint(pepper)[:ID_BYTES].hex()


def load_peppers(data_dir: Path, present: str | None = None, previous: str | None = None) -> Peppers:
    """Put together what the settings and the data folder hold.

    Parameters
    ----------
    data_dir
        With the file ``pepper``, which is made if need be, and those that it has replaced.
    present
        The pepper, if the settings have it; the file, if there is one, then counts as an earlier one.
    previous
        Earlier ones from the settings, with commas in between.

    Raises
    ------
    SettingsError
        A file cannot be read or made, or does not hold 32 bytes.
    """
    # One that holds a comma itself is among them whole.
    earlier = [] if previous is None else [*(part.strip() for part in previous.split(",")), previous]
    secrets_of = [part.encode() for part in earlier if part]
    if present is None:
        return Peppers(load_pepper(data_dir), [*map(_read, _replaced(data_dir)), *secrets_of])
    return Peppers(present.encode(), [*_readable([data_dir / NAME, *_replaced(data_dir)]), *secrets_of])


def replace_pepper(data_dir: Path) -> str:
    """Put a new file ``pepper`` in the place of the old one, which is kept beside it, and return the new one's id.

    Cut off at any moment, what keys were hashed with is still there.

    Raises
    ------
    SettingsError
        A file cannot be read or made.
    """
    old = load_pepper(data_dir)
    path = data_dir / NAME
    kept = data_dir / f"{REPLACED}{pepper_id(old)}"
    try:
        if not kept.exists():
            _place(kept, old)
        path.unlink()
    except OSError as error:
        raise SettingsError([f"UNCROP_DATA_DIR: the file pepper cannot be replaced: {error.strerror}"]) from error
    return pepper_id(load_pepper(data_dir))


def _replaced(data_dir: Path) -> list[Path]:
    return sorted(data_dir.glob(f"{REPLACED}*"))


def _readable(paths: Iterable[Path]) -> Iterator[bytes]:
    """Yield what can be read: with a pepper in the settings, no file is needed, and there may be no folder."""
    for path in paths:
        with contextlib.suppress(SettingsError):
            yield _read(path)


def load_pepper(data_dir: Path) -> bytes:
    """Read the file ``pepper`` of the data folder; make folder and file the first time, for the owner's eyes only.

    Returns
    -------
    bytes
        32 random bytes, the same at every start.

    Raises
    ------
    SettingsError
        The file cannot be read or made, or does not hold 32 bytes.
    """
    path = data_dir / NAME
    try:
        data_dir.mkdir(mode=0o700, parents=True, exist_ok=True)
    except OSError as error:
        raise SettingsError([f"UNCROP_DATA_DIR: the data folder cannot be made: {error.strerror}"]) from error
    try:
        if not path.exists():
            _place(path, secrets.token_bytes(PEPPER_BYTES))
    except OSError as error:
        raise SettingsError([f"UNCROP_DATA_DIR: the file pepper cannot be used: {error.strerror}"]) from error
    return _read(path)


def _read(path: Path) -> bytes:
    try:
        pepper = path.read_bytes()
    except OSError as error:
        raise SettingsError([f"UNCROP_DATA_DIR: the file {path.name} cannot be used: {error.strerror}"]) from error
    if len(pepper) != PEPPER_BYTES:
        raise SettingsError(
            [f"UNCROP_DATA_DIR: the file {path.name} must hold {PEPPER_BYTES} bytes, not {len(pepper)}"]
        )
    return pepper


def fingerprint(pepper: bytes) -> bytes:
    """Return 32 bytes that tell one pepper from another and do not tell what it is."""
    return hmac.digest(pepper, b"uncrop: which pepper is this?", hashlib.sha256)


def _place(path: Path, content: bytes) -> None:
    # Written whole under another name and then linked: a second process that starts at the same moment sees either no
    # file or all of it, and only one of the two peppers wins.
    draft = path.with_name(f".pepper-{secrets.token_hex(8)}")
    descriptor = os.open(draft, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600)
    try:
        with os.fdopen(descriptor, "wb") as file:
            file.write(content)
            file.flush()
            os.fsync(file.fileno())
        _link(draft, path)
    finally:
        draft.unlink()


def _link(draft: Path, path: Path) -> None:
    try:
        os.link(draft, path)
    except FileExistsError:
        return
    except OSError as error:
        if error.errno not in NO_LINKS:
            raise
        _copy(draft, path)


def _copy(draft: Path, path: Path) -> None:
    """Do what a link does, where the file system has none; who starts in the same moment may be told to try again."""
    try:
        descriptor = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600)
    except FileExistsError:
        return
    try:
        with os.fdopen(descriptor, "wb") as file:
            file.write(draft.read_bytes())
            file.flush()
            os.fsync(file.fileno())
    except BaseException:
        path.unlink()
        raise
