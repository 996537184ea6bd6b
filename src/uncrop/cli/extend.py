"""`uncrop extend`: photos in, larger photos out."""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING, Any

from uncrop.cli import extend_options as options
from uncrop.cli import files
from uncrop.cli.dry_run import show_quotes
from uncrop.cli.exits import stop
from uncrop.cli.making import make_all
from uncrop.cli.targets import Wishes, plan_targets

if TYPE_CHECKING:
    from pathlib import Path

    from uncrop.model import ImageFormat, UncropRequest


def extend(
    photos: options.Photos,
    output: options.OutputFile = None,
    output_dir: options.OutputDir = None,
    left: options.Left = 0,
    right: options.Right = 0,
    up: options.Up = 0,
    down: options.Down = 0,
    aspect: options.Aspect = None,
    canvas: options.Canvas = None,
    zoom_out: options.ZoomOut = None,
    anchor: options.Anchor = None,
    output_size: options.OutputSize = None,
    output_format: options.OutputFormat = None,
    provider: options.Provider = "local",
    quality: options.Quality = None,
    seed: options.Seed = None,
    variations: options.Variations = None,
    max_calls: options.MaxCalls = None,
    detail: options.Detail = None,
    mask: options.Mask = None,
    prompt: options.Prompt = None,
    negative_prompt: options.NegativePrompt = None,
    size: options.Size = None,
    confidence_map: options.ConfidenceMap = None,
    force: options.Force = False,
    dry_run: options.DryRun = False,
    as_json: options.AsJson = False,
    show: options.Open = False,
) -> None:
    """Extend photos beyond their borders."""
    from uncrop.model import Sides, UncropRequest

    _check_photos(photos)
    request = UncropRequest(
        provider=provider,
        image=b"",
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
        detail=detail,
        variations=variations,
        **_canvas(canvas),
    )
    wishes = Wishes(output=output, folder=output_dir, format=_format(output_format), map=confidence_map, force=force)
    if dry_run:
        _tell(request, photos, wishes, as_json=as_json)
    else:
        targets = plan_targets(photos, request.variations, wishes, as_json=as_json)
        make_all(request, targets, mask=mask, as_json=as_json, show=show)


def _check_photos(photos: list[Path]) -> None:
    """Stop before any work where a photo is not there, or named twice."""
    for number, photo in enumerate(photos):
        files.check_file(photo)
        if photo in photos[:number]:
            stop(f"{photo}: is named twice")


def _tell(request: UncropRequest, photos: list[Path], wishes: Wishes, *, as_json: bool) -> None:
    if len(photos) > 1:
        stop("--dry-run takes one photo at a time")
    answer_format = wishes.format or (None if wishes.output is None else wishes.format_of(wishes.output))
    image = files.read_file(photos[0])
    show_quotes(replace(request, image=image, answer_format=answer_format), photo=str(photos[0]), as_json=as_json)


def _format(text: str | None) -> ImageFormat | None:
    if text is None:
        return None
    from uncrop.batch.columns import parse_format

    try:
        return parse_format(text)
    except ValueError as error:
        stop(f"--output-format {text}: {error}")


def _canvas(text: str | None) -> dict[str, Any]:
    if text is None:
        return {}
    from uncrop.batch.columns import parse_canvas

    try:
        return dict(parse_canvas(text))
    except ValueError as error:
        stop(f"--canvas {text}: {error}")
