"""What `uncrop extend` says about a picture: a line for people, an object for programs, remarks about what was odd."""

from __future__ import annotations

import dataclasses
import json
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from pathlib import Path

    from uncrop.model import UncropResult


def picture_line(result: UncropResult, seconds: float) -> str:
    """Return what the line about a picture says after the file's name."""
    facts = [f"{result.width}x{result.height}", result.facts.provider]
    facts += [f"{result.provider_calls} calls"] if (result.provider_calls or 0) > 1 else []
    facts += [f"seed {result.seed}"] if result.seed is not None else []
    facts += [f"confidence {result.facts.confidence:.2f}"] if result.facts.confidence is not None else []
    repainted = result.repaint_difference
    facts += [f"repainted by {repainted:.1f} levels"] if repainted is not None else []
    facts += [f"detail {result.detail.to_text().replace('; ', ', ')}"] if result.detail is not None else []
    return ", ".join([*facts, f"{seconds:.1f} s"])


def picture_json(result: UncropResult, photo: Path, path: Path, seconds: float) -> str:
    """Return what is known about a picture as a JSON object in one line; names as the API has them."""
    facts, placement = result.facts, result.placement
    known = {
        "photo": str(photo),
        "file": str(path),
        "media_type": result.media_type,
        "width": result.width,
        "height": result.height,
        "canvas": None if placement is None else placement.to_text(),
        "provider": facts.provider,
        "provider_request_id": facts.request_id,
        "provider_calls": result.provider_calls,
        "credits_consumed": None if facts.credits_consumed is None else f"{facts.credits_consumed:f}",
        "seed": result.seed,
        "confidence": facts.confidence,
        "advice": None if facts.advice is None else dataclasses.asdict(facts.advice),
        "original": result.original,
        "repaint_difference": result.repaint_difference,
        "detail": None if result.detail is None else result.detail.to_text(),
        "warnings": list(result.warnings),
        "seconds": round(seconds, 3),
    }
    return json.dumps(known)


def remarks(result: UncropResult) -> list[str]:
    """Return a line for each thing that was odd."""
    beyond = _overreach(result)
    return [*([f"confident up to {', '.join(beyond)}"] if beyond else []), *result.warnings]


def _overreach(result: UncropResult) -> list[str]:
    """Name the sides that were extended further than can be trusted, and how far they can."""
    if result.facts.advice is None or result.placement is None:
        return []
    added = dataclasses.asdict(result.placement.added)
    trusted = dataclasses.asdict(result.facts.advice)
    return [f"{side} {trusted[side]}" for side, pixels in added.items() if pixels > trusted[side]]
