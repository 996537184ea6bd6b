"""When a call is sent again."""

from __future__ import annotations

from dataclasses import dataclass
from http import HTTPStatus
from typing import TYPE_CHECKING

from uncrop.client.errors import NoAnswer

if TYPE_CHECKING:
    from uncrop.client.errors import ApiError


@dataclass(frozen=True, kw_only=True, slots=True)
class Retries:
    """How often a call is sent again that provably began nothing.

    Attributes
    ----------
    attempts
        In all; 1: never again.
    within_s
        Most seconds to wait between them, all together. Who is told to come back later than that is told at once.
    first_s
        The wait after the first failure to connect; it doubles.
    """

    attempts: int = 4
    within_s: float = 60
    first_s: float = 0.5

    def wait_after(self, error: ApiError, *, tried: int, waited: float) -> float | None:
        """Return the seconds to wait before the call is sent again; ``None``: it is not.

        Parameters
        ----------
        error
            What the last attempt ended with.
        tried
            Attempts so far.
        waited
            Seconds waited so far.
        """
        wait = self._wait(error, tried)
        return None if wait is None or tried >= self.attempts or waited + wait > self.within_s else wait

    def _wait(self, error: ApiError, tried: int) -> float | None:
        if isinstance(error, NoAnswer):
            return None if error.started else self.first_s * 2.0 ** (tried - 1)
        # What was billed before the refusal would be billed once more.
        is_refusal = error.status in {HTTPStatus.TOO_MANY_REQUESTS, HTTPStatus.SERVICE_UNAVAILABLE}
        return error.retry_after if is_refusal and not error.details.get("calls_billed") else None
