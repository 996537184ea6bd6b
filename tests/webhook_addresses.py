"""Addresses that no message may be sent to, of every kind: plain, embedded, obfuscated, malformed."""

from __future__ import annotations

from ipaddress import IPv4Address, IPv6Address, ip_network

# Every network of IANA's registries of special-purpose addresses, with those of multicast.
SPECIAL_4 = """0.0.0.0/8 10.0.0.0/8 100.64.0.0/10 127.0.0.0/8 169.254.0.0/16 172.16.0.0/12 192.0.0.0/24 192.0.0.0/29
192.0.0.8/32 192.0.0.9/32 192.0.0.10/32 192.0.0.170/32 192.0.0.171/32 192.0.2.0/24 192.31.196.0/24 192.52.193.0/24
192.88.99.0/24 192.168.0.0/16 192.175.48.0/24 198.18.0.0/15 198.51.100.0/24 203.0.113.0/24 224.0.0.0/4 240.0.0.0/4
255.255.255.255/32"""
SPECIAL_6 = """::1/128 ::/128 ::ffff:0:0/96 64:ff9b::/96 64:ff9b:1::/48 100::/64 100:0:0:1::/64 2001::/23 2001::/32
2001:1::1/128 2001:1::2/128 2001:1::3/128 2001:2::/48 2001:3::/32 2001:4:112::/48 2001:10::/28 2001:20::/28 2001:30::/28
2001:db8::/32 2002::/16 2620:4f:8000::/48 3fff::/20 5f00::/16 fc00::/7 fe80::/10 fec0::/10 ff00::/8 ff02::1/128
4000::/3 8000::/1"""
# Of our own networks, as other addresses hold them.
PRIVATE = ("127.0.0.1", "10.1.2.3", "169.254.169.254", "192.168.0.1", "100.64.0.1", "0.0.0.0")
PUBLIC = (
    "8.8.8.8",
    "1.1.1.1",
    "93.184.215.14",
    "2606:4700:4700::1111",
    "2001:4860:4860::8888",
    "2a00:1450:4001:81b::200e",
)


def forbidden_numbers() -> list[str]:
    """Return numbers that are none of a host of the internet: the ends of each network, and embedded private ones."""
    found = []
    for listed in f"{SPECIAL_4} {SPECIAL_6}".split():
        network = ip_network(listed)
        found += [str(network[0]), str(network[-1]), str(network[network.num_addresses // 2])]
    for private in PRIVATE:
        number = int(IPv4Address(private))
        for prefix, shift in (
            ("::ffff:0:0", 0),  # mapped
            ("::ffff:0:0:0", 0),  # translated (SIIT)
            ("::", 0),  # compatible
            ("64:ff9b::", 0),  # NAT64
            ("64:ff9b:1::", 0),  # NAT64 of one's own
            ("2002::", 80),  # 6to4
            ("2606:4700:0:1:0:5efe::", 0),  # ISATAP behind a prefix of the internet
            ("2606:4700:0:1:200:5efe::", 0),
        ):
            found.append(str(IPv6Address(int(IPv6Address(prefix)) | number << shift)))
        found.append(str(IPv6Address(int(IPv6Address("2001:0:808:808::")) | number ^ 0xFFFF_FFFF)))  # Teredo
    return list(dict.fromkeys(found))


OBFUSCATED = """2130706433 0x7f000001 017700000001 0x7f.0.0.1 0x7f.1 0177.0.0.1 0177.1 127.1 127.0.1 127.0.0.01
127.0.0.0x1 00000177.1 1 0 0x0 0. 127.0.0.1. localhost. 127.000.000.001 3232235521 0xc0a80001 0300.0250.0.1 192.168.1
10.1 0xA9FEA9FE 2852039166 0251.0376.0251.0376 0xa9.0xfe.0xa9.0xfe 256.256.256.256 1.2.3 1.2.3.4.5 1.2.3.256 4294967296
-1 [::1%25lo] [fe80::1%25eth0] [fe80::1%eth0] [::1 ::1 [::1]] [1.2.3.4] [::ffff:127.0.0.1] [::127.0.0.1] [v1.fe80] []
localhost..example.com -a.example a-.example a_b.example .example example..com xn--.0x7f 127。0。0。1 １２７.０.０.１
①②⑦.0.0.1 ⅼocalhost 127.0.0.1%00.example.com 127%2e0%2e0%2e1 %6c%6f%63%61%6c%68%6f%73%74"""

MALFORMED = (
    *(
        "",
        " ",
        "https",
        "https:",
        "https:/example.com",
        "https:example.com",
        "//example.com",
        "/hook",
        "example.com/hook",
    ),
    *(
        "https://",
        "https:///hook",
        "https://?x",
        "https://#x",
        "https://:443/",
        "https://@/",
        "https://[::1",
        "https://]/",
    ),
    *("ftp://example.com/", "file:///etc/passwd", "gopher://example.com:6379/_INFO", "dict://example.com:11211/stat"),
    *(
        "ldap://example.com/",
        "jar:https://example.com!/",
        "data:text/plain,x",
        "javascript:alert(1)",
        "ws://example.com/",
    ),
    *("wss://example.com/", "unix:///var/run/docker.sock", "https+unix://example.com/", "htt\u200bps://example.com/"),
    *(
        "https://user@example.com/",
        "https://user:word@example.com/",
        "https://example.com@10.0.0.1/",
        "https://:x@example.com/",
    ),
    *("https://10.0.0.1#@example.com/", "https://example.com#@10.0.0.1/", "https://example.com/#fragment"),
    *(
        "https://example.com\\@10.0.0.1/",
        "https:\\\\example.com/",
        "https://example.com/a b",
        "https://example.com/\r\nHost: x",
    ),
    *("https://example.com:0/", "https://example.com:65536/", "https://example.com:99999/", "https://example.com:-1/"),
    *("https://example.com:443x/", "https://example.com:/", "https://example.com: 443/", "https://example.com:４４３/"),
    *("https://exam\tple.com/", "https://exam\nple.com/", "https://a\\b.example/", "https://a\x00b.example/"),
    *(
        "https://exämple.com/",
        "https://example.com/ä",
        " https://example.com/",
        "https://example.com/ ",
        "https://a b/",
    ),
    *(f"https://{'a' * 64}.example/", f"https://{'a.' * 127}com/", f"https://example.com/{'a' * 2000}"),
)
# To hosts of the internet: not encrypted, or on a port that is not for it.
UNWANTED = (
    "http://example.com/",
    "http://example.com:443/",
    "HTTP://example.com/",
    *(
        f"https://example.com:{port}/"
        for port in (1, 22, 25, 53, 80, 110, 143, 444, 993, 3306, 5432, 6379, 8080, 11211, 27017, 65535)
    ),
)


def forbidden_urls() -> list[str]:
    """Return addresses each of which must be refused, whatever the names in them stand for."""
    numbers = [f"https://[{each}]/hook" if ":" in each else f"https://{each}/hook" for each in forbidden_numbers()]
    hidden = [f"https://{each}/hook" for each in OBFUSCATED.split()]
    return list(dict.fromkeys([*numbers, *hidden, *MALFORMED, *UNWANTED]))
