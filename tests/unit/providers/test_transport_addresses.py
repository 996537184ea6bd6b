"""Where calls may go: the configured host, the hosts of the row, and nowhere else."""

from __future__ import annotations

import ipaddress
import socket
from dataclasses import replace
from typing import Any

import anyio
import pytest

from uncrop.errors import ProviderError, ProviderInvalidResponse
from uncrop.providers.clipdrop.facts import FACTS
from uncrop.providers.conversation import Call, CallKind
from uncrop.providers.transport.addresses import Addresses, Target, is_named, is_public

ROW = replace(FACTS, poll_hosts=("*.api.example.org",), download_hosts=("files.example.org", "*.cdn.example.org"))
PUBLIC = "93.184.216.34"


def to(url: str, kind: CallKind = "submit") -> Call:
    return Call(method="GET", url=url, kind=kind)


@pytest.fixture
def names(monkeypatch: pytest.MonkeyPatch) -> dict[str, list[str]]:
    """What names resolve to; each name that is looked up must be there."""
    known: dict[str, list[str]] = {}

    async def look_up(host: str, port: int, **_: object) -> list[Any]:
        assert port == 443
        if host not in known:
            raise socket.gaierror(socket.EAI_NONAME, "not known")
        return [(socket.AF_INET, socket.SOCK_STREAM, 6, "", (number, port)) for number in known[host]]

    monkeypatch.setattr(anyio, "getaddrinfo", look_up)
    return known


async def target(call: Call, base: str = "https://api.example.org/v1") -> Target:
    return await Addresses.of(ROW, base).target(call)


# --- the configured host ---------------------------------------------------------------------------------------------


@pytest.mark.parametrize("kind", ["submit", "repeat", "download"])
@pytest.mark.parametrize(
    ("base", "url"),
    [
        ("https://api.example.org/v1", "https://api.example.org/v1/jobs"),
        ("https://api.example.org/v1", "https://API.example.org:8443/other?x=1#y"),
        # What the operator set is trusted, wherever it lies, on any port.
        ("http://127.0.0.1:8188", "http://127.0.0.1:9999/view"),
        ("http://[::1]:8188", "http://[::1]:1/view"),
        ("http://gpu-box:8188", "https://gpu-box/view"),
    ],
)
async def test_the_configured_host_is_open_to_every_call(kind: CallKind, base: str, url: str) -> None:
    assert await target(to(url, kind), base) == Target(url=url, host=None)


async def test_but_not_without_the_encryption_that_was_set() -> None:
    with pytest.raises(ProviderInvalidResponse):
        await target(to("http://api.example.org/v1/jobs", "repeat"))


@pytest.mark.parametrize("kind", ["submit", "repeat", "download"])
@pytest.mark.parametrize(
    ("url", "why"),
    [
        ("https://[::1", "is no address"),
        ("https://api.example.org:port/", "is no address"),
        ("https://api.example.org:99999/", "is no address"),
        ("https://api.example.org/a b", "is no address"),
        ("https://api.example.org/\t", "is no address"),
        ("https://api.exam\nple.org/", "is no address"),
        ("https://api.example.org/\x7f", "is no address"),
        ("", "is no plain http or https address"),
        ("/v1/jobs", "is no plain http or https address"),
        ("//api.example.org/v1", "is no plain http or https address"),
        ("https:///v1", "is no plain http or https address"),
        ("file:///etc/passwd", "is no plain http or https address"),
        ("file://api.example.org/etc/passwd", "is no plain http or https address"),
        ("ftp://api.example.org/x", "is no plain http or https address"),
        ("gopher://api.example.org/x", "is no plain http or https address"),
        ("data:image/png;base64,AAAA", "is no plain http or https address"),
        ("https://user@api.example.org/", "is no plain http or https address"),
        ("https://:word@api.example.org/", "is no plain http or https address"),
        ("https://@api.example.org/", "is no plain http or https address"),
        ("https://api.example.org\\@169.254.169.254/", "is no plain http or https address"),
        ("http://169.254.169.254/latest/meta-data/", "lies on a host that this provider does not use"),
        ("https://example.org/", "lies on a host that this provider does not use"),
        ("https://api.example.org.evil.test/", "lies on a host that this provider does not use"),
        ("https://api.example.org./", "lies on a host that this provider does not use"),
        ("https://xapi.example.org/", "lies on a host that this provider does not use"),
        ("https://cdn.example.org/", "lies on a host that this provider does not use"),
        ("https://127.0.0.1/", "lies on a host that this provider does not use"),
        ("https://0x7f000001/", "lies on a host that this provider does not use"),
        ("https://localhost/", "lies on a host that this provider does not use"),
    ],
)
async def test_what_is_refused_before_any_name_is_looked_up(
    kind: CallKind, url: str, why: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(anyio, "getaddrinfo", lambda *_, **__: pytest.fail("nothing was to be looked up"))
    with pytest.raises(ProviderInvalidResponse) as refused:
        await target(to(url, kind))
    assert refused.value.system_message == f"An address in the provider's answer {why}"
    assert refused.value.details is None


# --- the hosts of the row --------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("kind", "url", "pinned"),
    [
        ("repeat", "https://eu.api.example.org/jobs/1?a=b", f"https://{PUBLIC}/jobs/1?a=b"),
        ("repeat", "https://eu.api.example.org:443/jobs", f"https://{PUBLIC}/jobs"),
        ("download", "https://files.example.org/1.png", f"https://{PUBLIC}/1.png"),
        ("download", "https://a.b.cdn.example.org", f"https://{PUBLIC}"),
    ],
)
async def test_an_address_is_followed_by_its_number(
    kind: CallKind, url: str, pinned: str, names: dict[str, list[str]]
) -> None:
    host = url.split("/")[2].removesuffix(":443")
    names[host] = [PUBLIC, "8.8.8.8"]
    assert await target(to(url, kind)) == Target(url=pinned, host=host)


