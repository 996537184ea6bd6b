"""The address of a Ray cluster's head, checked before anything connects to it."""

from __future__ import annotations

from urllib.parse import urlsplit


def split_ray_address(text: str) -> tuple[str, int]:
    """Return host and port of the head.

    Raises
    ------
    ValueError
        It is no such address, in a few words.
    """
    try:
        parts = urlsplit(f"//{text}")
        host, port = parts.hostname, parts.port
    except ValueError:
        host = port = None
    if not host or not port or "@" in text or "/" in text or parts.query or parts.fragment:
        raise ValueError("must be host:port, as of the head's `ray start --head --port=6379`")
    return host, port
