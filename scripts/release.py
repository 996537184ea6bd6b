"""Makes a release; ``scripts/release`` calls it.

usage: scripts/release X.Y.Z [--dry-run]

The packages are built from a copy of what is committed, with the new version and the dated changelog in it. Only when
everything is verified does the checkout change: one commit and one tag. Publishing is left to whoever may.
"""

from __future__ import annotations

import argparse
import os
import re
import shlex
import shutil
import subprocess
import sys
import tarfile
import tempfile
from datetime import UTC, date, datetime
from pathlib import Path

ROOT = Path(__file__).resolve().parent.parent
CHANGELOG = "CHANGELOG.md"
VERSION_FILE = "src/uncrop/_version.py"
PHOTO = "examples/raccoon.jpg"
_HEADING = "## Unreleased"
_VERSION = re.compile(r"(0|[1-9]\d*)\.(0|[1-9]\d*)\.(0|[1-9]\d*)")
_VERSION_LINE = re.compile(r'^__version__ = "([^"]*)"$', re.MULTILINE)


class Refusal(Exception):
    """Why there can be no release; one sentence."""


# --- texts -----------------------------------------------------------------------------------------------------------


def date_changelog(text: str, version: str, today: date) -> str:
    """Put what is unreleased under the version and the day, and leave an empty heading for what comes next.

    Raises
    ------
    Refusal
        There is no such heading, or nothing under it, or the version has a heading already.
    """
    if re.search(rf"^## {re.escape(version)}\b", text, re.MULTILINE):
        raise Refusal(f"{CHANGELOG} has a heading for {version} already")
    before, heading, after = text.partition(f"\n{_HEADING}\n")
    if not heading:
        raise Refusal(f"{CHANGELOG} has no heading '{_HEADING}'")
    news = re.split(r"^## ", after, maxsplit=1, flags=re.MULTILINE)[0]
    if not re.search(r"^- ", news, re.MULTILINE):
        raise Refusal(f"{CHANGELOG} says nothing under '{_HEADING}'")
    return f"{before}\n{_HEADING}\n\n## {version} - {today.isoformat()}\n{after}"


def set_version(text: str, version: str) -> str:
    """Return the version's module with another version, which must be a higher one or the same.

    Raises
    ------
    Refusal
        The version is lower, or no version.
    """
    wanted, found = _VERSION.fullmatch(version), _VERSION_LINE.search(text)
    if wanted is None:
        raise Refusal(f"'{version}' is no version; it must be three numbers, such as 1.2.0")
    if found is None:
        raise Refusal(f"{VERSION_FILE} has no line with the version")
    present = _VERSION.fullmatch(found[1])
    if present is not None and [*map(int, wanted.groups())] < [*map(int, present.groups())]:
        raise Refusal(f"{version} is lower than the present version, {found[1]}")
    return _VERSION_LINE.sub(f'__version__ = "{version}"', text)


# --- steps -----------------------------------------------------------------------------------------------------------


def say(text: str) -> None:
    """Tell on standard error which step begins."""
    print(f"release: {text}", file=sys.stderr, flush=True)


def run(*command: str | Path, cwd: Path | None = None, data_dir: Path | None = None) -> str:
    """Run a command and return what it wrote to standard output.

    Raises
    ------
    Refusal
        It failed; with all that it said.
    """
    # What a developer has set must reach neither the checks nor the packages that are tried.
    ours = ("UNCROP_", "PYTHONPATH", "PYTHONHOME")
    variables = {name: value for name, value in os.environ.items() if not name.startswith(ours)}
    if data_dir is not None:
        variables["UNCROP_DATA_DIR"] = str(data_dir)
    arguments = [str(part) for part in command]
    done = subprocess.run(arguments, cwd=cwd or ROOT, env=variables, capture_output=True, text=True, check=False)
    if done.returncode != 0:
        raise Refusal(f"this failed: {shlex.join(arguments)}\n{done.stdout}{done.stderr}".rstrip())
    return done.stdout


def check(tag: str) -> None:
    """Look whether what is committed can be released.

    Raises
    ------
    Refusal
        Something is not committed, the tag exists, or ``scripts/check`` finds something.
    """
    if changed := run("git", "status", "--porcelain").rstrip():
        raise Refusal(f"these files are not committed:\n{changed}")
    if run("git", "tag", "--list", tag).strip():
        raise Refusal(f"the tag {tag} exists already")
    say("scripts/check")
    run(ROOT / "scripts" / "check")


