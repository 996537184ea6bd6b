"""Organizations and their limits on the command line."""

from __future__ import annotations

import asyncio
import re

import pytest
from click.testing import Result
from typer.testing import CliRunner

from bookkeeping import capture, hold, release
from uncrop import settings
from uncrop.bootstrap import open_store_from
from uncrop.cli import app
from uncrop.cli.limits import MOST
from uncrop.model import ORGANIZATION_ID

pytestmark = pytest.mark.usefixtures("database")


LIMITS = ["REQUESTS PER MINUTE", "REQUESTS AT ONCE", "PICTURES PER DAY", "USD PER MONTH", "PROVIDERS"]


def run(*arguments: str) -> Result:
    return CliRunner().invoke(app, ["organizations", *arguments])


def table(*arguments: str) -> list[list[str]]:
    result = run(*arguments)
    assert (result.exit_code, result.stderr) == (0, "")
    return [re.split(r"  +", line) for line in result.stdout.splitlines()]


def stored_limit(organization: str) -> int | None:
    async def look() -> int | None:
        async with open_store_from(settings.load()) as store:
            return (await store.organizations.get(organization)).policy.pictures_per_day

    return asyncio.run(look())


def test_one_is_made_and_its_id_alone_is_printed() -> None:
    assert (run("create", "org_shop", "--name", "The shop").stdout) == "org_shop\n"
    drawn = run("create").stdout.strip()
    assert ORGANIZATION_ID.fullmatch(drawn)
    heading, *rows = table("list")
    assert heading == ["ID", "NAME", *LIMITS, "CREATED"]
    assert [row[:3] for row in rows] == [["org_shop", "The shop", "default"], [drawn, "-", "default"]]


@pytest.mark.parametrize(
    ("wanted", "stored", "told"),
    [
        ("40", 40, "org_shop may make 40 pictures a day; all else as the server's settings say"),
        ("0", 0, "org_shop may make any number of pictures a day; all else as the server's settings say"),
        ("none", 0, "org_shop may make any number of pictures a day; all else as the server's settings say"),
        ("default", None, "org_shop may make as much as the server's settings say"),
    ],
)
def test_a_limit_is_set(wanted: str, stored: int | None, told: str) -> None:
    run("create", "org_shop")
    run("limit", "org_shop", "--pictures-per-day", "7")
    result = run("limit", "org_shop", "--pictures-per-day", wanted)
    assert (result.exit_code, result.stdout, result.stderr) == (0, f"{told}\n", "")
    assert stored_limit("org_shop") == stored
    shown = {None: "default", 0: "no limit"}.get(stored, str(stored))
    assert table("show", "org_shop")[1][4] == shown


def test_one_is_shown_with_its_keys_and_pictures() -> None:
    assert CliRunner().invoke(app, ["keys", "create", "--organization", "org_shop"]).exit_code == 0

    async def spend() -> None:
        async with open_store_from(settings.load()) as store:
            for number in range(3):
                await hold(store, number, organization="org_shop", provider="local")
            await capture(store, 0)
            await capture(store, 1)
            await release(store, 2)

    asyncio.run(spend())
    heading, row = table("show", "org_shop")
    assert heading[-2:] == ["KEYS", "PICTURES"]
    assert row[-2:] == ["1", "2"]


@pytest.mark.parametrize(
    ("arguments", "line"),
    [
        (("limit", "org_none", "--pictures-per-day", "1"), "org_none: there is no such organization"),
        (("show", "org_none"), "org_none: there is no such organization"),
        (("create", "org_shop"), "org_shop: there is such an organization already"),
        (("create", "shop"), "shop: an organization id is org_ followed by 1 to 64 letters, digits, _ or -"),
        (("create", "org_b", "--name", "a\nb"), "A name has 1 to 200 characters, all of them printable"),
        *(
            (
                ("limit", "org_shop", "--pictures-per-day", text),
                f"--pictures-per-day {text}: must be a whole number from 0 to {MOST}, none for no limit, or default",
            )
            for text in ("-1", "1.5", "many", "٣", "9" * 30)
        ),
    ],
)
def test_what_cannot_be_is_a_line(arguments: tuple[str, ...], line: str) -> None:
    run("create", "org_shop")
    result = run(*arguments)
    assert (result.exit_code, result.stdout, result.stderr) == (2, "", f"uncrop: {line}\n")
