"""How calls leave this machine: through which proxies, and whose certificates are believed."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from functools import cache
from typing import TYPE_CHECKING

import httpx2

if TYPE_CHECKING:
    import ssl


@dataclass(frozen=True, kw_only=True, slots=True)
class Network:
    """What was found in the environment; by default, calls go out directly and the system's certificates count.

    Attributes
    ----------
    proxies
        By pattern of addresses, as the HTTP client takes them in ``mounts``: the proxy's address, or None where calls
        go out directly. An address may hold a password.
    certificates
        What is believed instead of the system's certificates.
    problems
        A line for each mistake, with the name of its variable; where there is one, no call may go out.
    """

    proxies: Mapping[str, str | None] = field(default_factory=dict, repr=False)
    certificates: ssl.SSLContext | None = None
    problems: tuple[str, ...] = ()

    def trusted(self) -> ssl.SSLContext:
        """Return the certificates that are believed: those of ``certificates``, or the system's."""
        return self.certificates or _of_the_system()


@cache
def _of_the_system() -> ssl.SSLContext:
    """Read the certificates that the HTTP library finds, which takes 20 ms: once in a process."""
    return httpx2.create_ssl_context(trust_env=False)
