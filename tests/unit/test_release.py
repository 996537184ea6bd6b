"""The steps of a release: what it writes, what it refuses, and that a dry run leaves everything as it is."""

from __future__ import annotations

import importlib.util
import subprocess
from datetime import UTC, date, datetime
from pathlib import Path
from typing import Any

import pytest

ROOT = Path(__file__).resolve().parents[2]
SAMPLE = """# Changelog

What changed.

## Unreleased

### Added

- A thing.

## 0.1.0 - 2026-01-02

- The beginning.
"""
DATED = """# Changelog

What changed.

## Unreleased

## 0.2.0 - 2026-11-26

### Added

- A thing.

## 0.1.0 - 2026-01-02

- The beginning.
"""


@pytest.fixture
def script() -> Any:
    specification = importlib.util.spec_from_file_location("release", ROOT / "scripts" / "release.py")
    assert specification is not None
    assert specification.loader is not None
    module = importlib.util.module_from_spec(specification)
    specification.loader.exec_module(module)
    return module


def git(folder: Path, *arguments: str) -> str:
    done = subprocess.run(["git", *arguments], cwd=folder, check=True, capture_output=True, text=True)
    return done.stdout.strip()


@pytest.fixture
def checkout(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, script: Any) -> Path:
    """A small project under git, whose packages need no building."""
    root = tmp_path / "project"
    for name, text in {
        "CHANGELOG.md": SAMPLE,
        "src/uncrop/_version.py": '"""The version."""\n\n__version__ = "0.1.0"\n',
        "scripts/check": "#!/bin/sh\nexit 0\n",
        ".gitignore": "/dist/\n",
    }.items():
        (root / name).parent.mkdir(parents=True, exist_ok=True)
        (root / name).write_text(text)
    (root / "scripts/check").chmod(0o755)
    for name, value in {"NAME": "A Tester", "EMAIL": "tester@example.com"}.items():
        monkeypatch.setenv(f"GIT_AUTHOR_{name}", value)
        monkeypatch.setenv(f"GIT_COMMITTER_{name}", value)
    git(root, "init", "--quiet", "--initial-branch", "main")
    git(root, "add", ".")
    git(root, "commit", "--quiet", "--message", "Begin")

    def build(tree: Path, folder: Path) -> list[Path]:
        wheel = folder / "uncrop.whl"
        wheel.write_text((tree / "CHANGELOG.md").read_text() + (tree / "src/uncrop/_version.py").read_text())
        return [wheel]

    monkeypatch.setattr(script, "ROOT", root)
    monkeypatch.setattr(script, "build", build)
    monkeypatch.setattr(script, "verify", lambda *_: None)
    return root


# --- texts -----------------------------------------------------------------------------------------------------------


def test_what_is_unreleased_goes_under_the_version_and_the_day(script: Any) -> None:
    assert script.date_changelog(SAMPLE, "0.2.0", date(2026, 11, 26)) == DATED


@pytest.mark.parametrize(
    ("text", "version", "why"),
    [
        (SAMPLE.replace("## Unreleased", "## Next"), "0.2.0", "has no heading '## Unreleased'"),
        (DATED, "0.3.0", "says nothing under '## Unreleased'"),
        (SAMPLE, "0.1.0", "has a heading for 0.1.0 already"),
    ],
)
def test_a_changelog_that_says_nothing_new_is_refused(script: Any, text: str, version: str, why: str) -> None:
    with pytest.raises(script.Refusal, match=why):
        script.date_changelog(text, version, date(2026, 11, 26))


def test_the_projects_own_changelog_and_version_can_be_released(script: Any) -> None:
    changelog = (ROOT / "CHANGELOG.md").read_text()
    dated = script.date_changelog(changelog, "999.0.0", date(2026, 11, 26))
    assert dated.replace("## 999.0.0 - 2026-11-26\n\n", "", 1) == changelog
    assert '__version__ = "999.0.0"\n' in script.set_version((ROOT / script.VERSION_FILE).read_text(), "999.0.0")


@pytest.mark.parametrize(
    ("version", "why"),
    [("1.2", "is no version"), ("v1.2.3", "is no version"), ("1.2.3rc1", "is no version"), ("0.9.9", "lower than")],
)
def test_a_version_that_is_none_or_lower_is_refused(script: Any, version: str, why: str) -> None:
    with pytest.raises(script.Refusal, match=why):
        script.set_version('__version__ = "0.10.0"\n', version)


# --- the whole -------------------------------------------------------------------------------------------------------


def test_a_release_is_one_commit_and_one_tag(script: Any, checkout: Path) -> None:
    script.release("0.2.0", dry_run=False)
    today = datetime.now(UTC).date().isoformat()
    assert git(checkout, "log", "--format=%s") == "Release 0.2.0\nBegin"
    assert git(checkout, "describe") == "v0.2.0"
    assert git(checkout, "status", "--porcelain") == ""
    assert (checkout / "CHANGELOG.md").read_text() == DATED.replace("2026-11-26", today)
    assert (checkout / "src/uncrop/_version.py").read_text() == '"""The version."""\n\n__version__ = "0.2.0"\n'
    built = (checkout / "dist" / "uncrop.whl").read_text()
    assert built == (checkout / "CHANGELOG.md").read_text() + (checkout / "src/uncrop/_version.py").read_text()
    with pytest.raises(script.Refusal, match=r"has a heading for 0\.2\.0 already"):
        script.release("0.2.0", dry_run=False)


def test_a_dry_run_builds_and_changes_nothing_else(script: Any, checkout: Path) -> None:
    before = git(checkout, "rev-parse", "HEAD")
    script.release("0.2.0", dry_run=True)
    assert (checkout / "dist" / "uncrop.whl").exists()
    assert (git(checkout, "rev-parse", "HEAD"), git(checkout, "tag")) == (before, "")
    assert git(checkout, "status", "--porcelain") == ""
    assert (checkout / "CHANGELOG.md").read_text() == SAMPLE


def test_what_is_not_committed_is_named(script: Any, checkout: Path) -> None:
    (checkout / "new.py").touch()
    with pytest.raises(script.Refusal, match=r"not committed:\n\?\? new\.py"):
        script.release("0.2.0", dry_run=True)


def test_a_tag_is_used_once(script: Any, checkout: Path) -> None:
    git(checkout, "tag", "v0.2.0")
    with pytest.raises(script.Refusal, match=r"the tag v0\.2\.0 exists already"):
        script.release("0.2.0", dry_run=True)


def test_a_check_that_fails_is_told_whole(script: Any, checkout: Path) -> None:
    (checkout / "scripts/check").write_text("#!/bin/sh\necho types FAILED\nexit 1\n")
    git(checkout, "commit", "--quiet", "--all", "--message", "Break it")
    with pytest.raises(script.Refusal, match=r"scripts/check\ntypes FAILED"):
        script.release("0.2.0", dry_run=False)
    assert git(checkout, "tag") == ""


def test_an_installed_wheel_that_tells_another_version_is_refused(
    script: Any, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(script, "environment", lambda *_: tmp_path)
    monkeypatch.setattr(script, "install", lambda *_: None)
    monkeypatch.setattr(script, "run", lambda *_arguments, **_options: "0.1.0\n")
    with pytest.raises(script.Refusal, match=r"the wheel of 0\.2\.0 calls itself 0\.1\.0"):
        script.verify(tmp_path / "uncrop.whl", "0.2.0", tmp_path)
