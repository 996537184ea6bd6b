"""The rules about single fields: which of them a provider takes, and which values they may have."""

from __future__ import annotations

from typing import TYPE_CHECKING, get_args

from uncrop.errors import InvalidFieldValue, MaskRequired
from uncrop.geometry.notations import check_notation, sent_fields
from uncrop.geometry.sides import check_sides
from uncrop.model import MEDIA_TYPES, ORGANIZATION_ID, ORGANIZATION_ID_RULE, Quality

if TYPE_CHECKING:
    from uncrop.model import ProviderFacts, UncropRequest

DEFAULT_QUALITY: Quality = "standard"
MOST_CALLS = 8
DETAIL_CHOICES = ("on", "off")
MAX_VARIATIONS = 4
QUALITIES: tuple[Quality, ...] = get_args(Quality)


def check_fields(request: UncropRequest, facts: ProviderFacts) -> None:
    """Check everything that can be told without looking into a file.

    Raises
    ------
    InvalidFieldValue
        For a field that the provider does not take, a value that the field cannot have, or fields that exclude each
        other.
    InvalidExtendParameters
        For sides beyond their limits, sides that are all zero, or sides that leave nothing to be made.
    MaskRequired
        When the provider takes masks, and neither a mask nor a side was sent.
    """
    _check_organization(request.organization_id)
    check_variations(request.variations)
    _check_taken(request, facts)
    _check_geometry(request, facts)
    _check_max_calls(request.max_calls)
    _check_detail(request.detail)
    _check_seed(request.seed, facts)
    _check_length("prompt", request.prompt, facts)
    _check_length("negative_prompt", request.negative_prompt, facts)
    _check_choice("size", request.size, facts)
    _check_choice("quality", request.quality, facts)
    _check_format(request.answer_format)


def quality_of(request: UncropRequest) -> Quality:
    """Return the quality asked for, once it has been checked, or the default."""
    return next((quality for quality in QUALITIES if quality == request.quality), DEFAULT_QUALITY)


def check_without_provider(request: UncropRequest) -> None:
    """Check what holds whoever makes the picture.

    Raises
    ------
    InvalidRequest
        As ``check_fields``.
    """
    _check_organization(request.organization_id)
    check_variations(request.variations)
    if check_notation(request) in {None, "sides"}:
        check_sides(request.sides)


def _check_organization(organization_id: str | None) -> None:
    if organization_id is not None and not ORGANIZATION_ID.fullmatch(organization_id):
        raise InvalidFieldValue(f"organization_id must be {ORGANIZATION_ID_RULE}", details={"field": "organization_id"})


def check_variations(variations: int | None) -> None:
    """Refuse a number of pictures that one request cannot ask for.

    Raises
    ------
    InvalidFieldValue
    """
    if variations is not None and not 1 <= variations <= MAX_VARIATIONS:
        raise InvalidFieldValue(
            f"variations must be between 1 and {MAX_VARIATIONS}",
            details={"field": "variations", "value": variations, "min_allowed": 1, "max_allowed": MAX_VARIATIONS},
        )


def _check_taken(request: UncropRequest, facts: ProviderFacts) -> None:
    """Refuse fields that would have to be ignored. A map not wanted is as if absent."""
    sent = {
        "seed": request.seed is not None,
        "mask_file": request.mask is not None,
        "prompt": request.prompt is not None,
        "negative_prompt": request.negative_prompt is not None,
        "size": request.size is not None,
        "quality": request.quality is not None,
        "confidence_map": request.confidence_map,
    }
    for field, is_sent in sent.items():
        if is_sent and not facts.takes(field):
            raise InvalidFieldValue(
                f"{field} is not supported by provider {facts.name}", details={"field": field, "provider": facts.name}
            )


def _check_geometry(request: UncropRequest, facts: ProviderFacts) -> None:
    """Refuse two notations at once, none, or sides that leave nothing to be made."""
    notation = check_notation(request)
    if notation is None and facts.takes("mask_file"):
        raise MaskRequired(f"{facts.title} requires mask for this operation")
    if notation in {None, "sides"}:
        check_sides(request.sides)
    if request.size is not None and notation != "mask":
        fields = [*sent_fields(request).get(notation or "", ()), "size"]
        raise InvalidFieldValue(
            f"size goes with mask_file alone, not with {' and '.join(fields[:-1])}; see output_size",
            details={"fields": fields, "provider": facts.name},
        )


def _check_format(answer_format: str | None) -> None:
    if answer_format is not None and answer_format not in MEDIA_TYPES:
        allowed = [name.lower() for name in MEDIA_TYPES]
        raise InvalidFieldValue(
            f"output_format must be one of {', '.join(allowed)}", details={"field": "output_format", "allowed": allowed}
        )


def _check_max_calls(max_calls: int | None) -> None:
    if max_calls is not None and not 1 <= max_calls <= MOST_CALLS:
        raise InvalidFieldValue(
            f"max_calls must be between 1 and {MOST_CALLS}",
            details={"field": "max_calls", "value": max_calls, "min_allowed": 1, "max_allowed": MOST_CALLS},
        )


def _check_detail(detail: str | None) -> None:
    if detail is not None and detail not in DETAIL_CHOICES:
        raise InvalidFieldValue(
            f"detail must be one of {', '.join(DETAIL_CHOICES)}",
            details={"field": "detail", "allowed": list(DETAIL_CHOICES)},
        )


def _check_seed(seed: int | None, facts: ProviderFacts) -> None:
    row = facts.field("seed")
    if seed is None or row is None or row.minimum is None or row.maximum is None:
        return
    if not row.minimum <= seed <= row.maximum:
        raise InvalidFieldValue(
            f"seed must be between {row.minimum} and {row.maximum}",
            details={
                "field": "seed",
                "provider": facts.name,
                "value": seed,
                "min_allowed": row.minimum,
                "max_allowed": row.maximum,
            },
        )


def _check_length(name: str, text: str | None, facts: ProviderFacts) -> None:
    row = facts.field(name)
    if text is None or row is None or row.max_characters is None or len(text) <= row.max_characters:
        return
    raise InvalidFieldValue(
        f"{name} must have at most {row.max_characters} characters",
        details={
            "field": name,
            "provider": facts.name,
            "length": len(text),
            "max_allowed": row.max_characters,
        },
    )


def _check_choice(name: str, value: str | None, facts: ProviderFacts) -> None:
    row = facts.field(name)
    if value is not None and row is not None and value not in row.choices:
        raise InvalidFieldValue(
            f"{name} must be one of {', '.join(row.choices)}", details={"field": name, "allowed": list(row.choices)}
        )
