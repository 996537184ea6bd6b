"""Which photo becomes which files: found out, and found possible, before any work."""

from __future__ import annotations

import os
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

from uncrop.cli import files
from uncrop.cli.exits import explained, stop
from uncrop.cli.files import STREAM
from uncrop.cli.outputs import Output, make_folder, prepare_map, prepare_output, refuse_folder

if TYPE_CHECKING:
    from collections.abc import Sequence

    from uncrop.model import ImageFormat

ENDINGS: dict[ImageFormat, str] = {"JPEG": ".jpg", "PNG": ".png", "WEBP": ".webp"}


@dataclass(frozen=True, kw_only=True, slots=True)
class Wishes:
    """Where pictures shall go, as it was typed.

    Attributes
    ----------
    output, folder
        ``--output`` and ``--output-dir``.
    format
        ``--output-format``.
    map
        ``--confidence-map``.
    force
        Whether files that exist are replaced.
    """

    output: Path | None
    folder: Path | None
    format: ImageFormat | None
    map: Path | None
    force: bool

    def format_of(self, path: Path) -> ImageFormat | None:
        """Return the format of a picture of this name; None: the photo's own."""
        if path == STREAM or (self.format is not None and not path.suffix):
            return self.format
        named = files.format_of(path)
        if self.format not in {None, named}:
            stop(f"{path}: the name's ending and --output-format {str(self.format).lower()} contradict each other")
        return named


@dataclass(frozen=True, kw_only=True, slots=True)
class Target:
    """One photo, and where its pictures and their maps go."""

    photo: Path
    pictures: tuple[Output, ...]
    maps: tuple[Output, ...] = ()
    format: ImageFormat | None = None


def plan_targets(
    photos: Sequence[Path], variations: int | None, wishes: Wishes, *, as_json: bool
) -> tuple[Target, ...]:
    """Return what is to be written for each photo, once it is known that it can be; stop with a line otherwise."""
    from uncrop.intake.fields import check_variations

    with explained():
        check_variations(variations)
    count = variations or 1
    _check_wishes(photos, count, wishes, as_json=as_json)
    if wishes.folder is None:
        named = {photos[0]: wishes.output or STREAM}
    else:
        named = {photo: _name_in(wishes.folder, photo, wishes) for photo in photos}
        _check_distinct(named)
        make_folder(wishes.folder)
    return tuple(_target(photo, path, count, wishes, photos) for photo, path in named.items())


def _check_wishes(photos: Sequence[Path], count: int, wishes: Wishes, *, as_json: bool) -> None:
    """Refuse what does not go together."""
    if wishes.folder is not None and wishes.output is not None:
        stop("--output and --output-dir: only one of them says where to write")
    if wishes.folder is None and wishes.output is None:
        stop("--output or --output-dir is missing: where to write")
    if len(photos) > 1 and wishes.folder is None:
        stop(f"--output {wishes.output}: is for one photo; --output-dir takes the pictures of several")
    if len(photos) > 1 and wishes.map is not None:
        stop("--confidence-map: is for one photo")
    if wishes.output == STREAM and count > 1:
        stop("--output -: standard output takes one picture; name a file for several")
    if wishes.output == STREAM and as_json:
        stop("--output -: standard output takes the picture or the JSON, not both")
    if wishes.output == STREAM and os.isatty(1):
        stop("--output -: standard output is the terminal; send the picture to a file or a program")


def _name_in(folder: Path, photo: Path, wishes: Wishes) -> Path:
    """Return the name of a photo's picture in a folder: its own, with the ending of the format."""
    if photo == STREAM:
        stop("-: has no name for --output-dir; use --output")
    if wishes.format is not None and files.SUFFIXES.get(photo.suffix.lower()) != wishes.format:
        return folder / f"{photo.stem}{ENDINGS[wishes.format]}"
    if photo.suffix.lower() not in files.SUFFIXES:
        stop(f"{photo}: its name says no format for the picture; --output-format does")
    return folder / photo.name


def _check_distinct(named: dict[Path, Path]) -> None:
    """Refuse two photos whose pictures would have one name."""
    taken: dict[str, Path] = {}
    for photo, path in named.items():
        other = taken.setdefault(os.path.realpath(path), photo)
        if other is not photo:
            stop(f"{other} and {photo}: both would become {path}; give them different names, or folders of their own")


def _target(photo: Path, path: Path, count: int, wishes: Wishes, photos: Sequence[Path]) -> Target:
    refuse_folder(path)
    answer_format = wishes.format_of(path)
    paths = files.numbered(path, count)
    for each in paths:
        if each != STREAM and (same := [photo for photo in photos if photo != STREAM and files.is_same(photo, each)]):
            which = "itself" if same[0] == each else str(same[0])
            stop(f"{each}: is the photo {which}; a photo is not replaced by its own picture")
    maps = [] if wishes.map is None else files.numbered(wishes.map, count)
    return Target(
        photo=photo,
        pictures=tuple(prepare_output(each, force=wishes.force) for each in paths),
        maps=tuple(
            prepare_map(each, beside=beside, force=wishes.force) for each, beside in zip(maps, paths, strict=False)
        ),
        format=answer_format,
    )
