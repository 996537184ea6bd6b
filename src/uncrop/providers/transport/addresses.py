"""Where a provider's calls may go.

A provider may name addresses in its answers: where to ask again, where the picture lies. An answer is not to be
trusted, so such an address is followed only to hosts that the provider's row names, over https, and never into this
machine's own network; or to the host that the operator configured, on any port. See OWASP's cheat sheet on server-side
request forgery.
"""

from __future__ import annotations

import ipaddress
import socket
from dataclasses import dataclass
from typing import TYPE_CHECKING
from urllib.parse import SplitResult, urlsplit

import anyio

from uncrop.errors import ProviderError, ProviderInvalidResponse

if TYPE_CHECKING:
    from collections.abc import Iterable

    from uncrop.model import ProviderFacts
    from uncrop.providers.conversation import Call


NAT64 = ipaddress.IPv6Network("64:ff9b::/96")  # RFC 6052: the last 32 bits are an IPv4 address


@dataclass(frozen=True, kw_only=True, slots=True)
class Target:
    """An address that a call may go to.

    Attributes
    ----------
    url
        The address; where ``host`` is given, with the number that the host's name stands for in place of the name, so
        that nobody can change its meaning between the check and the call.
    host
        The host's name, for the certificate and the ``Host`` header.
    """

    url: str
    host: str | None = None


@dataclass(frozen=True, kw_only=True, slots=True)
class Addresses:
    """The rules for one provider.

    Attributes
    ----------
    base
        The configured address.
    poll_hosts, download_hosts
        As in the provider's row.
    """

    base: SplitResult
    poll_hosts: tuple[str, ...] = ()
    download_hosts: tuple[str, ...] = ()

    @classmethod
    def of(cls, facts: ProviderFacts, base_url: str) -> Addresses:
        """Return the rules for a provider at a configured address."""
        return cls(base=urlsplit(base_url), poll_hosts=facts.poll_hosts, download_hosts=facts.download_hosts)

    async def target(self, call: Call) -> Target:
        """Return where a call goes.

        Raises
        ------
        ProviderInvalidResponse
            The call may not go there.
        ProviderError
            The host's name cannot be resolved.
        """
        if any(character <= " " or character == "\x7f" for character in call.url):
            raise _refused("is no address")
        try:
            url = urlsplit(call.url)
            host, port = url.hostname or "", url.port
        except ValueError as error:
            raise _refused("is no address") from error
        if url.scheme not in {"http", "https"} or not host or url.username is not None or url.password is not None:
            raise _refused("is no plain http or https address")
        if host == self.base.hostname and (url.scheme == self.base.scheme or url.scheme == "https"):
            return Target(url=call.url)
        allowed = {"submit": (), "repeat": self.poll_hosts, "download": self.download_hosts}[call.kind]
        if not is_named(host, allowed):
            raise _refused("lies on a host that this provider does not use")
        if url.scheme != "https" or port not in {None, 443}:
            raise _refused("is not an https address")
        return await _pinned(url, host)


def is_named(host: str, names: Iterable[str]) -> bool:
    """Tell whether one of ``names`` is the host, or ``*.`` and a domain above it."""
    return any(host == name or (name.startswith("*.") and host.endswith(name[1:])) for name in names)


def is_public(number: ipaddress.IPv4Address | ipaddress.IPv6Address) -> bool:
    """Tell whether a number leads to one host of the internet, also where it holds another number that it leads to."""
    inner = None
    if number.version == 6:
        inner = number.ipv4_mapped or number.sixtofour or (number.teredo or (None, None))[1]
        if number in NAT64:
            inner = ipaddress.IPv4Address(int(number) & 0xFFFFFFFF)
    return number.is_global and not number.is_multicast and (inner is None or is_public(inner))


async def _pinned(url: SplitResult, host: str) -> Target:
    try:
        found = await anyio.getaddrinfo(host, 443, type=socket.SOCK_STREAM)
    except OSError as error:
        raise ProviderError(system_message="The name of the provider's host could not be resolved") from error
    numbers = [ipaddress.ip_address(str(entry[4][0])) for entry in found]
    if not numbers or not all(is_public(number) for number in numbers):
        raise _refused("lies in a private network")
    number = numbers[0]
    literal = f"[{number}]" if number.version == 6 else str(number)
    return Target(url=url._replace(netloc=literal).geturl(), host=host)


def _refused(why: str) -> ProviderInvalidResponse:
    return ProviderInvalidResponse(system_message=f"An address in the provider's answer {why}")
