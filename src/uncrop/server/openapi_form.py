"""The request half of the OpenAPI document: the form's fields, and a request for each provider, from their rows."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from uncrop.geometry.notations import ANCHORS, MAX_RATIO, MAX_ZOOM, MIN_ZOOM
from uncrop.geometry.sides import MAX_SIDE
from uncrop.intake.fields import DETAIL_CHOICES, MAX_VARIATIONS, MOST_CALLS
from uncrop.model import MEDIA_TYPES, ORGANIZATION_ID
from uncrop.server.fields import FILES, FORMATS, NUMBERS, REQUIRED, SIDES, SWITCHES
from uncrop.service.quote import AUTO

if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence

    from uncrop.model import FieldFacts, ImageFormat, ProviderFacts

Json = dict[str, Any]

_FORMAT_NAMES: dict[ImageFormat, str] = {"JPEG": "JPEG", "PNG": "PNG", "WEBP": "WebP"}
# What holds for a field whoever takes it.
_REMARKS = {"seed": "Without it one is drawn, and returned as `X-Seed`."}
# The request of an example: the photo, and of these what the provider takes.
PHOTO_EXAMPLE = {"organization_id": "org_123abc", "image_file": "(the bytes of photo.jpg)"}
_WITH_SIDES = {"extend_left": 200, "extend_right": 200}
_WITH_MASK = {"mask_file": "(the bytes of mask.png)", "prompt": "A wide beach"}
_SEED = 42
_AUTO = (
    f"`{AUTO}`: the first that can, of those that the operator lists; the next is asked only when nothing was, or may "
    "have been, billed. `X-Provider` names who made the picture; `details.tried` of an error, who was asked."
)


def form_schema(rows: Sequence[ProviderFacts]) -> Json:
    """Return the schema of the request's body.

    No field has a ``default``: programs made from the document would send it, and a provider that does not take the
    field would refuse it. What holds without a field stands in its description.
    """
    names = list(dict.fromkeys(field.name for row in rows for field in row.fields))
    return {
        "type": "object",
        "required": list(REQUIRED),
        "properties": {
            "provider": {
                "type": "string",
                "enum": [*(row.name for row in rows), AUTO],
                "description": "\n\n".join(("Who makes the pixels.", _AUTO, *map(_introduction, rows))),
            },
            "organization_id": {
                "type": "string",
                "pattern": f"^{ORGANIZATION_ID.pattern}$",
                "description": "The organization that the key belongs to, `org_` prefixed.",
                "examples": ["org_123abc"],
            },
            "image_file": _file("\n\n".join(("The photo to extend: still, and whole.", *map(_limits, rows)))),
            **{name: _side(side, rows) for side, name in SIDES.items()},
            **_canvas_fields(),
            "max_calls": {
                "type": "integer",
                "minimum": 1,
                "maximum": MOST_CALLS,
                "description": "How many calls that may be billed the picture may take; one when absent. "
                "What takes more is refused, and `details.calls_needed` says how many.",
            },
            "detail": {
                "type": "string",
                "enum": list(DETAIL_CHOICES),
                "description": "Whether detail is drawn from the photo into what a provider made at less than two "
                "thirds of its scale, and which had to be enlarged. `on` when absent. `X-Detail` says what was done.",
            },
            "variations": {
                "type": "integer",
                "minimum": 1,
                "maximum": MAX_VARIATIONS,
                "description": "As many pictures in one answer, each with a seed of its own where the provider takes "
                "one: `seed`, and the others from 4 n to 4 n + 3. Each is a call, or several, and counts as a picture. "
                "With more than 1 the answer is JSON; it says which were made.",
            },
            **{name: _field(name, rows) for name in names},
        },
    }


def image_media_types(rows: Iterable[ProviderFacts]) -> str:
    """Return the media types of the photos that any provider takes, with commas."""
    return ", ".join(sorted({MEDIA_TYPES[kind] for row in rows for kind in row.upload.formats}))


# --- what is said about a provider -----------------------------------------------------------------------------------


def _introduction(row: ProviderFacts) -> str:
    price = row.price
    cost = "" if price is None else f" {price.amount:f} {price.unit} for each {price.per} ({price.date})."
    return f"`{row.name}`: {row.sentence}{cost}"


def _limits(row: ProviderFacts) -> str:
    geometry, upload = row.geometry, row.upload
    formats = _listed([_FORMAT_NAMES[kind] for kind in sorted(upload.formats)], "or")
    limits = [f"at most {upload.max_bytes / 1_000_000:g} MB"]
    if geometry.max_photo_pixels is not None:
        scaled = " (larger ones are scaled)" if geometry.scales else ""
        limits.append(f"at most {geometry.max_photo_pixels / 1_000_000:g} megapixels{scaled}")
    if geometry.min_photo_edge > 1:
        limits.append(f"at least {geometry.min_photo_edge} pixels a side")
    return f"`{row.name}`: {formats}, {', '.join(limits)}."


# --- fields ----------------------------------------------------------------------------------------------------------


def _side(side: str, rows: Sequence[ProviderFacts]) -> Json:
    said = [f"Pixels to add ({side}); a negative number crops. 0 when absent; one side must not be 0."]
    if growing := [row for row in rows if not row.geometry.crops]:
        said.append(f"With {_names(growing)} one side must be positive.")
    if masked := [row for row in rows if row.takes("mask_file")]:
        said.append(f"With {_names(masked)} sides and a mask exclude each other.")
    low = [row for row in rows if row.geometry.max_side is not None and row.geometry.max_side < MAX_SIDE]
    said += [f"`{row.name}` adds at most {row.geometry.max_side} in one call." for row in low]
    return {"type": "integer", "minimum": -MAX_SIDE, "maximum": MAX_SIDE, "description": " ".join(said)}


def _canvas_fields() -> Json:
    """Return the other notations for the canvas, which every provider takes, and what the finished picture may be."""
    edge: Json = {"type": "integer", "minimum": 1}
    return {
        "aspect_ratio": {
            "type": "string",
            "description": f"In place of sides: the canvas's ratio, from 1:{MAX_RATIO} to {MAX_RATIO}:1. The canvas "
            "is the smallest that holds the whole photo; its edge is the nearest whole number.",
            "examples": ["16:9", "1.91"],
        },
        "canvas_width": {**edge, "description": "In place of sides, with `canvas_height`: the canvas's width."},
        "canvas_height": {**edge, "description": "In place of sides, with `canvas_width`: the canvas's height."},
        "canvas_x": {
            "type": "integer",
            "description": "With `canvas_y`: where the photo's left edge lies. What lies outside is cropped.",
        },
        "canvas_y": {
            "type": "integer",
            "description": "With `canvas_x`: where the photo's upper edge lies. What lies outside is cropped.",
        },
        "zoom_out": {
            "type": "integer",
            "minimum": MIN_ZOOM,
            "maximum": MAX_ZOOM,
            "description": "In place of sides: the photo takes 100 - z per cent of the canvas's width and height.",
        },
        "anchor": {
            "type": "string",
            "enum": list(ANCHORS),
            "description": "With `aspect_ratio`, `zoom_out` or a canvas without a place: where the photo lies on it. "
            "`center` when absent.",
        },
        "output_size": {
            "type": "string",
            "pattern": "^[1-9][0-9]{0,5}x[1-9][0-9]{0,5}$",
            "description": "The finished picture's size, of the canvas's shape. The canvas's own when absent.",
            "examples": ["1920x1080"],
        },
        "output_format": {
            "type": "string",
            "enum": list(FORMATS),
            "description": "The finished picture's format; the provider's or the photo's own when absent.",
        },
    }


def _field(name: str, rows: Sequence[ProviderFacts]) -> Json:
    """Return one field: the widest range that any provider takes, and in words who takes which."""
    takers = [(row, field) for row in rows if (field := row.field(name)) is not None]
    fields = [field for _, field in takers]
    description = " ".join(filter(None, (*_helps(takers), _REMARKS.get(name), _taken_by(takers))))
    if name in FILES:
        return _file(description)
    if name in SWITCHES:
        return {"type": "boolean", "description": description}
    schema: Json = {"type": "integer" if name in NUMBERS else "string", "description": description}
    if choices := list(dict.fromkeys(choice for field in fields for choice in field.choices)):
        schema["enum"] = choices
    for keyword, values in (
        ("minimum", [field.minimum for field in fields]),
        ("maximum", [field.maximum for field in fields]),
        ("maxLength", [field.max_characters for field in fields]),
    ):
        # Where one provider has no limit, there is none that holds for all.
        known = [value for value in values if value is not None]
        if known and len(known) == len(values):
            schema[keyword] = min(known) if keyword == "minimum" else max(known)
    return schema


def _helps(takers: Sequence[tuple[ProviderFacts, FieldFacts]]) -> list[str]:
    helps = list(dict.fromkeys(field.help for _, field in takers))
    return helps if len(helps) == 1 else [f"`{row.name}`: {field.help}" for row, field in takers]


def _taken_by(takers: Sequence[tuple[ProviderFacts, FieldFacts]]) -> str:
    return f"Taken by {_listed([f'`{row.name}`{_range(field)}' for row, field in takers])}."


def _range(field: FieldFacts) -> str:
    said = []
    if field.choices:
        said.append(_listed([f"`{choice}`" for choice in field.choices], "or"))
    if field.minimum is not None and field.maximum is not None:
        said.append(f"{field.minimum} to {field.maximum}")
    if field.max_characters is not None:
        said.append(f"at most {field.max_characters} characters")
    if field.default is not None:
        said.append(f"`{field.default}` when absent")
    return f" ({'; '.join(said)})" if said else ""


def _file(description: str) -> Json:
    return {
        "type": "string",
        "format": "binary",
        "contentMediaType": "application/octet-stream",
        "description": description,
    }


def _names(rows: Iterable[ProviderFacts]) -> str:
    return _listed([f"`{row.name}`" for row in rows])


def _listed(parts: Sequence[str], word: str = "and") -> str:
    *first, last = parts
    return f"{', '.join(first)} {word} {last}" if first else last


# --- examples --------------------------------------------------------------------------------------------------------


def form_examples(rows: Iterable[ProviderFacts]) -> Json:
    """Return a request for each provider: with a mask for those that take one, else with sides."""
    return {row.name: {"summary": f"`{row.name}`: {row.sentence}", "value": _example(row)} for row in rows}


def _example(row: ProviderFacts) -> Json:
    if row.takes("mask_file"):
        geometry: Json = {name: value for name, value in _WITH_MASK.items() if row.takes(name)}
    else:
        geometry = {name: min(value, row.geometry.max_side or value) for name, value in _WITH_SIDES.items()}
    seed = {"seed": _SEED} if row.takes("seed") else {}
    return {"provider": row.name, **PHOTO_EXAMPLE, **geometry, **seed}
