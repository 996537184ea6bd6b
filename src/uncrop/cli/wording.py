"""Errors in the words of the command line: the option as it is typed, the file, the rule, and what to do.

The errors themselves are worded for all fronts, and name the fields of the API's form.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterable, Mapping
from types import MappingProxyType
from typing import TYPE_CHECKING, Any

from uncrop import errors

if TYPE_CHECKING:
    from uncrop.errors import UncropError

# Fields of the form, by the option that says the same. The longest come first: some are parts of others.
OPTIONS: Mapping[str, str] = {
    "canvas_width and canvas_height": "--canvas",
    "canvas_x and canvas_y": "--canvas WxH+X+Y",
    "organization_id": "--organization",
    "negative_prompt": "--negative-prompt",
    "confidence_map": "--confidence-map",
    "canvas_height": "--canvas",
    "output_format": "--output-format",
    "canvas_width": "--canvas",
    "aspect_ratio": "--aspect",
    "extend_right": "--right",
    "output_size": "--output-size",
    "extend_left": "--left",
    "extend_down": "--down",
    "extend_up": "--up",
    "variations": "--variations",
    "image_file": "the photo",
    "mask_file": "--mask",
    "max_calls": "--max-calls",
    "canvas_x": "--canvas",
    "canvas_y": "--canvas",
    "zoom_out": "--zoom-out",
    "provider": "--provider",
    "quality": "--quality",
    "expires": "--expires",
    "anchor": "--anchor",
    "detail": "--detail",
    "prompt": "--prompt",
    "seed": "--seed",
    "size": "--size",
}
_FIELD = re.compile(r"(?<![\w-])(?:" + "|".join(OPTIONS) + r")(?![\w-])")
# Words that are fields and plain English: options only where the error says that it is about that field.
_PLAIN = frozenset({"provider", "quality", "expires", "anchor", "prompt", "seed", "size", "variations", "detail"})

_SIDES_AND_OTHERS = "--left, --right, --up, --down, --aspect, --canvas or --zoom-out"
# What is told to the caller of a server, who can do nothing about it, and is told otherwise to whoever runs this here.
_SAID_HERE: Mapping[str, str] = {
    errors.ProviderNotConfigured.default_message: "is not configured",
    errors.ProviderAuthenticationFailed.default_message: "refused the key",
    errors.ProviderCountryUnsupported.default_message: "does not serve this country",
    errors.ProviderQuotaExhausted.default_message: "has no credits left for this key",
    errors.EncryptionNotConfigured.default_message: "UNCROP_ENCRYPTION_KEY is not set, so that no key can be kept",
    errors.ServerBusy.default_message: "too much is being done at once; try again later",
    "At least one extend parameter must be non-zero": f"nothing says what to add: {_SIDES_AND_OTHERS} does",
    "The canvas is smaller than the photo; canvas_x and canvas_y say what to crop": (
        "the canvas is smaller than the photo; --canvas WxH+X+Y says what to crop"
    ),
    "Negative extend parameters leave nothing of the image": "the negative sides leave nothing of the photo",
}
_SIDES = re.compile(r"^Extend parameters (?:exceed|are below) (-?\d+)px$")
_ABOUT_THE_PHOTO = (errors.InvalidImage, errors.ImageTooLarge, errors.UnsupportedImageFormat)
_ABOUT_THE_PROVIDER = (
    errors.ProviderAuthenticationFailed,
    errors.ProviderCountryUnsupported,
    errors.ProviderFault,
    errors.ProviderNotConfigured,
    errors.ProviderQuotaExhausted,
    errors.ProviderRateLimited,
    errors.ProviderRejectedRequest,
    errors.ContentRejected,
)
_VERBS = ("is ", "refused ", "does ", "has ", "goes ", "must ")
MOST_SHOWN = 60  # characters of a value that was typed


def sentence(error: UncropError, typed: Mapping[str, str] = MappingProxyType({})) -> str:
    """Return one sentence about an error.

    Parameters
    ----------
    error
        What happened.
    typed
        What was typed, by the form's field; ``image_file`` and ``mask_file`` are the files' names.
    """
    details = {key: value for key, value in (error.details or {}).items() if value is not None}
    if isinstance(error, _ABOUT_THE_PROVIDER):
        details.setdefault("provider", _asked(details, typed))
    message = _in_options(_message(error), _named(details))
    subject = _subject(error, details, typed)
    text = _joined(subject, message)
    return "; ".join([text, *(fact for fact in _facts(error, details) if fact and fact not in text)])


def _asked(details: Mapping[str, Any], typed: Mapping[str, str]) -> str:
    """Return the provider that was asked: of several, the last."""
    tried = details.get("tried")
    return str(tried[-1]["provider"]) if tried else typed.get("provider", "")


def _message(error: UncropError) -> str:
    """Return what is told, without the word "server" where there is none, and a fault of our own as it is."""
    if isinstance(error, errors.InternalError):
        return error.system_message
    if isinstance(error, errors.MaskRequired):
        return f"nothing says what to make: --mask, {_SIDES_AND_OTHERS} does"
    if sides := _SIDES.match(error.message):
        return f"must be from -{sides[1].lstrip('-')} to {sides[1].lstrip('-')} pixels"
    said = _SAID_HERE.get(error.message, error.message)
    if isinstance(error, errors.ProviderFault) and error.system_message not in {error.message, ""}:
        # Whoever types the command runs it too, and may know what a caller of a server must not.
        return f"{said} ({error.system_message})"
    return said


def _named(details: Mapping[str, Any]) -> tuple[str, ...]:
    """Return the fields that an error is about."""
    fields = details.get("fields", ())
    return (*([str(details["field"])] if "field" in details else []), *(str(name) for name in fields))


def _in_options(message: str, named: Iterable[str]) -> str:
    """Put options in the place of the form's fields, each once."""
    about = frozenset(named)

    def option(match: re.Match[str]) -> str:
        return match[0] if match[0] in _PLAIN and match[0] not in about else OPTIONS[match[0]]

    text = _FIELD.sub(option, message)
    return re.sub(r"(--[a-z-]+)(?: and \1)+", r"\1", text)


