"""What the parser lets pass in a request's head, and HTTP does not."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING

from uncrop.server.http_errors import ExpectationFailed, HttpVersionNotSupported, MalformedRequest

if TYPE_CHECKING:
    from collections.abc import Sequence

    from uncrop.errors import UncropError

OLD = "1.0"
CONTINUE = b"100-continue"
_VERSIONS = {OLD, "1.1"}
_HOST = re.compile(rb"[A-Za-z0-9._~!$&'()*+,;=%:\[\]-]*")


def fault_of(version: str, headers: Sequence[tuple[bytes, bytes]]) -> UncropError | None:
    """Return why a head is refused, or ``None``.

    Parameters
    ----------
    version
        As in the request line, ``"1.1"`` for example.
    headers
        In the order sent, names in lower case.
    """
    if version not in _VERSIONS:
        return HttpVersionNotSupported()
    for check in (_fault_of_host, _fault_of_framing, _fault_of_expectation):
        if (fault := check(version, headers)) is not None:
            return fault
    return None


def _fault_of_host(version: str, headers: Sequence[tuple[bytes, bytes]]) -> UncropError | None:
    hosts = _values(headers, b"host")
    needed = 0 if version == OLD else 1
    if needed <= len(hosts) <= 1 and all(_HOST.fullmatch(host) for host in hosts):
        return None
    return MalformedRequest(system_message="A request needs one valid Host header")


def _fault_of_framing(version: str, headers: Sequence[tuple[bytes, bytes]]) -> UncropError | None:
    """Refuse codings before the last one, which nobody here undoes; the parser sees to the last (RFC 9112, 6.1)."""
    codings = [coding.strip().lower() for coding in b",".join(_values(headers, b"transfer-encoding")).split(b",")]
    if codings[-1] != b"chunked" or (version != OLD and len(codings) == 1):
        return None
    return MalformedRequest(system_message="Of transfer codings, chunked alone is understood, in HTTP/1.1")


def _fault_of_expectation(version: str, headers: Sequence[tuple[bytes, bytes]]) -> UncropError | None:
    return None if _expectations(version, headers) <= {CONTINUE} else ExpectationFailed()


def waits_for_continue(version: str, headers: Sequence[tuple[bytes, bytes]]) -> bool:
    """Tell whether the client wants to be told to go on before it sends the body."""
    return CONTINUE in _expectations(version, headers)


def _expectations(version: str, headers: Sequence[tuple[bytes, bytes]]) -> set[bytes]:
    """Return what is expected; HTTP/1.0 has no expectations (RFC 9110, 10.1.1)."""
    if version == OLD:
        return set()
    words = b",".join(_values(headers, b"expect")).lower().split(b",")
    return {stripped for word in words if (stripped := word.strip())}


def _values(headers: Sequence[tuple[bytes, bytes]], name: bytes) -> list[bytes]:
    return [value for each, value in headers if each == name]
