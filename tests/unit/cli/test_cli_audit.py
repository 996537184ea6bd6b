from __future__ import annotations

import json
import re
from pathlib import Path

import pytest
from typer.testing import CliRunner

from uncrop import settings
from uncrop.cli import app, doctor


def run(*arguments: str) -> str:
    result = CliRunner().invoke(app, list(arguments))
    assert (result.exit_code, result.stderr) == (0, "")
    return result.stdout


def test_it_shows_who_did_what_newest_first(database: Path) -> None:
    key = run("keys", "create", "--organization", "org_a").strip()
    run("keys", "create", "--organization", "org_b")
    run("keys", "pause", key[7:17])

    headings, newest, *rows = [re.split(r"  +", line) for line in run("audit").splitlines()]
    assert headings == ["AT", "ACTOR", "ACTION", "ORGANIZATION", "TARGET", "CHANGES"]
    assert newest[1:] == ["command line", "key.pause", "org_a", key[7:17], "state: active -> paused"]
    assert [row[2] for row in rows] == ["key.create", "organization.create"] * 2
    assert "scopes: - -> images:write usage:read" in rows[0][5]
    assert {line.split()[4] for line in run("audit", "--organization", "org_a").splitlines()[1:]} == {"org_a"}
    assert run("audit", "--since", "2999-01-01").count("\n") == 1
    entries = json.loads(run("audit", "--organization", "org_a", "--json"))
    assert [entry["action"] for entry in entries] == ["key.pause", "key.create", "organization.create"]
    assert entries[0]["changes"] == {"state": {"from": "active", "to": "paused"}}
    assert key[-43:] not in run("audit") + run("audit", "--json")


def test_a_bad_moment_is_wrong_use(database: Path) -> None:
    result = CliRunner().invoke(app, ["audit", "--since", "yesterday"])
    assert (result.exit_code, result.stdout) == (2, "")
    assert result.stderr == "uncrop: --since: 'yesterday' is no date or time in ISO 8601\n"


@pytest.mark.parametrize("revoked", [False, True])
def test_doctor_says_whether_the_earlier_pepper_can_go(database: Path, revoked: bool) -> None:
    key = run("keys", "create", "--organization", "org_a").strip()
    run("keys", "rotate-pepper")
    if revoked:
        run("keys", "revoke", key[7:17])
    (finding,) = (each for each in doctor.check_database(settings.load()) if each.what == "pepper")
    assert finding.state == ("off" if revoked else "ok")
    assert ("1 keys have not been used" in finding.says) is not revoked
    assert ("pepper-previous-" in finding.todo) is revoked
