from __future__ import annotations

import asyncio
import re
from pathlib import Path

import pytest
from click.testing import Result
from typer.testing import CliRunner

from uncrop import settings
from uncrop.admission.callers import Authenticator
from uncrop.bootstrap import open_store_from
from uncrop.cli import app
from uncrop.model import Caller

KEY = re.compile(r"uncrop_([0-9A-Za-z]{10})_[0-9A-Za-z_-]{43}\n")


pytestmark = pytest.mark.usefixtures("database")


def run(*arguments: str) -> Result:
    return CliRunner().invoke(app, ["keys", *arguments])


def created(*arguments: str) -> str:
    result = run("create", *arguments)
    assert (result.exit_code, result.stderr) == (0, "")
    assert KEY.fullmatch(result.stdout), result.stdout
    return result.stdout.strip()


def listed() -> list[list[str]]:
    result = run("list")
    assert (result.exit_code, result.stderr) == (0, "")
    return [re.split(r"  +", line) for line in result.stdout.splitlines()]


def caller_of(key: str) -> Caller:
    async def authenticate() -> Caller:
        async with open_store_from(settings.load()) as store:
            return await Authenticator(store.keys).authenticate([key])

    return asyncio.run(authenticate())


def test_the_key_and_only_the_key_is_printed_and_works() -> None:
    key = created("--organization", "org_123abc")

    assert caller_of(key) == Caller(organization_id="org_123abc", key_id=key[7:17])


def test_the_list_shows_everything_but_the_secret() -> None:
    first = created("--organization", "org_123abc", "--name", "Anna's laptop")
    second = created("--organization", "org_b", "--expires", "2999-01-31T12:00+01:00")
    caller_of(first)

    headings, *rows = listed()
    assert headings == ["ID", "PREFIX", "ORGANIZATION", "NAME", "STATE", "CREATED", "EXPIRES", "LAST USED", "SCOPES"]
    minute = r"\d{4}-\d\d-\d\dT\d\d:\d\dZ"
    assert rows[0][:5] == [first[7:17], first[:17], "org_123abc", "Anna's laptop", "active"]
    assert rows[1][:5] == [second[7:17], second[:17], "org_b", "-", "active"]
    assert rows[0][6] == "-"
    assert rows[1][6:] == ["2999-01-31T11:00Z", "-", "images:write usage:read"]
    assert re.fullmatch(minute, rows[0][5])
    assert re.fullmatch(minute, rows[0][7])
    assert first[-43:] not in run("list").stdout


def test_an_empty_list_has_headings() -> None:
    assert len(listed()) == 1


@pytest.mark.parametrize(
    ("text", "shown"), [("2999-01-31", "2999-01-31T00:00Z"), ("2999-01-31T12:00", "2999-01-31T12:00Z")]
)
def test_an_expiry_without_time_zone_is_utc(text: str, shown: str) -> None:
    created("--organization", "org_a", "--expires", text)

    assert listed()[1][6] == shown


def test_a_key_is_paused_resumed_and_revoked() -> None:
    key_id = created("--organization", "org_a")[7:17]

    for change, said, state in [
        ("pause", "is paused", "paused"),
        ("resume", "is no longer paused", "active"),
        ("revoke", "is revoked", "revoked"),
    ]:
        result = run(change, key_id)
        assert (result.exit_code, result.stdout, result.stderr) == (0, f"{key_id} {said}\n", "")
        assert listed()[1][4] == state
    result = run("resume", key_id)
    assert (result.exit_code, result.stdout) == (2, "")
    assert result.stderr == f"uncrop: {key_id}: the key is revoked for good\n"


@pytest.mark.parametrize("change", ["pause", "resume", "revoke"])
def test_an_unknown_id_is_wrong_use(change: str) -> None:
    result = run(change, "0123456789")

    assert (result.exit_code, result.stdout) == (2, "")
    assert result.stderr == "uncrop: 0123456789: there is no such key\n"


@pytest.mark.parametrize("text", ["tomorrow", "2026-13-01", "", "0001-01-01T00:00+14:00"])
def test_a_bad_date_is_wrong_use(text: str) -> None:
    result = run("create", "--organization", "org_a", "--expires", text)

    assert (result.exit_code, result.stdout) == (2, "")
    assert result.stderr == f"uncrop: --expires: {text!r} is no date or time in ISO 8601\n"


def test_a_past_date_is_wrong_use() -> None:
    result = run("create", "--organization", "org_a", "--expires", "2020-01-01")

    assert (result.exit_code, result.stdout) == (2, "")
    assert result.stderr == "uncrop: --expires 2020-01-01T00:00:00+00:00: the expiry lies in the past\n"


@pytest.mark.parametrize("organization_id", ["123abc", "org_", "org_ä"])
def test_a_bad_organization_is_wrong_use(organization_id: str) -> None:
    result = run("create", "--organization", organization_id)

    assert (result.exit_code, result.stdout) == (2, "")
    assert result.stderr == (
        f"uncrop: {organization_id}: an organization id is org_ followed by 1 to 64 letters, digits, _ or -\n"
    )


