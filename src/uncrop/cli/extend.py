"""`uncrop extend`: one photo in, one larger photo out."""

from __future__ import annotations

import dataclasses
import sys
import time
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from uncrop.cli import files
from uncrop.cli.compiling import compile_once
from uncrop.cli.exits import explained
from uncrop.cli.progress import progress_on

if TYPE_CHECKING:
    from uncrop.model import Sides
    from uncrop.settings import Settings


def extend(
    photo: Annotated[Path, typer.Argument(help="The photo: JPEG, PNG or WebP.", show_default=False)],
    output: Annotated[Path, typer.Option("--output", "-o", help="Where to write; the name's ending sets the format.")],
    left: Annotated[int, typer.Option(help="Pixels to add on the left; negative crops.")] = 0,
    right: Annotated[int, typer.Option(help="Pixels to add on the right.")] = 0,
    up: Annotated[int, typer.Option(help="Pixels to add above.")] = 0,
    down: Annotated[int, typer.Option(help="Pixels to add below.")] = 0,
    seed: Annotated[int | None, typer.Option(help="The same seed gives the same picture. {takes:seed}.")] = None,
    provider: Annotated[str, typer.Option(help="Who makes the pixels: {providers}.")] = "local",
    quality: Annotated[str | None, typer.Option(help="How much time to take. {takes:quality}.")] = None,
    mask: Annotated[Path | None, typer.Option(help="PNG, transparent where pixels go. {takes:mask_file}.")] = None,
    prompt: Annotated[str | None, typer.Option(help="What to continue with. {takes:prompt}.")] = None,
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
    mask_data = None if mask is None else files.read_file(mask)
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
            mask=mask_data,
            prompt=prompt,
            size=size,
            confidence_map=confidence_map is not None,
            answer_format=answer_format,
        )
        configured = settings.load()
        _prepare(configured, provider)
        with progress_on(sys.stderr) as progress:
            result = extend_once(request, configured, progress=progress)
    write(result.image)
    if write_map is not None and result.confidence_map is not None:
        write_map(result.confidence_map)
    facts = [f"{result.width}x{result.height}", result.facts.provider]
    facts += [f"seed {result.seed}"] if result.seed is not None else []
    facts += [f"confidence {result.facts.confidence:.2f}"] if result.facts.confidence is not None else []
    facts += [f"repainted by {result.drift:.1f} levels"] if result.drift is not None else []
    facts += [f"{time.perf_counter() - started:.1f} s"]
    typer.echo(f"{output}: {', '.join(facts)}")
    beyond = _overreach(request.sides, result.facts.advice)
    for remark in (*([f"confident up to {', '.join(beyond)}"] if beyond else []), *result.warnings):
        typer.echo(f"uncrop: {remark}", err=True)


def _prepare(configured: Settings, provider: str) -> None:
    """Compile the engine, or look at the way out, before anything is begun."""
    row = configured.rows.get(provider)
    if row is not None and row.computes_here:
        compile_once(configured)
    elif row is not None:
        configured.check_network()


def _overreach(asked: Sides, advice: Sides | None) -> list[str]:
    """Name the sides that were extended further than can be trusted, and how far they can."""
    if advice is None:
        return []
    trusted = dataclasses.asdict(advice)
    return [f"{side} {trusted[side]}" for side, pixels in dataclasses.asdict(asked).items() if pixels > trusted[side]]
