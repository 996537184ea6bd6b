from __future__ import annotations

import re
from pathlib import Path

import pytest
from click.testing import Result
from typer.testing import CliRunner

from uncrop import settings
from uncrop.cli import app, doctor

KEY = "sk-live-0123456789abcdef"
SECRET = "e" * 40


@pytest.fixture(autouse=True)
def _encrypted(database: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("UNCROP_ENCRYPTION_KEY", SECRET)
    assert run("organizations", "create", "org_a").exit_code == 0


def run(*arguments: str, given: str = "") -> Result:
    return CliRunner().invoke(app, list(arguments), input=given)


def provider_key(*arguments: str, given: str = "") -> Result:
    return run("organizations", "provider-key", *arguments, given=given)


def rows() -> list[list[str]]:
    return [re.split(r"  +", line) for line in provider_key("list").stdout.splitlines()]


@pytest.mark.parametrize("words", [(), ("set",)])
def test_a_key_is_read_from_standard_input_and_never_shown(words: tuple[str, ...], database: Path) -> None:
    result = provider_key(*words, "org_a", "clipdrop", given=f"{KEY}\n")

    assert (result.exit_code, result.stdout, result.stderr) == (0, "org_a has its own key for clipdrop\n", "")
    headings, row = rows()
    assert headings == ["ORGANIZATION", "PROVIDER", "ENDS WITH", "SET", "STATE"]
    assert row[:3] == ["org_a", "clipdrop", "cdef"]
    assert row[4] == "usable"
    shown = provider_key("list", "org_a").stdout + run("audit").stdout + run("audit", "--json").stdout
    assert "provider_key.set" in shown
    assert KEY not in shown
    assert KEY.encode() not in b"".join(path.read_bytes() for path in database.iterdir() if path.is_file())


def test_a_key_is_removed() -> None:
    provider_key("org_a", "clipdrop", given=KEY)
    assert provider_key("remove", "org_a", "clipdrop").stdout == "org_a no longer has its own key for clipdrop\n"
    assert len(rows()) == 1
    again = provider_key("remove", "org_a", "clipdrop")
    assert (again.exit_code, again.stderr) == (2, "uncrop: org_a has no key of its own for clipdrop\n")


@pytest.mark.parametrize("given", ["", "\n", "  "])
def test_without_a_key_nothing_is_kept(given: str) -> None:
    result = provider_key("org_a", "clipdrop", given=given)
    assert (result.exit_code, result.stderr) == (2, "uncrop: there is no key on standard input\n")


@pytest.mark.parametrize("provider", ["local", "sdapi", "nobody"])
def test_a_provider_without_a_key_is_wrong_use(provider: str) -> None:
    result = provider_key("org_a", provider, given=KEY)
    assert (result.exit_code, result.stdout) == (2, "")
    # Not all in a row: a plug-in may stand in between.
    assert "bfl, bria, clipdrop, openai, " in result.stderr
    assert KEY not in result.stderr


def test_an_unknown_organization_is_wrong_use() -> None:
    result = provider_key("org_b", "clipdrop", given=KEY)
    assert (result.exit_code, result.stdout) == (2, "")
    assert "there is no such organization" in result.stderr
    assert KEY not in result.stderr


def test_without_an_encryption_key_it_says_what_to_set(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("UNCROP_ENCRYPTION_KEY")
    result = provider_key("org_a", "clipdrop", given=KEY)
    assert (result.exit_code, result.stdout) == (2, "")
    assert result.stderr == "uncrop: UNCROP_ENCRYPTION_KEY is not set, so that no key can be kept\n"


def test_the_encryption_key_is_replaced(monkeypatch: pytest.MonkeyPatch) -> None:
    provider_key("org_a", "clipdrop", given=KEY)
    monkeypatch.setenv("UNCROP_ENCRYPTION_KEY", "f" * 40)
    (finding,) = [each for each in doctor.check_database(settings.load()) if each.what == "keys"]
    assert (finding.state, "UNCROP_ENCRYPTION_KEY" in finding.todo) == ("bad", True)
    refused = run("keys", "rotate-encryption")
    assert (refused.exit_code, refused.stdout) == (2, "")
    assert "org_a for clipdrop cannot be decrypted" in refused.stderr

    monkeypatch.setenv("UNCROP_ENCRYPTION_KEY", f"{'f' * 40},{SECRET}")
    assert run("keys", "rotate-encryption").stdout.startswith("1 keys of providers and secrets")
    monkeypatch.setenv("UNCROP_ENCRYPTION_KEY", "f" * 40)
    assert rows()[1][4] == "usable"
    assert not [each for each in doctor.check_database(settings.load()) if each.what == "keys"]


def test_an_organization_is_changed() -> None:
    result = run("organizations", "change", "org_a", "--no-server-keys", "--name", "A shop")
    assert result.stdout == "org_a is A shop, and may not use the server's keys of providers\n"
    result = run("organizations", "change", "org_a", "--server-keys")
    assert result.stdout == "org_a is A shop, and may use the server's keys of providers\n"
    nothing = run("organizations", "change", "org_a")
    assert nothing.exit_code == 2
    assert "nothing to change" in nothing.stderr


@pytest.mark.parametrize("text", ["short", ",", " ", "e" * 32 + ",short"])
def test_a_short_secret_stops_the_start(text: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("UNCROP_ENCRYPTION_KEY", text)
    result = run("keys", "list")
    assert result.exit_code == 2
    assert result.stderr == (
        "uncrop: UNCROP_ENCRYPTION_KEY: must hold secrets of at least 32 characters, with commas in between\n"
    )