def test_without_organization_nothing_is_made(database: Path) -> None:
    result = run("create")

    assert (result.exit_code, result.stdout) == (2, "")
    assert not database.exists()


def test_a_database_that_cannot_be_opened_is_one_line(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setenv("UNCROP_DATABASE_URL", f"sqlite+aiosqlite:///{tmp_path}")
    result = run("list")

    assert (result.exit_code, result.stdout) == (2, "")
    assert (
        result.stderr == "uncrop: UNCROP_DATABASE_URL: the database cannot be opened (unable to open database file)\n"
    )


def test_a_wrong_setting_is_one_line(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("UNCROP_MAX_RUNNING", "many")
    result = run("list")

    assert (result.exit_code, result.stdout) == (2, "")
    assert result.stderr.startswith("uncrop: UNCROP_MAX_RUNNING: ")
    assert result.stderr.count("\n") == 1


def test_the_data_folder_holds_no_readable_key(database: Path) -> None:
    keys = [created("--organization", "org_a") for _ in range(3)]
    files = {path.name: path.read_bytes() for path in database.iterdir() if path.is_file()}

    assert {"pepper", "uncrop.db"} <= files.keys()
    for key in keys:
        assert not any(key[-43:].encode() in content for content in files.values())
    assert files["pepper"] not in files["uncrop.db"]


def test_keys_alone_shows_the_help() -> None:
    result = run()

    assert result.exit_code == 2
    for command in ("create", "list", "pause", "resume", "revoke"):
        assert command in result.output


def test_a_key_has_the_scopes_that_are_named() -> None:
    key = created("--organization", "org_a", "--scope", "usage:read", "--scope", "admin")

    assert caller_of(key).scopes == {"usage:read", "admin"}
    assert listed()[1][8] == "admin usage:read"


def test_an_unknown_scope_is_wrong_use() -> None:
    result = run("create", "--organization", "org_a", "--scope", "all")

    assert (result.exit_code, result.stdout) == (2, "")
    assert "at least one of the scopes images:write, usage:read, admin" in result.stderr
    assert result.stderr.count("\n") == 1


def test_a_rotation_prints_the_new_key_and_both_work() -> None:
    old = created("--organization", "org_a", "--name", "shop")
    result = run("rotate", old[7:17], "--overlap", "2h")

    assert (result.exit_code, result.stderr) == (0, "")
    assert KEY.fullmatch(result.stdout)
    new = result.stdout.strip()
    assert caller_of(old).organization_id == caller_of(new).organization_id == "org_a"
    assert [row[3] for row in listed()[1:]] == ["shop", "shop"]

    again = run("rotate", old[7:17])
    assert (again.exit_code, again.stdout) == (2, "")
    assert "rotated before" in again.stderr


def test_without_overlap_the_old_key_ends_at_once() -> None:
    old = created("--organization", "org_a")
    assert run("rotate", old[7:17], "--overlap", "0s").exit_code == 0
    assert [row[4] for row in listed()[1:]] == ["expired", "active"]


@pytest.mark.parametrize("text", ["24", "1w", "-1h", "1.5h", "", "h", "9999999999h"])
def test_an_overlap_that_is_no_time_is_wrong_use(text: str) -> None:
    result = run("rotate", "0123456789", "--overlap", text)

    assert (result.exit_code, result.stdout) == (2, "")
    assert result.stderr == f"uncrop: --overlap: {text!r} is no time such as 24h, 30m or 7d\n"


def test_an_overlap_of_years_is_wrong_use() -> None:
    result = run("rotate", created("--organization", "org_a")[7:17], "--overlap", "365d")

    assert result.exit_code == 2
    assert "at most 90 days" in result.stderr


def test_the_pepper_is_replaced_and_keys_go_on_working(database: Path) -> None:
    key, idle = created("--organization", "org_a"), created("--organization", "org_a")
    before = (database / "pepper").read_bytes()
    result = run("rotate-pepper")

    assert (result.exit_code, result.stderr) == (0, "")
    assert result.stdout.startswith("the pepper is now ")
    assert (database / "pepper").read_bytes() != before
    for each in (key, idle, key):
        assert caller_of(each).organization_id == "org_a"


def test_a_pepper_in_the_settings_is_not_replaced_here(monkeypatch: pytest.MonkeyPatch, database: Path) -> None:
    monkeypatch.setenv("UNCROP_KEY_PEPPER", "p" * 32)
    result = run("rotate-pepper")

    assert (result.exit_code, result.stdout) == (2, "")
    assert "UNCROP_KEY_PEPPER_PREVIOUS" in result.stderr
    assert not (database / "pepper").exists()


def test_a_new_pepper_in_the_settings_takes_over(monkeypatch: pytest.MonkeyPatch) -> None:
    key = created("--organization", "org_a")
    for present, previous in (("p" * 32, ""), ("q" * 32, "x" * 32 + "," + "p" * 32), ("q" * 32, "")):
        monkeypatch.setenv("UNCROP_KEY_PEPPER", present)
        monkeypatch.setenv("UNCROP_KEY_PEPPER_PREVIOUS", previous)
        assert caller_of(key).organization_id == "org_a"
