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
from uncrop.cli.exits import explained, stop
from uncrop.cli.progress import progress_on

if TYPE_CHECKING:
    from collections.abc import Callable

    from uncrop.model import UncropResult
    from uncrop.settings import Settings

_CANVAS = re.compile(r"([0-9]{1,6})x([0-9]{1,6})(?:([+-][0-9]{1,6})([+-][0-9]{1,6}))?")


def extend(
    photo: Annotated[Path, typer.Argument(help="The photo: JPEG, PNG or WebP.", show_default=False)],
    output: Annotated[Path, typer.Option("--output", "-o", help="Where to write; the name's ending sets the format.")],
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
    seed: Annotated[int | None, typer.Option(help="The same seed gives the same picture. {takes:seed}.")] = None,
    provider: Annotated[str, typer.Option(help="Who makes the pixels: {providers}.")] = "local",
    quality: Annotated[str | None, typer.Option(help="How much time to take. {takes:quality}.")] = None,
    mask: Annotated[Path | None, typer.Option(help="PNG, transparent where pixels go. {takes:mask_file}.")] = None,
    prompt: Annotated[str | None, typer.Option(help="What to continue with. {takes:prompt}.")] = None,
    negative_prompt: Annotated[str | None, typer.Option(help="What not to show. {takes:negative_prompt}.")] = None,
    size: Annotated[str | None, typer.Option(help="Of the result, with a mask. {takes:size}.")] = None,
    confidence_map: Annotated[
        Path | None, typer.Option(help="Where to write a grey PNG, the lighter the surer. {takes:confidence_map}.")
    ] = None,
) -> None:
    """Extend one photo beyond its borders."""
    from uncrop import settings
    from uncrop.bootstrap import extend_once
    from uncrop.model import Sides, UncropRequest

    data = files.read_file(photo)
    answer_format = files.format_of(output)
    write = files.prepare_output(output)
    write_map = None if confidence_map is None else files.prepare_map(confidence_map, beside=output)
    started = time.perf_counter()
    with explained():
        request = UncropRequest(
            provider=provider,
            image=data,
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
            **_canvas(canvas),
            answer_format=answer_format,
        )
        configured = settings.load()
        _compile_for(provider, configured)
        with progress_on(sys.stderr) as progress:
            result = extend_once(request, configured, progress=progress)
    _write_out((write, result.image), (write_map, result.confidence_map))
    _report(result, output, time.perf_counter() - started)


def _write_out(*files_to_write: tuple[Callable[[bytes], None] | None, bytes | None]) -> None:
    """Write each file that was asked for and made."""
    for write, content in files_to_write:
        if write is not None and content is not None:
            write(content)


def _compile_for(provider: str, configured: Settings) -> None:
    row = configured.rows.get(provider)
    if row is not None and row.computes_here:
        compile_once(configured)


def _report(result: UncropResult, output: Path, seconds: float) -> None:
    """Print the one line, and a remark for each thing that was odd."""
    facts = [f"{result.width}x{result.height}", result.facts.provider]
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
