"""The ledger on the command line."""

from __future__ import annotations

import asyncio
import re
from typing import TYPE_CHECKING

import pytest
import sqlalchemy as sa
from click.testing import Result
from typer.testing import CliRunner

from bookkeeping import capture, doubt, hold
from uncrop import settings
from uncrop.bootstrap import open_store_from
from uncrop.cli import app, doctor
from uncrop.model.ledger import USD, Amount

if TYPE_CHECKING:
    from collections.abc import Callable, Coroutine
    from typing import Any

    from uncrop.store.database import Store

pytestmark = pytest.mark.usefixtures("database")


def run(*arguments: str) -> Result:
    return CliRunner().invoke(app, [*arguments])


def rows(result: Result) -> list[list[str]]:
    assert (result.exit_code, result.stderr) == (0, "")
    return [re.split(r"  +", line) for line in result.stdout.splitlines()]


def with_store(work: Callable[[Store], Coroutine[Any, Any, object]]) -> None:
    async def opened() -> None:
        async with open_store_from(settings.load()) as store:
            await work(store)

    asyncio.run(opened())


@pytest.fixture
def doubtful(database: object) -> None:
    """A picture that was made, and one of which a call is in doubt."""

    async def book(store: Store) -> None:
        await store.organizations.ensure("org_a")
        for number in range(2):
            await hold(store, number, per_call=[Amount(unit=USD, value=40_000)])
        await capture(store, 0, Amount(unit=USD, value=30_000))
        await doubt(store, 1)

    with_store(book)


@pytest.mark.usefixtures("doubtful")
def test_what_is_in_doubt_is_listed_and_settled() -> None:
    heading, row = rows(run("usage", "--unknown"))
    assert heading == ["ID", "ORGANIZATION", "KEY", "PROVIDER", "STATE", "CALLS SENT", "CREATED", "SENT"]
    assert row[:6] == ["use_1", "org_a", "-", "clipdrop", "unknown", "1 of 1"]
    assert rows(run("usage", "--unknown", "--organization", "org_a"))[1:] == [row]
    (database, ledger) = doctor.check_database(settings.load())
    assert (database.state, ledger.state) == ("ok", "off")
    assert ledger.says == "agrees with itself; of 1 pictures it is not known whether they are billed"

    assert run("ledger", "settle", "use_1", "--charged").stdout == "use_1 was charged\n"
    assert len(rows(run("usage", "--unknown"))) == 1
    again = run("ledger", "settle", "use_1", "--not-charged")
    assert (again.exit_code, again.stdout) == (2, "")
    assert "whose outcome is unknown" in again.stderr
    assert run("ledger", "verify").stdout == "the ledger agrees with itself\n"


@pytest.mark.usefixtures("doubtful")
def test_what_was_not_charged_is_given_back() -> None:
    missing = run("ledger", "settle", "use_1")
    assert missing.exit_code == 2
    assert "--charged or --not-charged is missing" in missing.stderr
    assert run("ledger", "settle", "use_1", "--not-charged").stdout == "use_1 was not charged, and is given back\n"


@pytest.mark.usefixtures("doubtful")
def test_all_that_has_been_in_doubt_for_long_is_settled_at_once() -> None:
    async def more(store: Store) -> None:
        await store.organizations.ensure("org_b")
        for number in (2, 3):
            await hold(store, number, organization="org_b")
            await doubt(store, number)

    with_store(more)
    settle = ("ledger", "settle", "--not-charged")
    assert run(*settle, "--all-older-than", "1h").stdout == "no picture has been in doubt for so long\n"
    told = run(*settle, "--all-older-than", "0s", "--organization", "org_b").stdout.splitlines()
    assert sorted(told) == [f"use_{number} was not charged, and is given back" for number in (2, 3)]
    assert run(*settle, "use_1").exit_code == 0
    for wrong in ([], ["use_1", "--all-older-than", "1h"], ["--all-older-than", "soon"]):
        assert run(*settle, *wrong).exit_code == 2
    assert run(*settle, "--all-older-than", "0s", "--organization", "org_x").exit_code == 2
    assert run("ledger", "verify").stdout == "the ledger agrees with itself\n"


