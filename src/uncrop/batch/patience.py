"""Waiting for what is away or full to be back: the database, a bucket, a disk."""

from __future__ import annotations

import errno
from dataclasses import dataclass
from typing import TYPE_CHECKING, TypeVar

import anyio
import structlog

from uncrop.errors import ServerBusy

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable

T = TypeVar("T")
# What of a disk or of a folder on the network may pass by itself, or once somebody has seen to it.
PASSING = {
    *(errno.ENOSPC, errno.EDQUOT, errno.EFBIG, errno.EIO, errno.EROFS, errno.ESTALE, errno.ETIMEDOUT),
    *(errno.EHOSTDOWN, errno.ENOTCONN, errno.EACCES, errno.EPERM, errno.ENOENT, errno.ENOTDIR, errno.EMFILE),
}
WAIT_S = 2.0

_log = structlog.stdlib.get_logger("uncrop.batch")


class GivenUpError(Exception):
    """What was waited for is not back, and this process shall end."""


@dataclass(frozen=True, kw_only=True, slots=True)
class Patience:
    """Does something again and again until it can be done.

    Attributes
    ----------
    stopping
        Whether this process shall end.
    sleep
        Waits for some seconds.
    """

    stopping: Callable[[], bool]
    sleep: Callable[[float], Awaitable[None]] = anyio.sleep

    async def until_done(self, work: Callable[[], Awaitable[T]]) -> T:
        """Return what the work returns, once it can be done.

        Raises
        ------
        GivenUpError
        """
        told = False
        while True:
            try:
                return await work()
            except ServerBusy as error:
                cause: Exception = error
                reason, wait = error.system_message or error.message, error.retry_after or WAIT_S
            except OSError as error:
                if error.errno not in PASSING:
                    raise
                cause, reason, wait = error, f"cannot be written: {(error.strerror or '').lower()}", WAIT_S
            if self.stopping():
                raise GivenUpError from cause
            if not told:
                _log.warning("the batch waits", reason=reason)
            told = True
            await self.sleep(wait)
