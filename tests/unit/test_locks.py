"""The locks are whole: what each locked package requires, extras included, is locked at a version that will do.

``scripts/setup`` installs them with ``--no-deps``, so nobody else looks. What a package requires is read from its
installed metadata, so only for this platform and this Python; the markers of the others are not followed.
"""

from __future__ import annotations

import re
import tomllib
from dataclasses import dataclass, field
from importlib.metadata import PackageNotFoundError, distribution
from importlib.util import find_spec
from pathlib import Path

import pytest
from packaging.requirements import Requirement
from packaging.utils import canonicalize_name

ROOT = Path(__file__).resolve().parents[2]
REQUIREMENTS = ROOT / "requirements"
PROJECT = tomllib.loads((ROOT / "pyproject.toml").read_text())
HAS_RAY = find_spec("ray") is not None
OWN = "uncrop["  # an extra that holds another
EXTRAS = {"engine", "jobs", "server", "postgres", "redis"}
TRACED = {*EXTRAS, "otel"}
# By what each lock holds beside what is installed here: Ray's is whole only where scripts/test-ray installs it.
INSTALLED = ["run.txt", "run-otel.txt", "dev.txt", "build.txt"]
WITH_RAY = pytest.param("ray.txt", marks=[pytest.mark.ray, pytest.mark.skipif(not HAS_RAY, reason="needs Ray")])
LINE = re.compile(r"[A-Za-z0-9._-]+==[A-Za-z0-9.!+]+( ; [^;]+?)?( --hash=sha256:[0-9a-f]{64})+")


def lines_of(name: str) -> list[str]:
    """Return the lines of a lock, each with its hashes."""
    lines = re.sub(r" *\\\n *", " ", (REQUIREMENTS / name).read_text()).splitlines()
    return [line for line in lines if line.strip() and not line.startswith("#")]


def locked(name: str) -> dict[str, str]:
    """Return the versions that a lock names for this platform, by package."""
    wanted = [Requirement(line.partition(" --hash")[0]) for line in lines_of(name)]
    return {
        canonicalize_name(each.name): str(each.specifier).removeprefix("==")
        for each in wanted
        if each.marker is None or each.marker.evaluate()
    }


def roots(name: str) -> list[Requirement]:
    """Return what a lock was made from."""
    extras = {"run.txt": EXTRAS, "ray.txt": {*TRACED, "ray"}}.get(name, TRACED)
    of_project = [
        *PROJECT["project"]["dependencies"],
        *(line for extra in extras for line in PROJECT["project"]["optional-dependencies"][extra] if OWN not in line),
    ]
    lines = {
        "run.txt": of_project,
        "run-otel.txt": of_project,
        "dev.txt": [*of_project, *PROJECT["dependency-groups"]["dev"]],
        "ray.txt": [*of_project, *PROJECT["dependency-groups"]["dev"]],
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


@pytest.mark.parametrize("name", [path.name for path in sorted(REQUIREMENTS.glob("*.txt"))])
def test_every_line_of_a_lock_is_one_version_with_hashes_and_nothing_else(name: str) -> None:
    assert [line for line in lines_of(name) if not LINE.fullmatch(line)] == []
    assert lines_of(name)


@pytest.mark.parametrize(
    "line",
    [
        "--index-url https://pypi.example/simple",
        "--extra-index-url https://pypi.example/simple",
        "ray==2.60.0",
        "ray>=2.60 --hash=sha256:" + "0" * 64,
        "ray==2.60.0 --hash=md5:" + "0" * 32,
        "ray @ https://pypi.example/ray.whl --hash=sha256:" + "0" * 64,
    ],
)
def test_a_line_that_says_less_or_more_is_found(line: str) -> None:
    assert not LINE.fullmatch(line)


def test_what_is_tested_with_ray_is_what_is_tested_without_it() -> None:
    ray, dev = (
        dict(line.partition(" --hash")[0].split("==", 1) for line in lines_of(f"{name}.txt")) for name in ("ray", "dev")
    )
    assert dev.items() <= ray.items()
    (wanted,) = (Requirement(line) for line in PROJECT["project"]["optional-dependencies"]["ray"])
    assert wanted.specifier.contains(ray["ray"])


@pytest.mark.parametrize("name", [*INSTALLED, WITH_RAY])
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
    versions["pluggy"] = "1.0"
    del versions["greenlet"]
    walk = Walk(versions)
    for line in ("pytest", "sqlalchemy[asyncio]"):
        walk.follow(Requirement(line), "a test")
    assert [line.partition(";")[0].partition(" requires")[0] for line in walk.unmet] == [
        "pytest",
        "sqlalchemy[asyncio]",
    ]


@pytest.mark.parametrize("name", [*INSTALLED, WITH_RAY])
def test_what_is_installed_is_what_is_locked(name: str) -> None:
    installed = {}
    for package in locked(name):
        try:
            installed[package] = distribution(package).version
        except PackageNotFoundError:
            installed[package] = "missing"
    assert installed == locked(name)


@pytest.mark.parametrize("path", ["scripts/setup", "scripts/bench", "scripts/test-ray"])
def test_a_lock_is_installed_without_resolving(path: str) -> None:
    commands = (ROOT / path).read_text().replace("\\\n", " ").splitlines()
    installs = [line for line in commands if re.search(r"install.*--require-hashes", line)]
    assert installs
    assert all("--no-deps" in line for line in installs)
