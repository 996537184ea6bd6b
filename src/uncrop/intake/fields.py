"""The rules about single fields: which of them a provider takes, and which values they may have."""

from __future__ import annotations

from typing import TYPE_CHECKING, get_args

from uncrop.errors import InvalidFieldValue, MaskRequired
from uncrop.geometry import FIELDS, check_sides
from uncrop.model import ORGANIZATION_ID, ORGANIZATION_ID_RULE, Quality

if TYPE_CHECKING:
    from uncrop.model import Capabilities, UncropRequest

DEFAULT_QUALITY: Quality = "standard"
QUALITIES: tuple[Quality, ...] = get_args(Quality)


def check_fields(request: UncropRequest, capabilities: Capabilities) -> None:
    """Check everything that can be told without looking into a file.

    Raises
    ------
    InvalidFieldValue
        For a field that the provider does not take, or a value that the field cannot have.
    InvalidExtendParameters
        For sides beyond their limits, or all zero.
    MaskRequired
        When the provider needs a mask and none was sent.
    """
    _check_organization(request.organization_id)
    _check_taken(request, capabilities)
    if capabilities.takes_sides:
        check_sides(request.sides)
    _check_seed(request.seed, capabilities)
    _check_prompt(request.prompt, capabilities)
    _check_choice("size", request.size, capabilities.sizes)
    _check_choice("quality", request.quality, QUALITIES)
    if capabilities.takes_mask and request.mask is None:
        raise MaskRequired


def quality_of(request: UncropRequest) -> Quality:
    """Return the quality asked for, once it has been checked, or the default."""
    return next((quality for quality in QUALITIES if quality == request.quality), DEFAULT_QUALITY)


def _check_organization(organization_id: str | None) -> None:
    if organization_id is not None and not ORGANIZATION_ID.fullmatch(organization_id):
        raise InvalidFieldValue(f"organization_id must be {ORGANIZATION_ID_RULE}", details={"field": "organization_id"})


def _check_taken(request: UncropRequest, capabilities: Capabilities) -> None:
    """Refuse fields that would have to be ignored. A side of 0 or a map not wanted is as if absent."""
    sides = (request.sides.left, request.sides.right, request.sides.up, request.sides.down)
    sent = {
        **{field: (bool(value), capabilities.takes_sides) for field, value in zip(FIELDS, sides, strict=True)},
        "seed": (request.seed is not None, capabilities.max_seed is not None),
        "mask_file": (request.mask is not None, capabilities.takes_mask),
        "prompt": (request.prompt is not None, capabilities.takes_prompt),
        "size": (request.size is not None, capabilities.takes_size),
        "quality": (request.quality is not None, capabilities.takes_quality),
        "confidence_map": (request.confidence_map, capabilities.takes_confidence_map),
    }
    for field, (is_sent, is_taken) in sent.items():
        if is_sent and not is_taken:
            raise InvalidFieldValue(
                f"{field} is not supported by provider {capabilities.name}",
                details={"field": field, "provider": capabilities.name},
            )


def _check_seed(seed: int | None, capabilities: Capabilities) -> None:
    if seed is not None and capabilities.max_seed is not None and not 0 <= seed <= capabilities.max_seed:
        raise InvalidFieldValue(
            f"seed must be between 0 and {capabilities.max_seed}",
            details={
                "field": "seed",
                "provider": capabilities.name,
                "value": seed,
                "min_allowed": 0,
                "max_allowed": capabilities.max_seed,
            },
        )


def _check_prompt(prompt: str | None, capabilities: Capabilities) -> None:
    if prompt is not None and len(prompt) > capabilities.max_prompt_characters:
        raise InvalidFieldValue(
            f"prompt must have at most {capabilities.max_prompt_characters} characters",
            details={
                "field": "prompt",
                "provider": capabilities.name,
                "length": len(prompt),
                "max_allowed": capabilities.max_prompt_characters,
            },
        )


def _check_choice(field: str, value: str | None, allowed: tuple[str, ...]) -> None:
    if value is not None and value not in allowed:
        raise InvalidFieldValue(
            f"{field} must be one of {', '.join(allowed)}", details={"field": field, "allowed": list(allowed)}
        )