def _subject(error: UncropError, details: Mapping[str, Any], typed: Mapping[str, str]) -> str:
    """Return what an error is about: options with what was typed, the file, or the provider; empty where it says so."""
    if sides := [f"{OPTIONS[name]} {value}" for name, value in details.items() if name.startswith("extend_")]:
        return ", ".join(sides)
    if "canvas_width" in details:
        place = "".join(f"{details[name]:+}" for name in ("canvas_x", "canvas_y") if name in details)
        return f"--canvas {details['canvas_width']}x{details['canvas_height']}{place}"
    named = _named(details) or (("mask_file",) if isinstance(error, errors.InvalidMask) else ())
    if len(named) == 1:
        return _option(named[0], details.get("value", typed.get(named[0])))
    field = next((key for key in details if key in OPTIONS or key == "id"), None)
    if isinstance(error, errors.InvalidFieldValue) and field is not None and not named:
        return _option(field, details[field])
    if isinstance(error, _ABOUT_THE_PHOTO) and "provider" not in details:
        return typed.get("image_file", "")
    if isinstance(error, _ABOUT_THE_PROVIDER):
        return str(details["provider"])
    return ""


def _option(field: str, value: object) -> str:
    """Return an option with its value, where that is short."""
    if field in {"organization_id", "id"}:  # some commands take it as an option, some as an argument
        return str(value)
    option = OPTIONS.get(field, "")
    return f"{option} {value}" if option and value is not None and len(str(value)) <= MOST_SHOWN else option


def _joined(subject: str, message: str) -> str:
    """Put a subject before a message, which may begin with it."""
    rest = message.removeprefix(subject.partition(" ")[0]).lstrip() if subject else message
    if not subject or rest.startswith(subject):
        return message
    if " " not in subject and rest.startswith(_VERBS):
        return f"{subject} {rest}"
    return f"{subject}: {_small(rest)}"


def _small(message: str) -> str:
    """Begin with a small letter, but for names and abbreviations."""
    first = message.split(" ", 1)[0]
    return message[:1].lower() + message[1:] if first[1:].islower() or len(first) == 1 else message


