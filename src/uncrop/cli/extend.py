"""`uncrop extend`: one photo in, one larger photo out."""

from __future__ import annotations

import dataclasses
import re
import sys
import time
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from uncrop.cli import files
from uncrop.cli.compiling import compile_once
from uncrop.cli.dry_run import show_quotes
from uncrop.cli.exits import code_of, explained, stop
from uncrop.cli.progress import progress_on

if TYPE_CHECKING:
    from uncrop.model import UncropRequest, UncropResult
    from uncrop.settings import Settings

_CANVAS = re.compile(r"([0-9]{1,6})x([0-9]{1,6})(?:([+-][0-9]{1,6})([+-][0-9]{1,6}))?")


def extend(
    photo: Annotated[Path, typer.Argument(help="The photo: JPEG, PNG or WebP.", show_default=False)],
    output: Annotated[
        Path | None, typer.Option("--output", "-o", help="Where to write; the name's ending sets the format.")
    ] = None,
    left: Annotated[int, typer.Option(help="Pixels to add on the left; negative crops.")] = 0,
    right: Annotated[int, typer.Option(help="Pixels to add on the right.")] = 0,
    up: Annotated[int, typer.Option(help="Pixels to add above.")] = 0,
    down: Annotated[int, typer.Option(help="Pixels to add below.")] = 0,
    aspect: Annotated[str | None, typer.Option(help="In place of sides: the ratio of the result, as 16:9.")] = None,
    canvas: Annotated[
        str | None, typer.Option(help="In place of sides: 2000x1500, or 2000x1500+X+Y to say where the photo lies.")
    ] = None,
    zoom_out: Annotated[int | None, typer.Option(help="In place of sides: per cent, 1 to 90.")] = None,
    anchor: Annotated[str | None, typer.Option(help="Where the photo lies: center, left, top-right and so on.")] = None,
    output_size: Annotated[str | None, typer.Option(help="Of the finished picture, as 1920x1080.")] = None,
    max_calls: Annotated[int | None, typer.Option(help="Billed calls that it may take, 1 to 8; else 1.")] = None,
    seed: Annotated[int | None, typer.Option(help="The same seed gives the same picture. {takes:seed}.")] = None,
    provider: Annotated[str, typer.Option(help="Who makes the pixels: auto, {providers}.")] = "local",
    quality: Annotated[str | None, typer.Option(help="How much time to take. {takes:quality}.")] = None,
    mask: Annotated[Path | None, typer.Option(help="PNG, transparent where pixels go. {takes:mask_file}.")] = None,
    prompt: Annotated[str | None, typer.Option(help="What to continue with. {takes:prompt}.")] = None,
    negative_prompt: Annotated[str | None, typer.Option(help="What not to show. {takes:negative_prompt}.")] = None,
    size: Annotated[str | None, typer.Option(help="Of the result, with a mask. {takes:size}.")] = None,
    confidence_map: Annotated[
        Path | None, typer.Option(help="Where to write a grey PNG, the lighter the surer. {takes:confidence_map}.")
    ] = None,
    variations: Annotated[int | None, typer.Option(help="1 to 4 pictures of seeds of their own, numbered.")] = None,
    dry_run: Annotated[bool, typer.Option("--dry-run", help="Make nothing; tell what it would take.")] = False,
    as_json: Annotated[bool, typer.Option("--json", help="With --dry-run: print JSON.")] = False,
) -> None:
    """Extend one photo beyond its borders."""
    from uncrop.model import Sides, UncropRequest

    request = UncropRequest(
        provider=provider,
        image=files.read_file(photo),
        sides=Sides(left=left, right=right, up=up, down=down),
        seed=seed,
        quality=quality,
        mask=None if mask is None else files.read_file(mask),
        prompt=prompt,
        negative_prompt=negative_prompt,
        size=size,
        confidence_map=confidence_map is not None,
        aspect_ratio=aspect,
        zoom_out=zoom_out,
        anchor=anchor,
        output_size=output_size,
        max_calls=max_calls,
        variations=variations,
        **_canvas(canvas),
        answer_format=None if output is None else files.format_of(output),
    )
    if dry_run:
        show_quotes(request, as_json=as_json)
    elif as_json:
        stop("--json goes with --dry-run")
    else:
        _extend(request, output, confidence_map)


