"""Which numbers are hosts of the internet, and of no other network.

The networks that are not are those of IANA's registries of special-purpose addresses (RFC 6890 and its successors), all
of them, whatever a registry says of reaching them: what serves a translation or a tunnel (NAT64, 6to4, Teredo, ISATAP)
leads to the IPv4 address that it holds, on another way than by that number.
"""

from __future__ import annotations

from ipaddress import IPv4Address, IPv4Network, IPv6Address, IPv6Network, ip_network
from typing import TypeAlias

Number: TypeAlias = IPv4Address | IPv6Address
Network: TypeAlias = IPv4Network | IPv6Network

_NOT_PUBLIC_4 = tuple(
    IPv4Network(network)
    for network in (
        "0.0.0.0/8",  # this network
        "10.0.0.0/8",  # private
        "100.64.0.0/10",  # shared by customers of a provider (CGNAT)
        "127.0.0.0/8",  # loopback
        "169.254.0.0/16",  # link-local, clouds' metadata services
        "172.16.0.0/12",  # private
        "192.0.0.0/24",  # protocol assignments
        "192.0.2.0/24",  # documentation
        "192.31.196.0/24",  # AS112
        "192.52.193.0/24",  # AMT
        "192.88.99.0/24",  # relays of 6to4
        "192.168.0.0/16",  # private
        "192.175.48.0/24",  # AS112
        "198.18.0.0/15",  # benchmarks
        "198.51.100.0/24",  # documentation
        "203.0.113.0/24",  # documentation
        "224.0.0.0/4",  # multicast
        "240.0.0.0/4",  # reserved, broadcast
    )
)
# Outside of it nothing is assigned to hosts of the internet (RFC 4291): mapped and compatible addresses, NAT64,
# link-local, unique local, site-local and multicast ones all lie there.
_UNICAST_6 = IPv6Network("2000::/3")
_NOT_PUBLIC_6 = tuple(
    IPv6Network(network)
    for network in (
        "2001::/23",  # protocol assignments: Teredo, benchmarks, ORCHID
        "2001:db8::/32",  # documentation
        "2002::/16",  # 6to4
        "2620:4f:8000::/48",  # AS112
        "3fff::/20",  # documentation
    )
)
_ISATAP = frozenset({0x0000_5EFE, 0x0200_5EFE})  # RFC 5214: the third quarter of an address


def is_public(number: Number) -> bool:
    """Tell whether a number is that of one host of the internet."""
    if isinstance(number, IPv4Address):
        return not any(number in network for network in _NOT_PUBLIC_4)
    return (
        number.scope_id is None
        and number in _UNICAST_6
        and not any(number in network for network in _NOT_PUBLIC_6)
        and (int(number) >> 32) & 0xFFFF_FFFF not in _ISATAP
    )


def networks_of(listed: str) -> tuple[Network, ...]:
    """Read networks in CIDR notation, with commas in between; a single number is a network of one.

    Raises
    ------
    ValueError
        An entry is none, or has bits behind its prefix.
    """
    return tuple(ip_network(entry) for part in listed.split(",") if (entry := part.strip()))
