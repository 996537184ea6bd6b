"""The pepper: the secret under which keys are hashed. It lives in a file, never beside the hashes."""

from __future__ import annotations

import errno
import hashlib
import hmac
import os
import secrets
from typing import TYPE_CHECKING

from uncrop.errors import SettingsError

if TYPE_CHECKING:
    from pathlib import Path

PEPPER_BYTES = 32
# What file systems without hard links answer, as on memory cards and in some network folders.
NO_LINKS = {errno.EPERM, errno.EACCES, errno.ENOSYS, errno.ENOTSUP, errno.EOPNOTSUPP, errno.EMLINK}


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
    path = data_dir / "pepper"
    try:
        data_dir.mkdir(mode=0o700, parents=True, exist_ok=True)
    except OSError as error:
        raise SettingsError([f"UNCROP_DATA_DIR: the data folder cannot be made: {error.strerror}"]) from error
    try:
        if not path.exists():
            _create(path)
        pepper = path.read_bytes()
    except OSError as error:
        raise SettingsError([f"UNCROP_DATA_DIR: the file pepper cannot be used: {error.strerror}"]) from error
    if len(pepper) != PEPPER_BYTES:
        raise SettingsError([f"UNCROP_DATA_DIR: the file pepper must hold {PEPPER_BYTES} bytes, not {len(pepper)}"])
    return pepper


def fingerprint(pepper: bytes) -> bytes:
    """Return 32 bytes that tell one pepper from another and do not tell what it is."""
    return hmac.digest(pepper, b"uncrop: which pepper is this?", hashlib.sha256)


def _create(path: Path) -> None:
    # Written whole under another name and then linked: a second process that starts at the same moment sees either no
    # file or all of it, and only one of the two peppers wins.
    draft = path.with_name(f".pepper-{secrets.token_hex(8)}")
    descriptor = os.open(draft, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600)
    try:
        with os.fdopen(descriptor, "wb") as file:
            file.write(secrets.token_bytes(PEPPER_BYTES))
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
