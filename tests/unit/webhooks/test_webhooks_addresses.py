"""Which addresses messages may be sent to."""

from __future__ import annotations

import socket
from collections.abc import Callable
from ipaddress import ip_address
from typing import Any

import pytest

from uncrop.errors import WebhookUrlForbidden
from uncrop.webhooks.addresses import AddressRules, Place, read_url, system_resolver
from uncrop.webhooks.numbers import Number, is_public, networks_of
from webhook_addresses import PUBLIC, UNWANTED, forbidden_numbers, forbidden_urls

EXAMPLE = "93.184.215.14"
LOOPBACK = networks_of("127.0.0.0/8, ::1,")


def names(**known: str) -> Callable[[str], Any]:
    """Return what knows some names; all others stand for a host of the internet."""

    async def resolve(host: str) -> tuple[Number, ...]:
        return tuple(ip_address(each) for each in known.get(host.replace(".", "_"), EXAMPLE).split())

    return resolve


def rules(*, allowed: Any = (), **known: str) -> AddressRules:
    return AddressRules(allowed=allowed, resolve=names(**known))


@pytest.mark.parametrize("number", PUBLIC)
def test_numbers_of_the_internet(number: str) -> None:
    assert is_public(ip_address(number))


def test_numbers_of_other_networks() -> None:
    assert [number for number in forbidden_numbers() if is_public(ip_address(number))] == []


async def refusal(known: AddressRules, url: str) -> WebhookUrlForbidden | None:
    try:
        await known.check(url)
    except WebhookUrlForbidden as error:
        return error
    return None


async def test_no_forbidden_address_is_taken() -> None:
    refusals = {url: await refusal(rules(), url) for url in forbidden_urls()}
    assert [url for url, error in refusals.items() if error is None] == []
    assert {(error.details or {}).get("field") for error in refusals.values() if error is not None} == {"url"}
    # What was sent is not repeated: it may hold a secret, or lines for the log.
    assert [url for url, error in refusals.items() if len(url) > len("https:") and url in str(error)] == []


@pytest.mark.parametrize(
    ("url", "place"),
    [
        ("https://example.com", Place(scheme="https", host="example.com", port=443, target="/")),
        ("HTTPS://Example.COM/Hook?a=B", Place(scheme="https", host="example.com", port=443, target="/Hook?a=B")),
        ("https://example.com:8443?x=1", Place(scheme="https", host="example.com", port=8443, target="/?x=1")),
        ("https://xn--exmple-cua.com/", Place(scheme="https", host="xn--exmple-cua.com", port=443, target="/")),
        (
            "https://8.8.8.8/",
            Place(scheme="https", host="8.8.8.8", port=443, target="/", number=ip_address("8.8.8.8")),
        ),
        (
            "https://[2606:4700:4700:0::1111]:443/",
            Place(
                scheme="https",
                host="2606:4700:4700::1111",
                port=443,
                target="/",
                number=ip_address("2606:4700:4700::1111"),
            ),
        ),
    ],
)
async def test_addresses_of_the_internet(url: str, place: Place) -> None:
    assert await rules().check(url) == place


@pytest.mark.parametrize(
    ("url", "authority"),
    [
        ("https://example.com/", "example.com"),
        ("https://example.com:8443/", "example.com:8443"),
        ("http://example.com:443/", "example.com:443"),
        ("https://[2606:4700::1]/", "[2606:4700::1]"),
        ("https://[2606:4700::1]:8443/", "[2606:4700::1]:8443"),
    ],
)
def test_hosts_as_their_header_has_them(url: str, authority: str) -> None:
    assert read_url(url).authority == authority


@pytest.mark.parametrize(
    "found", ["10.0.0.1", f"{EXAMPLE} 10.0.0.1", f"{EXAMPLE} ::1", "fe80::1%eth0", "::ffff:8.8.8.8", ""]
)
async def test_all_that_a_name_stands_for_must_be_permitted(found: str) -> None:
    with pytest.raises(WebhookUrlForbidden) as raised:
        await rules(hooks_example=found).check("https://hooks.example/")
    assert raised.value.details == {"field": "url", "reason": "host"}


@pytest.mark.parametrize("error", [socket.gaierror(socket.EAI_NONAME, "no"), OSError("no"), ValueError("no number")])
async def test_a_name_that_is_not_found_is_refused_in_the_same_words(error: Exception) -> None:
    async def resolve(_host: str) -> tuple[Number, ...]:
        raise error

    with pytest.raises(WebhookUrlForbidden) as missing:
        await AddressRules(resolve=resolve).check("https://nowhere.example/")
    with pytest.raises(WebhookUrlForbidden) as private:
        await rules(nowhere_example="10.0.0.1").check("https://nowhere.example/")
    assert missing.value.message == private.value.message


@pytest.mark.parametrize(
    "url",
    [
        "http://127.0.0.1:8080/",
        "http://localhost:22/",
        "https://[::1]/",
        "https://localhost:65535/",
        "http://127.9.9.9/",
    ],
)
async def test_networks_that_the_operator_allows(url: str) -> None:
    place = await rules(allowed=LOOPBACK, localhost="127.0.0.1 ::1").check(url)
    assert place.target == "/"


@pytest.mark.parametrize(
    "url", ["http://10.0.0.1/", "https://[::ffff:127.0.0.1]/", "https://2130706433/", "http://both.example/", *UNWANTED]
)
async def test_what_is_allowed_besides_opens_nothing_else(url: str) -> None:
    with pytest.raises(WebhookUrlForbidden):
        await rules(allowed=LOOPBACK, both_example=f"127.0.0.1 {EXAMPLE}").check(url)


async def test_the_system_is_asked_for_a_name_as_text(monkeypatch: pytest.MonkeyPatch) -> None:
    asked = []

    def getaddrinfo(host: Any, port: Any, **options: Any) -> list[Any]:
        asked.append((host, port, options))
        entry = (socket.AF_INET, socket.SOCK_STREAM, 6, "", (EXAMPLE, 0))
        return [entry, entry, (socket.AF_INET6, socket.SOCK_STREAM, 6, "", ("fe80::1%lo", 0, 0, 1))]

    monkeypatch.setattr(socket, "getaddrinfo", getaddrinfo)
    assert await system_resolver()("hooks.example") == (ip_address(EXAMPLE), ip_address("fe80::1%lo"))
    assert asked == [("hooks.example", None, {"type": socket.SOCK_STREAM})]


def test_networks_have_nothing_behind_their_prefix() -> None:
    assert networks_of("") == ()
    with pytest.raises(ValueError, match="host bits"):
        networks_of("10.0.0.1/8")
