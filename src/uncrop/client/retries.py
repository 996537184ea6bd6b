"""When a call is sent again."""

from __future__ import annotations

import uuid
from dataclasses import dataclass
from http import HTTPStatus
from typing import TYPE_CHECKING

from uncrop.client.errors import IN_PROGRESS, UNEXPECTED, NoAnswer

if TYPE_CHECKING:
    import httpx2

    from uncrop.client.errors import ApiError

KEY_HEADER = "Idempotency-Key"
DOCUMENT_ROUTE = "/openapi.json"
_BETWEEN = {HTTPStatus.BAD_GATEWAY, HTTPStatus.SERVICE_UNAVAILABLE, HTTPStatus.GATEWAY_TIMEOUT}


@dataclass(frozen=True, kw_only=True, slots=True)
class Retries:
    """How often a call is sent again: one that provably began nothing, and one with a key, which is carried out once.

    Attributes
    ----------
    attempts
        In all; 1: never again.
    within_s
        Most seconds to wait between them, all together. Who is told to come back later than that is told at once.
    first_s
        The wait after the first failure to connect; it doubles.
    finishing_s
        Most seconds to wait for a picture that is still being made when the connection to it had broken.
    """

    attempts: int = 4
    within_s: float = 60
    first_s: float = 0.5
    finishing_s: float = 200


class Attempts:
    """The attempts of one call.

    Parameters
    ----------
    retries
        How many there may be.
    key
        By which the server knows the call; ``None`` where it is safe only while nothing was begun.

    Attributes
    ----------
    in_doubt
        What a call with a key ended with that may have begun: only a server that knows such keys may get it again.
    """

    def __init__(self, retries: Retries, key: str | None = None) -> None:
        self._retries = retries
        self._key = key
        self._tried = 0
        self._waited = self._finishing = 0.0
        self._ended = self._known = False
        self.in_doubt: ApiError | None = None

    @property
    def headers(self) -> dict[str, str]:
        """What is sent with every attempt."""
        return {} if self._key is None else {KEY_HEADER: self._key}

    def wait_after(self, error: ApiError) -> float | None:
        """Return the seconds to wait before the call is sent again; ``None``: it is not."""
        retries = self._retries
        if self._ended:
            return None
        if self._key is not None and error.code == IN_PROGRESS:
            # It goes on, and is neither an attempt nor in doubt.
            wait = max(1.0, error.retry_after or 0)
            self._finishing += wait
            return wait if retries.attempts > 1 and self._finishing <= retries.finishing_s else None
        self._tried += 1
        wait_or_not = self._wait(error)
        if wait_or_not is None or self._tried >= retries.attempts or self._waited + wait_or_not > retries.within_s:
            return None
        self._waited += wait_or_not
        return wait_or_not

    def _wait(self, error: ApiError) -> float | None:
        backoff = self._retries.first_s * 2.0 ** (self._tried - 1)
        if isinstance(error, NoAnswer) and not error.started:
            return backoff
        between = error.code == UNEXPECTED and error.status in _BETWEEN
        if isinstance(error, NoAnswer) or (between and error.retry_after is None):
            # Something may have been begun; with a key that is looked up, and begun once.
            if self._key is None:
                return None
            self.in_doubt = None if self._known else error
            return backoff
        # What was billed before the refusal would be billed once more.
        is_refusal = error.status in {HTTPStatus.TOO_MANY_REQUESTS, HTTPStatus.SERVICE_UNAVAILABLE}
        return error.retry_after if is_refusal and not error.details.get("calls_billed") else None

    def check_known(self, document: httpx2.Response) -> None:
        """Look into a server's description of its API whether it knows keys.

        Raises
        ------
        ApiError
            It does not, or does not tell: what the call in doubt ended with.
        """
        assert self.in_doubt is not None  # noqa: S101 (asked for nothing else)
        self._known = document.status_code == HTTPStatus.OK and KEY_HEADER in document.text
        if not self._known:
            # Who answers in the server's place may be gone the next time.
            self._ended = document.status_code not in _BETWEEN
            raise self.in_doubt
        self.in_doubt = None


def new_key() -> str:
    """Return a key that no other call has."""
    return str(uuid.uuid4())
