"""Where messages may be sent: what a caller named, found out before it is kept and again before each connection.

An address is read in one way alone. What another reader could take for something else, a number in another notation, a
character beyond ASCII, a backslash, is refused, as is what is not needed: user names, fragments, odd ports. The name is
looked up here, and the connection goes to a number that was found to be permitted, so that no second lookup can lead
elsewhere.
"""

from __future__ import annotations

import re
import socket
from collections.abc import Awaitable, Callable
from dataclasses import dataclass
from ipaddress import AddressValueError, IPv4Address, IPv6Address, ip_address
from typing import TypeAlias

from anyio import CapacityLimiter, to_thread

from uncrop.errors import WebhookUrlForbidden
from uncrop.webhooks.numbers import Network, Number, is_public

LONGEST_URL = 2000
LONGEST_NAME, LONGEST_LABEL = 253, 63
LAST_PORT = 65535
# Of hosts of the internet. Elsewhere the operator knows what listens at a port.
PORTS = frozenset({443, 8443})
DEFAULT_PORTS = {"https": 443, "http": 80}
# A name whose servers do not answer holds a thread for as long as the system asks them.
LOOKUPS_AT_ONCE = 32

Resolve: TypeAlias = Callable[[str], Awaitable[tuple[Number, ...]]]
"""Returns the numbers of a host's name; raises ``OSError`` where it has none."""

_URL = re.compile(r"([A-Za-z][A-Za-z0-9+.-]*)://([^/?]*)([/?].*)?", re.DOTALL)
_PLACE = re.compile(r"(\[[0-9a-f:.]+\]|[a-z0-9.-]+)(?::([0-9]{1,5}))?")
_LABEL = re.compile(r"[a-z0-9]([a-z0-9-]*[a-z0-9])?")
# Last labels that readers of numbers take for the end of one (WHATWG URL, section 3.5): 127.1, 0x7f000001, 0177.1.
_NUMERIC = re.compile(r"[0-9]+|0x[0-9a-f]*")


@dataclass(frozen=True, kw_only=True, slots=True)
class Place:
    """Where an address leads, as far as it says so itself.

    Attributes
    ----------
    scheme
        ``https`` or ``http``.
    host
        A name in small letters, or a number without brackets.
    port
        Also where the address names none.
    target
        Path and query, as they are sent.
    number
        The host, where it is a number.
    """

    scheme: str
    host: str
    port: int
    target: str
    number: Number | None = None

    @property
    def authority(self) -> str:
        """Host and port as the header ``Host`` has them."""
        host = f"[{self.host}]" if isinstance(self.number, IPv6Address) else self.host
        return host if self.port == DEFAULT_PORTS[self.scheme] else f"{host}:{self.port}"


def read_url(url: str) -> Place:
    """Read an address.

    Raises
    ------
    WebhookUrlForbidden
        It is none that messages may be sent to; ``details.reason`` says why.
    """
    if len(url) > LONGEST_URL:
        raise _refused("length", f"must have at most {LONGEST_URL} characters")
    if not all("!" <= character <= "~" for character in url) or "\\" in url:
        raise _refused("characters", "must be ASCII without spaces; write other characters as xn--… and %XX")
    found = _URL.fullmatch(url)
    if found is None or found[1].lower() not in DEFAULT_PORTS:
        raise _refused("scheme", "must begin with https://")
    scheme, place, target = found[1].lower(), found[2].lower(), found[3] or "/"
    if "@" in place:
        raise _refused("userinfo", "must not hold a user name or a password")
    if "#" in url:
        raise _refused("fragment", "must not have a fragment")
    read = _PLACE.fullmatch(place)
    if read is None:
        raise _refused("host", "must name a host")
    port = DEFAULT_PORTS[scheme] if read[2] is None else int(read[2])
    if not 1 <= port <= LAST_PORT:
        raise _refused("port", "must name a port from 1 to 65535")
    host, number = _host(read[1])
    target = f"/{target}" if target.startswith("?") else target
    return Place(scheme=scheme, host=host, port=port, target=target, number=number)


def _host(text: str) -> tuple[str, Number | None]:
    """Return a host as it is looked up, and its number where it is one."""
    try:
        if text.startswith("["):
            number: Number = IPv6Address(text[1:-1])
            return str(number), number
        if _NUMERIC.fullmatch(text.rpartition(".")[2]):
            number = IPv4Address(text)  # four decimal numbers, none with a zero before it
            return str(number), number
    except AddressValueError as error:
        raise _refused("host", "must name a host, or a number in its usual form") from error
    labels = text.split(".")
    if len(text) > LONGEST_NAME or not all(len(each) <= LONGEST_LABEL and _LABEL.fullmatch(each) for each in labels):
        raise _refused("host", "must name a host")
    return text, None


def system_resolver() -> Resolve:
    """Return what asks the system for the numbers of names, in threads of its own.

    Lookups of strangers' names must not keep others from the threads that all share.
    """
    limiter = CapacityLimiter(LOOKUPS_AT_ONCE)

    async def resolve(host: str) -> tuple[Number, ...]:
        found = await to_thread.run_sync(_look_up, host, limiter=limiter, abandon_on_cancel=True)
        return tuple(dict.fromkeys(ip_address(entry) for entry in found))

    return resolve


def _look_up(host: str) -> list[str]:
    return [str(entry[4][0]) for entry in socket.getaddrinfo(host, None, type=socket.SOCK_STREAM)]


@dataclass(frozen=True, kw_only=True, slots=True)
class AddressRules:
    """Which addresses are permitted.

    Attributes
    ----------
    allowed
        Networks of the operator's own that messages may be sent into too, on any port, without encryption too.
    resolve
        Looks names up.
    """

    allowed: tuple[Network, ...] = ()
    resolve: Resolve

    async def check(self, url: str) -> Place:
        """Return where an address leads, if messages may be sent there now.

        Raises
        ------
        WebhookUrlForbidden
        """
        place = read_url(url)
        await self.numbers(place)
        return place

    async def numbers(self, place: Place) -> tuple[Number, ...]:
        """Return the numbers of a host, all of which are permitted.

        Raises
        ------
        WebhookUrlForbidden
            One of them is not; or it has none, which is told in the same words, since names of the operator's own
            network are nobody's business.
        """
        try:
            found = (place.number,) if place.number is not None else await self.resolve(place.host)
        except (OSError, ValueError) as error:  # an answer that is no number of one host
            raise _nowhere() from error
        if not found or not all(is_public(number) or self._is_allowed(number) for number in found):
            raise _nowhere()
        if not all(self._is_allowed(number) for number in found):
            if place.scheme != "https":
                raise _refused("scheme", "must begin with https://")
            if place.port not in PORTS:
                raise _refused("port", f"must name one of the ports {' and '.join(map(str, sorted(PORTS)))}, or none")
        return found

    def _is_allowed(self, number: Number) -> bool:
        return any(number in network for network in self.allowed)


def _nowhere() -> WebhookUrlForbidden:
    return _refused("host", "names a host that cannot be found, or that messages may not be sent to")


def _refused(reason: str, why: str) -> WebhookUrlForbidden:
    return WebhookUrlForbidden(f"url {why}", details={"field": "url", "reason": reason})