def _facts(error: UncropError, details: dict[str, Any]) -> list[str]:
    """Return what else is known, in words; nothing that the sentence says already."""
    if isinstance(error, errors.ProviderNotConfigured):
        # A server that answered is configured, but has not all that it needs.
        variables = () if "provider_status" in details else variables_of(details["provider"])
        lacking = "" if error.system_message == error.default_message else error.system_message
        return [f"set {' and '.join(variables)}" if variables else lacking]
    if isinstance(error, errors.ProviderAuthenticationFailed):
        return [f"look at {name}" for name in variables_of(details["provider"])[:1]]
    if not isinstance(error, errors.ProviderFault | errors.ProviderRejectedRequest):
        details.pop("provider_status", None)  # the message says what it was
    told = [fact for key, phrase in _PHRASES.items() if (fact := phrase(details) if key in details else "")]
    said = error.message.replace(",", " ").replace(";", " ").split()
    return told + [
        f"{key.replace('_', ' ')}: {_plain(value)}"
        for key, value in details.items()
        if key not in {*_PHRASES, *_SAID, *OPTIONS} and not key.startswith("extend_") and _plain(value) not in said
    ]


def _plain(value: object) -> str:
    """Write a value as people do: lists with commas, no brackets."""
    if isinstance(value, Mapping):
        return ", ".join(f"{key} {_plain(each)}" for key, each in value.items())
    if isinstance(value, list | tuple):
        return ", ".join(_plain(each) for each in value)
    return str(value)


def _limit(details: dict[str, Any]) -> str:
    """Say between which numbers a value must be, where the message has not named them."""
    unit = f" {details['unit']}" if "unit" in details else ""
    words = {"min_allowed": "at least", "max_allowed": "at most"}
    if "field" in details or any(key.startswith("extend_") for key in details):
        return ""  # its message names the limits
    limits = [f"{word} {_grouped(details[key])}{unit}" for key, word in words.items() if key in details]
    if "limit" in details and "value" in details:
        return f"{str(details['limit']).replace('_', ' ')} is {_grouped(details['value'])}, {' and '.join(limits)}"
    return " and ".join(limits)


def _grouped(number: object) -> str:
    return f"{number:,}".replace(",", " ") if isinstance(number, int) and abs(number) > 99_999 else str(number)


def _tried(details: dict[str, Any]) -> str:
    """Tell of everyone who was asked before the one that the sentence is about."""
    return "; ".join(f"asked before: {each['provider']} ({each['message']})" for each in details["tried"][:-1])


def _megapixels(details: dict[str, Any]) -> str:
    return f"at most {details['max_megapixels']} megapixels, as UNCROP_MAX_OUTPUT_MEGAPIXELS says"


_PHRASES: Mapping[str, Callable[[dict[str, Any]], str]] = {
    "size": lambda details: "" if "field" in details else f"it has {_grouped(details['size'])} bytes",
    "width": lambda details: f"{details['width']}x{details['height']}" if "height" in details else "",
    "remaining_width": lambda details: (
        f"{details['remaining_width']}x{details['remaining_height']} would be left" if "width" in details else ""
    ),
    "canvas": lambda details: f"the canvas is {details['canvas']}",
    "would_fit": lambda details: f"{' or '.join(details['would_fit'])} would do",
    "max_megapixels": _megapixels,
    "max_allowed": _limit,
    "min_allowed": lambda details: "" if "max_allowed" in details else _limit(details),
    "calls_needed": lambda details: f"--max-calls {details['calls_needed']} would allow it",
    "provider_status": lambda details: f"it answered with status {details['provider_status']}",
    "actual": lambda details: f"it is {_plain(details['actual'])}",
    "tried": _tried,
}
_SAID = frozenset(
    {
        "field",
        "fields",
        "id",
        "value",
        "provider",
        "allowed",
        "unit",
        "limit",
        "rule",
        "expected",
        "format",
        "kind",
        "height",
    }
    | {"remaining_height", "canvas_width", "canvas_height", "canvas_x", "canvas_y"}
)


def variables_of(provider: str) -> tuple[str, ...]:
    """Return the variables without which a provider is not configured."""
    from uncrop.providers.registry import load_rows

    row = load_rows().get(provider)
    if row is None:
        return ()
    return tuple(row.variable(each) for each in row.settings if each.required and each.default is None)
