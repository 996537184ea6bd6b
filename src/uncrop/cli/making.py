"""Making the pictures of `uncrop extend`, writing them, and saying how it went."""

from __future__ import annotations

import sys
import time
from dataclasses import replace
from typing import TYPE_CHECKING

import typer

from uncrop.cli.compiling import compile_once
from uncrop.cli.exits import code_of, explained, note, stop
from uncrop.cli.files import STREAM, read_file
from uncrop.cli.interrupt import ends_on_interrupt
from uncrop.cli.printable import printable
from uncrop.cli.progress import Bar
from uncrop.cli.report import picture_json, picture_line, remarks
from uncrop.cli.viewer import open_viewer
from uncrop.cli.wording import sentence

if TYPE_CHECKING:
    from collections.abc import Sequence
    from pathlib import Path

    from uncrop.cli.targets import Target
    from uncrop.model import UncropRequest
    from uncrop.service.pictures import MadePictures
    from uncrop.settings import Settings


def make_all(
    request: UncropRequest, targets: Sequence[Target], *, mask: Path | None, as_json: bool, show: bool
) -> None:
    """Make, write and report the pictures of every photo; what fails for one photo leaves the others alone.

    Parameters
    ----------
    request
        What is asked; without a photo.
    targets
        The photos, and where their pictures go.
    mask
        The name of the mask's file.
    as_json, show
        Whether JSON is printed; whether the pictures are shown in a viewer.
    """
    with explained(), ends_on_interrupt("interrupted; nothing was written"):
        from uncrop import settings

        configured = settings.load()
        _prepare(request.provider, configured)
    codes = []
    for number, target in enumerate(targets):
        label = f"{number + 1}/{len(targets)} {printable(target.photo)} " if len(targets) > 1 else ""
        try:
            _make(replace(request, answer_format=target.format), target, configured, label, mask=mask, as_json=as_json)
            if show:
                _show(target)
        except typer.Exit as ended:
            codes.append(ended.exit_code)
    if codes:
        raise typer.Exit(codes[0])


def _prepare(provider: str, configured: Settings) -> None:
    """Compile the engine, or look at the way out, before anything is begun."""
    from uncrop.service.quote import AUTO

    names = configured.auto_names if provider == AUTO else (provider,)
    rows = [row for name in names if (row := configured.rows.get(name)) is not None]
    if any(row.computes_here for row in rows):
        compile_once(configured)
    if not all(row.computes_here for row in rows):
        configured.check_network()


def _make(
    request: UncropRequest, target: Target, configured: Settings, label: str, *, mask: Path | None, as_json: bool
) -> None:
    """Make, write and report the pictures of one photo."""
    request = replace(request, image=read_file(target.photo))
    started = time.perf_counter()
    with explained(_typed(request, target, mask), about=str(target.photo) if label else ""):
        made = _interruptible(request, target, configured, label)
    seconds = time.perf_counter() - started
    results = [picture.result for picture in made.pictures]
    for result, output in zip(results, target.pictures, strict=False):
        output.write(result.image)
    for result, output in zip(results, target.maps, strict=False):
        output.write(result.confidence_map or b"")
    for result, output in zip(results, target.pictures, strict=False):
        if as_json:
            typer.echo(picture_json(result, target.photo, output.path, seconds))
        elif output.path == STREAM:
            note(picture_line(result, seconds))
        else:
            typer.echo(f"{printable(output.path)}: {picture_line(result, seconds)}")
        for remark in remarks(result):
            note(remark)
    if made.failures:
        first = made.failures[0]
        said = sentence(first, _typed(request, target, mask))
        stop(f"{len(made.failures)} of {made.asked} were not made: {said}", code_of(first))


def _interruptible(request: UncropRequest, target: Target, configured: Settings, label: str) -> MadePictures:
    """Make the pictures of one photo, with a bar, and end at once on Ctrl-C."""
    row = configured.rows.get(request.provider)
    billed = row is not None and row.bills
    says = f"interrupted; {' and '.join(str(output.path) for output in target.pictures)} not written"
    says += f"; {request.provider} may bill what it began" if billed else ""
    bar = Bar(sys.stderr, label)
    with bar as progress, ends_on_interrupt(says, bar.wipe):
        from uncrop.bootstrap import make_once

        return make_once(request, configured, progress=progress)


def _typed(request: UncropRequest, target: Target, mask: Path | None) -> dict[str, str]:
    """Return what was typed, by the form's field, for sentences about it."""
    typed = {
        "image_file": str(target.photo),
        "mask_file": None if mask is None else str(mask),
        "provider": request.provider,
        "quality": request.quality,
        "anchor": request.anchor,
        "size": request.size,
    }
    return {field: value for field, value in typed.items() if value is not None}


def _show(target: Target) -> None:
    for output in target.pictures:
        if output.path != STREAM and output.target.exists() and not open_viewer(output.target):
            note(f"--open: there is no viewer for {output.path}")
