from __future__ import annotations

import asyncio
import json
import re

import pytest
from click.testing import Result
from typer.testing import CliRunner

from bookkeeping import amounts, capture, hold, release
from uncrop import settings
from uncrop.bootstrap import open_store_from
from uncrop.cli import app
from uncrop.model.ledger import USD, Amount

HEADINGS = [
    *("DAY", "PROVIDER", "PICTURES", "FAILED", "OPEN", "UNKNOWN"),
    *("CREDITS", "INPUT TOKENS", "OUTPUT TOKENS", "USD"),
]


pytestmark = pytest.mark.usefixtures("database")


def run(*arguments: str) -> Result:
    return CliRunner().invoke(app, ["usage", *arguments])


@pytest.fixture
def spent() -> str:
    """Spend something, and return the day on which it was."""

    async def spend() -> str:
        async with open_store_from(settings.load()) as store:
            for number, (organization, provider) in enumerate(
                [("org_a", "clipdrop"), ("org_b", "clipdrop"), ("org_a", "openai"), ("org_a", "openai")]
            ):
                await store.organizations.ensure(organization)
                await hold(store, number, organization=organization, provider=provider)
            await capture(store, 0, *amounts("clipdrop", millicredits=1000), Amount(unit=USD, value=1_250_000))
            await capture(store, 1, *amounts("clipdrop", millicredits=99_000))
            await capture(store, 2, *amounts("openai", input_tokens=100, output_tokens=4000))
            await release(store, 3)
            # All rows are of one day, even if midnight passes while this runs: the first one's day is taken.
            return (await store.usage.by_day())[0].day.isoformat()

    return asyncio.run(spend())


def test_a_table_for_people(spent: str) -> None:
    result = run()

    assert (result.exit_code, result.stderr) == (0, "")
    lines = [re.split(r"  +", line) for line in result.stdout.splitlines()]
    assert lines == [
        HEADINGS,
        [spent, "clipdrop", "2", "0", "0", "0", "100", "0", "0", "1.25"],
        [spent, "openai", "1", "1", "0", "0", "0", "100", "4000", "0"],
    ]


def test_json_for_programs(spent: str) -> None:
    result = run("--json", "--organization", "org_b")

    assert (result.exit_code, result.stderr) == (0, "")
    assert json.loads(result.stdout) == [
        {
            "day": spent,
            "provider": "clipdrop",
            "pictures": 1,
            "failed": 0,
            "open": 0,
            "unknown": 0,
            "credits": "99",
            "input_tokens": 0,
            "output_tokens": 0,
            "usd": "0",
        }
    ]


def test_nothing_spent() -> None:
    assert re.split(r"  +", run().stdout.strip()) == HEADINGS
    assert json.loads(run("--json").stdout) == []


def test_an_unknown_organization_is_wrong_use(spent: str) -> None:
    result = run("--organization", "org_c")

    assert (result.exit_code, result.stdout) == (2, "")
    assert result.stderr == "uncrop: org_c: there is no such organization\n"


def test_a_bad_organization_is_wrong_use() -> None:
    result = run("--organization", "nobody")

    assert (result.exit_code, result.stdout) == (2, "")
    assert result.stderr == ("uncrop: nobody: an organization id is org_ followed by 1 to 64 letters, digits, _ or -\n")
