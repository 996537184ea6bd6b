"""Carries out a Dockerfile's steps in a folder per stage, by chroot, on a Debian made by debootstrap."""

from __future__ import annotations

import shutil
import subprocess
import sys
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from dockerfile import Instruction, Stage

CERTIFICATES = Path("/etc/ssl/certs/ca-certificates.crt")
# Gives the command that follows a /proc and a /dev of its own.
MOUNTED = 'mount -t proc proc "$1/proc" && mount --rbind /dev "$1/dev" && shift && exec "$@"'


@dataclass(kw_only=True)
class Image:
    """A stage's folder, and what the instructions have set."""

    root: Path
    environment: dict[str, str] = field(default_factory=lambda: {"PATH": "/usr/sbin:/usr/bin:/sbin:/bin"})
    folder: str = "/"
    user: str = "0:0"

    def command(self, *words: str) -> list[str]:
        """Return what runs a command in here, as the image's user, with the image's environment."""
        reuid, _, regid = self.user.partition(":")
        values = [f"{name}={value}" for name, value in self.environment.items()]
        enter = f'cd "{self.folder}" && exec "$@"'
        become = ["setpriv", f"--reuid={reuid}", f"--regid={regid or reuid}", "--clear-groups"]
        return ["chroot", str(self.root), *become, "env", "-i", *values, "sh", "-c", enter, "sh", *words]


def debian(folder: Path, base: str) -> None:
    """Make the Debian that an image's name stands for: ``debian:bookworm-slim``.

    Raises
    ------
    ValueError
        The image is another.
    """
    name, _, release = base.partition(":")
    if name != "debian" or not release.endswith("-slim"):
        raise ValueError(f"{base}: only debian:…-slim can be made by debootstrap")
    subprocess.run(["debootstrap", "--variant=minbase", release.removesuffix("-slim"), str(folder)], check=True)


def build(stages: list[Stage], *, context: Path, base: Path, into: Path) -> Image:
    """Carry out all stages, and return the last one's image.

    Parameters
    ----------
    stages
        Of one base, as ``dockerfile.read`` returns them.
    context
        The folder that COPY takes files from.
    base
        A Debian, which is copied for each stage.
    into
        Where the stages' folders are made.
    """
    made: dict[str, Image] = {}
    for number, stage in enumerate(stages):
        image = Image(root=into / f"stage-{number}")
        subprocess.run(["cp", "--archive", "--reflink=auto", str(base), str(image.root)], check=True)
        _let_it_find_registries(image.root)
        for instruction in stage.instructions:
            print(f"  {instruction.word} {instruction.rest[:100]}", file=sys.stderr, flush=True)
            _carry_out(instruction, image, context, made)
        made[stage.name or str(number)] = image
    return image


def _let_it_find_registries(root: Path) -> None:
    """Give it this machine's name servers and certificates, as an engine's network would be this machine's."""
    shutil.copy("/etc/resolv.conf", root / "etc/resolv.conf")
    (root / "etc/hosts").write_text("127.0.0.1 localhost\n")
    if CERTIFICATES.exists():
        target = root / CERTIFICATES.relative_to("/")
        target.parent.mkdir(parents=True, exist_ok=True)
        shutil.copy(CERTIFICATES, target)


def _carry_out(instruction: Instruction, image: Image, context: Path, made: dict[str, Image]) -> None:
    match instruction.word:
        case "ENV":
            image.environment |= dict(word.split("=", 1) for word in instruction.words())
        case "WORKDIR":
            image.folder = instruction.rest
            _inside(image, image.folder).mkdir(parents=True, exist_ok=True)
        case "USER":
            image.user = instruction.rest
        case "COPY":
            source = made[instruction.options["from"]].root if "from" in instruction.options else context
            _copy(instruction, source, image)
        case "RUN":
            command = image.command("sh", "-c", instruction.rest)
            subprocess.run(["unshare", "--mount", "sh", "-c", MOUNTED, "sh", str(image.root), *command], check=True)


def _copy(instruction: Instruction, source: Path, image: Image) -> None:
    *names, target = instruction.words()
    place = _inside(image, target)
    if len(names) > 1 or target.endswith("/"):
        place.mkdir(parents=True, exist_ok=True)
    for name in names:
        found = source / name.lstrip("/")
        # A folder's contents are copied, as COPY does.
        inner = f"{found}/." if found.is_dir() else str(found)
        if found.is_dir():
            place.mkdir(parents=True, exist_ok=True)
        subprocess.run(["cp", "--archive", inner, str(place)], check=True)
        subprocess.run(["chown", "--recursive", instruction.options.get("chown", "0:0"), str(place)], check=True)


def _inside(image: Image, path: str) -> Path:
    return image.root / (path if path.startswith("/") else f"{image.folder}/{path}").lstrip("/")