async def test_a_number_of_version_6_is_put_in_brackets(names: dict[str, list[str]]) -> None:
    names["files.example.org"] = ["2606:2800:220:1::1"]
    found = await target(to("https://files.example.org/1.png", "download"))
    assert found == Target(url="https://[2606:2800:220:1::1]/1.png", host="files.example.org")


@pytest.mark.parametrize(
    ("kind", "url"),
    [
        ("submit", "https://eu.api.example.org/"),
        ("submit", "https://files.example.org/"),
        ("repeat", "https://files.example.org/"),
        ("download", "https://eu.api.example.org/"),
    ],
)
async def test_each_kind_of_call_has_its_own_hosts(kind: CallKind, url: str, names: dict[str, list[str]]) -> None:
    names |= {"eu.api.example.org": [PUBLIC], "files.example.org": [PUBLIC]}
    with pytest.raises(ProviderInvalidResponse, match="could not be used") as refused:
        await target(to(url, kind))
    assert refused.value.system_message.endswith("lies on a host that this provider does not use")


@pytest.mark.parametrize("url", ["http://files.example.org/", "https://files.example.org:8443/"])
async def test_only_https_on_its_own_port_is_followed(url: str, names: dict[str, list[str]]) -> None:
    names["files.example.org"] = [PUBLIC]
    with pytest.raises(ProviderInvalidResponse) as refused:
        await target(to(url, "download"))
    assert refused.value.system_message == "An address in the provider's answer is not an https address"


NOT_PUBLIC = [
    "127.0.0.1",
    "10.1.2.3",
    "172.16.0.1",
    "192.168.1.1",
    "169.254.169.254",
    "100.100.100.200",
    "0.0.0.0",
    "224.0.0.1",
    "255.255.255.255",
    "::1",
    "::",
    "fe80::1",
    "fe80::1%eth0",
    "fc00::1",
    "fd00:ec2::254",
    "ff02::1",
    "::ffff:127.0.0.1",
    "::ffff:169.254.169.254",
    "64:ff9b::a9fe:a9fe",
    "2002:7f00:1::",
    "2001:0:4136:e378:8000:63bf:f5ff:fffe",
]


@pytest.mark.parametrize("number", NOT_PUBLIC)
async def test_a_name_that_leads_into_a_private_network_is_refused(number: str, names: dict[str, list[str]]) -> None:
    # Also when only one of the numbers does: which of them is taken is nobody's promise.
    names["files.example.org"] = [PUBLIC, number]
    with pytest.raises(ProviderInvalidResponse) as refused:
        await target(to("https://files.example.org/1.png", "download"))
    assert refused.value.system_message == "An address in the provider's answer lies in a private network"
    assert number not in refused.value.system_message


@pytest.mark.parametrize("number", [PUBLIC, "2606:2800:220:1::1", "64:ff9b::5db8:d822"])
def test_public_numbers(number: str) -> None:
    assert is_public(ipaddress.ip_address(number))


async def test_a_name_without_a_number_is_refused(names: dict[str, list[str]]) -> None:
    names["files.example.org"] = []
    with pytest.raises(ProviderInvalidResponse):
        await target(to("https://files.example.org/1.png", "download"))


async def test_a_name_that_nobody_knows_is_the_providers_failure(names: dict[str, list[str]]) -> None:
    with pytest.raises(ProviderError) as failed:
        await target(to("https://files.example.org/1.png", "download"))
    assert failed.value.system_message == "The name of the provider's host could not be resolved"
    assert "files" not in failed.value.message


async def test_without_a_configured_address_there_is_nowhere_to_go() -> None:
    with pytest.raises(ProviderInvalidResponse):
        await target(to("https://api.example.org/"), base="")


def test_names_of_hosts() -> None:
    assert is_named("a.example.org", ["b.org", "a.example.org"])
    assert is_named("a.b.example.org", ["*.example.org"])
    assert not is_named("example.org", ["*.example.org"])
    assert not is_named("badexample.org", ["*.example.org", "example.com"])
    assert not is_named("example.org", [])