def copy_of_head(folder: Path) -> Path:
    """Unpack what is committed below ``folder``."""
    archive, tree = folder / "head.tar", folder / "tree"
    run("git", "archive", "--output", archive, "HEAD")
    with tarfile.open(archive) as packed:
        packed.extractall(tree, filter="data")
    return tree


def environment(folder: Path, *locks: str) -> Path:
    """Make a virtual environment with locked packages; return its folder of programs."""
    run(sys.executable, "-m", "venv", folder)
    programs = folder / ("Scripts" if os.name == "nt" else "bin")
    for lock in locks:
        install(programs, "--no-deps", "--require-hashes", "-r", str(ROOT / "requirements" / lock))
    run(programs / "python", "-m", "pip", "--disable-pip-version-check", "check")
    return programs


def install(programs: Path, *arguments: str) -> None:
    """Install into a virtual environment."""
    run(programs / "python", "-m", "pip", "--disable-pip-version-check", "--no-input", "install", "--quiet", *arguments)


def build(tree: Path, folder: Path) -> list[Path]:
    """Build the sdist, and the wheel out of it, and check their descriptions; return both."""
    programs = environment(folder / "tools", "build.txt", "release.txt")
    packages = folder / "dist"
    run(programs / "python", "-m", "build", "--no-isolation", "--outdir", packages, tree)
    built = sorted(packages.iterdir(), key=lambda path: path.suffix != ".whl")
    run(programs / "python", "-m", "twine", "check", "--strict", *built)
    return built


def verify(wheel: Path, version: str, folder: Path) -> None:
    """Install the wheel beside the locked packages, and extend a photo with it.

    Raises
    ------
    Refusal
        It does not install or run, or tells another version.
    """
    programs = environment(folder / "scratch", "run.txt")
    install(programs, "--no-deps", str(wheel))
    run(programs / "python", "-m", "pip", "--disable-pip-version-check", "check")
    uncrop, made = programs / "uncrop", folder / "wide.jpg"
    told = run(uncrop, "--version", cwd=folder).strip()
    if told != version:
        raise Refusal(f"the wheel of {version} calls itself {told}")
    photo = ROOT / PHOTO
    run(uncrop, "extend", photo, "--left", "32", "--seed", "1", "--output", made, cwd=folder, data_dir=folder / "data")
    if not made.exists():
        raise Refusal("the installed wheel made no picture")


def release(version: str, *, dry_run: bool) -> None:
    """Do it all; with ``dry_run`` all but the commit and the tag.

    Raises
    ------
    Refusal
        There can be no release.
    """
    tag = f"v{version}"
    texts = {
        VERSION_FILE: set_version((ROOT / VERSION_FILE).read_text(), version),
        CHANGELOG: date_changelog((ROOT / CHANGELOG).read_text(), version, datetime.now(UTC).date()),
    }
    check(tag)
    with tempfile.TemporaryDirectory() as temporary:
        folder = Path(temporary)
        tree = copy_of_head(folder)
        for name, text in texts.items():
            (tree / name).write_text(text)
        say("building")
        built = build(tree, folder)
        say("installing the wheel and extending a photo with it")
        verify(built[0], version, folder)
        (ROOT / "dist").mkdir(exist_ok=True)
        for package in built:
            shutil.copy(package, ROOT / "dist")
    names = " and ".join(f"dist/{package.name}" for package in built)
    if dry_run:
        say(f"built {names}; it would now be committed and tagged as {tag}")
        return
    for name, text in texts.items():
        (ROOT / name).write_text(text)
    run("git", "commit", "--quiet", "--message", f"Release {version}", "--", *texts)
    run("git", "tag", "--annotate", tag, "--message", f"uncrop {version}")
    say(f"built {names}; committed and tagged as {tag}. To publish: git push --follow-tags, twine upload dist/*")


def main() -> int:
    """Read the arguments; return 1 where there can be no release."""
    parser = argparse.ArgumentParser(prog="scripts/release", description="Makes a release; publishes nothing.")
    parser.add_argument("version", help="three numbers, such as 1.2.0")
    parser.add_argument("--dry-run", action="store_true", help="do all but commit and tag")
    arguments = parser.parse_args()
    try:
        release(arguments.version, dry_run=arguments.dry_run)
    except Refusal as refusal:
        say(str(refusal))
        return 1
    return 0


if __name__ == "__main__":
    sys.exit(main())