@pytest.mark.usefixtures("doubtful")
def test_what_a_picture_cost_is_corrected_by_one_more_entry() -> None:
    adjust = ("ledger", "adjust", "use_0", "--reason", "the bill of November")
    assert rows(run(*adjust, "--usd", "0.02"))[1:] == [["adjust", "usd_micro", "spent", "available", "10000", "-"]]
    assert rows(run(*adjust, "--credits", "1.5"))[1:] == [
        ["adjust", "credit_milli:clipdrop", "available", "spent", "1500", "-"]
    ]
    assert run("ledger", "verify").stdout == "the ledger agrees with itself\n"
    noted = run("audit").stdout
    assert "ledger.adjust" in noted
    assert "the bill of November" in noted
    assert "10000 usd_micro from spent to available" in noted
    again = run(*adjust, "--usd", "0.02")
    assert (again.exit_code, "booked already" in again.stderr) == (2, True)
    for wrong in (["--usd", "-1"], ["--usd", "1e30"], ["--usd", "much"], [], ["--usd", "1", "--credits", "1"]):
        assert run(*adjust, *wrong).exit_code == 2, wrong
    for picture, reason in (("use_1", "why"), ("use_9", "why"), ("use_0", " "), ("use_0", "x" * 201)):
        assert run("ledger", "adjust", picture, "--usd", "3", "--reason", reason).exit_code == 2


@pytest.mark.usefixtures("doubtful")
def test_pictures_are_shown_with_what_was_posted() -> None:
    assert [row[0] for row in rows(run("ledger", "show"))[1:]] == ["use_1", "use_0"]
    assert len(rows(run("ledger", "show", "--organization", "org_a", "--last", "1"))) == 2
    shown = rows(run("ledger", "show", "use_0"))
    assert shown[3] == ["KIND", "UNIT", "FROM", "TO", "AMOUNT", "CALL"]
    assert shown[4:] == [
        ["hold", "picture", "available", "held", "1", "-"],
        ["hold", "usd_micro", "available", "held", "40000", "-"],
        ["capture", "picture", "held", "spent", "1", "-"],
        ["capture", "usd_micro", "held", "spent", "30000", "1"],
        ["release", "usd_micro", "held", "available", "10000", "-"],
    ]
    assert run("ledger", "show", "use_9").exit_code == 2


@pytest.mark.usefixtures("doubtful")
def test_books_that_do_not_agree_are_told() -> None:
    async def harm(store: Store) -> None:
        async def work(connection: Any) -> None:
            await connection.execute(sa.text("UPDATE balances SET spent = 7 WHERE unit = 'usd_micro'"))

        await store._transactions.write(work)

    with_store(harm)
    told = run("ledger", "verify")
    assert told.exit_code == 3
    assert told.stdout.startswith("balance of org_a, usd_micro of ")
    (_, ledger) = doctor.check_database(settings.load())
    assert ledger.state == "bad"
    assert ledger.says.startswith("does not agree with itself in 1 places: balance of org_a, usd_micro of ")


def test_limits_of_a_key_and_an_organization() -> None:
    key = run("keys", "create", "--organization", "org_shop").stdout.strip().split("_")[1]
    limits = ("--requests-per-minute", "5", "--requests-at-once", "none", "--usd-per-month", "12.5")
    told = run("organizations", "limit", "org_shop", *limits, "--providers", "local,clipdrop")
    assert told.stdout == (
        "org_shop may make 5 requests a minute, any number of requests at once, pictures for 12.50 USD a month, "
        "pictures by local or clipdrop alone; all else as the server's settings say\n"
    )
    shown = rows(run("organizations", "show", "org_shop"))[1]
    assert shown[2:7] == ["5", "no limit", "default", "12.50", "local,clipdrop"]
    assert run("organizations", "limit", "org_shop", "--usd-per-month", "none", "--providers", "all").stdout.endswith(
        "pictures for any money; all else as the server's settings say\n"
    )
    told = run("keys", "limit", key, "--usd-per-month", "0.01", "--requests-per-minute", "default")
    assert told.stdout == f"{key} may make pictures for 0.01 USD a month; all else as its organization may\n"
    assert run("keys", "limit", key, "--usd-per-month", "default").stdout.endswith("as much as its organization may\n")


@pytest.mark.parametrize(
    ("options", "line"),
    [
        ((), "no limit is named"),
        (("--usd-per-month", "0"), "must be above 0"),
        (("--usd-per-month", "1e3"), "must be above 0"),
        (("--usd-per-month", "0.0000001"), "must be above 0"),
        (("--usd-per-month", "1000001"), "must be above 0"),
        (("--requests-per-minute", "0"), "must be a whole number from 1"),
        (("--providers", "nobody"), "nobody is no provider"),
        (("--providers", ","), "names nobody"),
    ],
)
def test_limits_that_cannot_be(options: tuple[str, ...], line: str) -> None:
    result = run("organizations", "limit", "org_shop", *options)
    assert (result.exit_code, result.stdout) == (2, "")
    assert line in result.stderr
