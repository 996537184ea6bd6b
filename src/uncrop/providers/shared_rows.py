"""Rows of fields and of settings that several providers have."""

from __future__ import annotations

from uncrop.model import FieldFacts, SettingFacts

MASK_FILE = FieldFacts(
    name="mask_file",
    help="In place of sides: a PNG with alpha of the photo's width and height, under 4 MB, transparent where "
    "pixels are to be made.",
)


def seed(maximum: int = 2**32 - 1) -> FieldFacts:
    """Return the row of a seed, from 0 on."""
    return FieldFacts(name="seed", help="The same seed gives the same picture.", minimum=0, maximum=maximum)


def api_key(help: str) -> SettingFacts:  # noqa: A002
    """Return the row of a required key."""
    return SettingFacts(name="api_key", kind="secret", help=help, required=True)


def base_url(default: str, help: str) -> SettingFacts:  # noqa: A002
    """Return the row of the address that calls go to."""
    return SettingFacts(name="base_url", kind="address", help=help, default=default, required=True)


def own_base_url(title: str, example: str) -> SettingFacts:
    """Return the row of the address of a server that the operator runs.

    It has no default: the provider is configured by naming the address. At a default every installation would list a
    provider that most do not have, and would send photos to whatever listens on that port.
    """
    return SettingFacts(
        name="base_url",
        kind="address",
        help=f"Address of {title}, which is not used without it; on this machine most likely {example}.",
        required=True,
    )


def rate_limit(title: str) -> SettingFacts:
    """Return the row of a rate limit of the provider's own."""
    return SettingFacts(
        name="rate_limit_per_minute",
        kind="integer",
        minimum=1,
        help=f"Most requests a minute and organization to {title}; the limit for all providers counts besides.",
    )


def usd_per_credit(title: str) -> SettingFacts:
    """Return the row of what a credit of the provider costs the operator."""
    return SettingFacts(
        name="usd_per_credit",
        kind="number",
        minimum=0,
        maximum=1000,
        help=f"What a credit of {title} costs in US dollars, by your contract with it. Limits of money need it.",
    )


def usd_per_call(title: str) -> SettingFacts:
    """Return the row of what a call costs the operator at most, where the provider states no price."""
    return SettingFacts(
        name="usd_per_call",
        kind="number",
        minimum=0,
        maximum=1000,
        help=f"What a call to {title} costs in US dollars at most, by your contract with it. Limits of money need it.",
    )
