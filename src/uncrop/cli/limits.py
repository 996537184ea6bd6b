"""The limits of organizations and keys, as they are typed and as they are shown."""

from __future__ import annotations

import re
from collections.abc import Mapping
from decimal import Decimal
from typing import TYPE_CHECKING, Annotated, Any, TypeAlias

import typer

from uncrop.cli.exits import stop

if TYPE_CHECKING:
    from uncrop.model import Policy

DEFAULT, NONE = "default", "none"
BY_SETTINGS, BY_ORGANIZATION = "as the server's settings say", "as its organization may"
HEADINGS = ("REQUESTS PER MINUTE", "REQUESTS AT ONCE", "PICTURES PER DAY", "USD PER MONTH", "PROVIDERS")
MOST = 1_000_000_000
MOST_USD = 1_000_000
_MICRO = 1_000_000
_AMOUNT = re.compile(r"[0-9]{1,9}(\.[0-9]{1,9})?")

RequestsPerMinute: TypeAlias = Annotated[str | None, typer.Option(metavar="N", help="Requests in any 60 seconds.")]
RequestsAtOnce: TypeAlias = Annotated[
    str | None, typer.Option(metavar="N", help="Requests that are worked on or wait at once, in each server process.")
]
PicturesPerDay: TypeAlias = Annotated[
    str | None, typer.Option(metavar="N", help="Pictures a UTC day; 0 is none, as no limit.")
]
UsdPerMonth: TypeAlias = Annotated[
    str | None, typer.Option(metavar="X", help="Money a UTC month, in US dollars, such as 12.50.")
]
Providers: TypeAlias = Annotated[
    str | None, typer.Option(metavar="NAMES", help="The only providers that may be asked, with commas; all for any.")
]


def changes(
    requests_per_minute: str | None,
    requests_at_once: str | None,
    pictures_per_day: str | None,
    usd_per_month: str | None,
    providers: str | None,
) -> dict[str, Any]:
    """Return the limits that were typed, by the names of ``Policy``; stop with a line where one is none."""
    counts = {
        "requests_per_minute": requests_per_minute,
        "requests_at_once": requests_at_once,
        "pictures_per_day": pictures_per_day,
    }
    found: dict[str, Any] = {name: _count(name, text) for name, text in counts.items() if text is not None}
    if usd_per_month is not None:
        found["usd_micro_per_month"] = _money(usd_per_month)
    if providers is not None:
        found["providers"] = _names(providers)
    if not found:
        stop("no limit is named; uncrop organizations limit --help shows them")
    return found


def cells(policy: Policy, default: str) -> tuple[str, ...]:
    """Return a policy for a table, in the order of ``HEADINGS``."""
    words = {None: default, 0: "no limit"}
    counts = (policy.requests_per_minute, policy.requests_at_once, policy.pictures_per_day)
    money = policy.usd_micro_per_month
    return (
        *(words.get(count, str(count)) for count in counts),
        words.get(money, dollars(money or 0)),
        "all" if policy.providers is None else ",".join(policy.providers),
    )


def in_words(policy: Policy, default: str) -> str:
    """Return a sentence's rest that tells of all limits."""
    named = {
        "{} requests a minute": policy.requests_per_minute,
        "{} requests at once": policy.requests_at_once,
        "{} pictures a day": policy.pictures_per_day,
    }
    told = [phrase.format(_any(value)) for phrase, value in named.items() if value is not None]
    money = policy.usd_micro_per_month
    if money is not None:
        told.append("pictures for any money" if money == 0 else f"pictures for {dollars(money)} USD a month")
    if policy.providers is not None:
        told.append(f"pictures by {' or '.join(policy.providers)} alone")
    return f"{', '.join(told) or 'as much'}{'; all else ' if told else ' '}{default}"


def dollars(micro: int) -> str:
    """Write micro-dollars as dollars, exactly and with at least two digits behind the point."""
    text = f"{Decimal(micro) / _MICRO:.6f}".rstrip("0")
    return text + "0" * max(0, 2 - len(text.partition(".")[2]))


def _any(value: int) -> str:
    return "any number of" if value == 0 else str(value)


_WORDS: Mapping[str, int | None] = {DEFAULT: None, NONE: 0}


def _count(name: str, text: str) -> int | None:
    if text in _WORDS:
        return _WORDS[text]
    least = 0 if name == "pictures_per_day" else 1
    if not (text.isascii() and text.isdigit() and least <= int(text) <= MOST):
        option = f"--{name.replace('_', '-')}"
        stop(f"{option} {text}: must be a whole number from {least} to {MOST}, {NONE} for no limit, or {DEFAULT}")
    return int(text)


def _money(text: str) -> int | None:
    if text in _WORDS:
        return _WORDS[text]
    amount = Decimal(text) * _MICRO if _AMOUNT.fullmatch(text) else Decimal(0)
    if not (0 < amount <= MOST_USD * _MICRO and amount == amount.to_integral_value()):
        stop(
            f"--usd-per-month {text}: must be above 0 and up to {MOST_USD}, {NONE} for no limit, or {DEFAULT}; "
            "to allow what costs nothing alone, name its providers"
        )
    return int(amount)


def _names(text: str) -> tuple[str, ...] | None:
    from uncrop.providers.registry import load_rows

    if text in {"all", DEFAULT, NONE}:
        return None
    names = tuple(dict.fromkeys(name.strip() for name in text.split(",") if name.strip()))
    known = load_rows()
    if unknown := [name for name in names if name not in known]:
        stop(f"--providers {text}: {unknown[0][:64]} is no provider; there are {', '.join(known)}")
    if not names:
        stop("--providers: names nobody; all allows every provider")
    return names
