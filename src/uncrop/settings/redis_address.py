"""The address of a Redis, checked before anything connects to it."""

from __future__ import annotations

from urllib.parse import urlsplit

FORMS = "must be redis://host:port/number, rediss://… for TLS, or unix:///path"


def check_redis_address(text: str) -> None:
    """Refuse what is no address of a Redis.

    Raises
    ------
    ValueError
        In a few words; the address is not repeated, since it may hold a password.
    """
    try:
        parts = urlsplit(text)
        host, port = parts.hostname, parts.port
    except ValueError as error:
        raise ValueError(FORMS) from error
    if parts.scheme == "unix":
        if len(parts.path) > 1:
            return
    elif parts.scheme in {"redis", "rediss"}:
        number = parts.path.removeprefix("/")
        if host and port != 0 and (not number or number.isdecimal()):
            return
    raise ValueError(FORMS)
