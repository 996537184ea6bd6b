"""The locks are whole: what each locked package requires, extras included, is locked at a version that will do.

``scripts/setup`` installs them with ``--no-deps``, so nobody else looks. What a package requires is read from its
installed metadata, so only for this platform and this Python; the markers of the others are not followed.
"""

from __future__ import annotations

import re
import tomllib
from dataclasses import dataclass, field
from importlib.metadata import PackageNotFoundError, distribution
from pathlib import Path

import pytest
from packaging.requirements import Requirement
from packaging.utils import canonicalize_name

ROOT = Path(__file__).resolve().parents[2]
REQUIREMENTS = ROOT / "requirements"
PROJECT = tomllib.loads((ROOT / "pyproject.toml").read_text())
OWN = "uncrop["  # an extra that holds another
EXTRAS = {"engine", "server", "postgres"}
TRACED = {*EXTRAS, "otel"}


def locked(name: str) -> dict[str, str]:
    """Return the versions that a lock names for this platform, by package."""
    lines = (REQUIREMENTS / name).read_text().replace("\\\n", " ").splitlines()
    wanted = [Requirement(line.partition(" --hash")[0]) for line in lines if line.strip() and not line.startswith("#")]
    return {
        canonicalize_name(each.name): str(each.specifier).removeprefix("==")
        for each in wanted
        if each.marker is None or each.marker.evaluate()
    }


def roots(name: str) -> list[Requirement]:
    """Return what a lock was made from."""
    extras = EXTRAS if name == "run.txt" else TRACED
    of_project = [
        *PROJECT["project"]["dependencies"],
        *(line for extra in extras for line in PROJECT["project"]["optional-dependencies"][extra] if OWN not in line),
    ]
    lines = {
        "run.txt": of_project,
        "run-otel.txt": of_project,
        "dev.txt": [*of_project, *PROJECT["dependency-groups"]["dev"]],
        "build.txt": (REQUIREMENTS / "build.in").read_text().splitlines(),
    }[name]
    return [Requirement(line) for line in lines if line.strip() and not line.startswith("#")]


@dataclass
class Walk:
    """Follows requirements from package to package and notes those that the lock does not meet."""

    versions: dict[str, str]
    seen: set[tuple[str, str]] = field(default_factory=set)
    unmet: list[str] = field(default_factory=list)

    def follow(self, wanted: Requirement, by: str) -> None:
        name = canonicalize_name(wanted.name)
        version = self.versions.get(name)
        if version is None or not wanted.specifier.contains(version, prereleases=True):
            self.unmet.append(f"{by} requires {wanted}; locked is {version}")
            return
        for extra in ("", *wanted.extras):
            if (name, extra) not in self.seen:
                self.seen.add((name, extra))
                self._follow_all(name, extra)

    def _follow_all(self, name: str, extra: str) -> None:
        for line in distribution(name).requires or ():
            wanted = Requirement(line)
            if wanted.marker is None or wanted.marker.evaluate({"extra": extra}):
                self.follow(wanted, f"{name}[{extra}]" if extra else name)


@pytest.mark.parametrize("name", ["run.txt", "run-otel.txt", "dev.txt", "build.txt"])
def test_every_requirement_of_every_locked_package_is_locked(name: str) -> None:
    walk = Walk(locked(name))
    for wanted in roots(name):
        if wanted.marker is None or wanted.marker.evaluate():
            walk.follow(wanted, name)
    assert walk.unmet == []
    # Nothing is locked that nobody asked for, so the walk has seen every line.
    assert {package for package, _ in walk.seen} == set(walk.versions)


def test_a_lock_with_a_hole_is_found() -> None:
    versions = locked("dev.txt")
    versions["coverage"] = "7.0"
    del versions["greenlet"]
    walk = Walk(versions)
    for line in ("pytest-cov", "sqlalchemy[asyncio]"):
        walk.follow(Requirement(line), "a test")
    assert [line.partition(";")[0].partition(" requires")[0] for line in walk.unmet] == [
        "pytest-cov",
        "sqlalchemy[asyncio]",
    ]


@pytest.mark.parametrize("name", ["run.txt", "run-otel.txt", "dev.txt", "build.txt"])
def test_what_is_installed_is_what_is_locked(name: str) -> None:
    installed = {}
    for package in locked(name):
        try:
            installed[package] = distribution(package).version
        except PackageNotFoundError:
            installed[package] = "missing"
    assert installed == locked(name)


@pytest.mark.parametrize("path", ["scripts/setup", "scripts/bench"])
def test_a_lock_is_installed_without_resolving(path: str) -> None:
    commands = (ROOT / path).read_text().replace("\\\n", " ").splitlines()
    installs = [line for line in commands if re.search(r"install.*--require-hashes", line)]
    assert installs
    assert all("--no-deps" in line for line in installs)