def _extend(request: UncropRequest, output: Path | None, confidence_map: Path | None) -> None:
    """Make the pictures, write them, and say how it went."""
    if output is None:
        stop("--output is missing: the file to write")
    from uncrop import settings
    from uncrop.bootstrap import make_once
    from uncrop.intake.fields import check_variations

    with explained():
        check_variations(request.variations)
    count = request.variations or 1
    outputs = files.numbered(output, count)
    writes = [files.prepare_output(path) for path in outputs]
    maps = [] if confidence_map is None else files.numbered(confidence_map, count)
    write_maps = [files.prepare_map(path, beside=beside) for path, beside in zip(maps, outputs, strict=False)]
    started = time.perf_counter()
    with explained():
        configured = settings.load()
        _prepare(request.provider, configured)
        with progress_on(sys.stderr) as progress:
            made = make_once(request, configured, progress=progress)
    seconds = time.perf_counter() - started
    results = [picture.result for picture in made.pictures]
    for result, write in zip(results, writes, strict=False):
        write(result.image)
    for result, write_map in zip(results, write_maps, strict=False):
        write_map(result.confidence_map or b"")
    for result, path in zip(results, outputs, strict=False):
        _report(result, path, seconds)
    if made.failures:
        stop(
            f"{len(made.failures)} of {made.asked} were not made: {made.failures[0].message}", code_of(made.failures[0])
        )


def _prepare(provider: str, configured: Settings) -> None:
    """Compile the engine, or look at the way out, before anything is begun."""
    from uncrop.service.quote import AUTO

    names = configured.auto_names if provider == AUTO else (provider,)
    rows = [row for name in names if (row := configured.rows.get(name)) is not None]
    if any(row.computes_here for row in rows):
        compile_once(configured)
    if not all(row.computes_here for row in rows):
        configured.check_network()


def _report(result: UncropResult, output: Path, seconds: float) -> None:
    """Print the one line, and a remark for each thing that was odd."""
    facts = [f"{result.width}x{result.height}", result.facts.provider]
    facts += [f"{result.provider_calls} calls"] if (result.provider_calls or 0) > 1 else []
    facts += [f"seed {result.seed}"] if result.seed is not None else []
    facts += [f"confidence {result.facts.confidence:.2f}"] if result.facts.confidence is not None else []
    repainted = result.repaint_difference
    facts += [f"repainted by {repainted:.1f} levels"] if repainted is not None else []
    typer.echo(f"{output}: {', '.join([*facts, f'{seconds:.1f} s'])}")
    beyond = _overreach(result)
    for remark in (*([f"confident up to {', '.join(beyond)}"] if beyond else []), *result.warnings):
        typer.echo(f"uncrop: {remark}", err=True)


def _canvas(text: str | None) -> dict[str, Any]:
    """Read ``2000x1500`` or ``2000x1500+X+Y``; X and Y may be negative, as in ``2000x1500-10+0``."""
    if text is None:
        return {}
    match = _CANVAS.fullmatch(text)
    if match is None:
        stop(f"--canvas {text}: must be like 2000x1500 or 2000x1500+100+0")
    names = ("canvas_width", "canvas_height", "canvas_x", "canvas_y")
    return {name: int(number) for name, number in zip(names, match.groups(), strict=True) if number is not None}


def _overreach(result: UncropResult) -> list[str]:
    """Name the sides that were extended further than can be trusted, and how far they can."""
    if result.facts.advice is None or result.placement is None:
        return []
    placement, kept = result.placement, result.placement.kept
    added = {
        "left": kept.x,
        "right": placement.width - kept.x - kept.width,
        "up": kept.y,
        "down": placement.height - kept.y - kept.height,
    }
    trusted = dataclasses.asdict(result.facts.advice)
    return [f"{side} {trusted[side]}" for side, pixels in added.items() if pixels > trusted[side]]
