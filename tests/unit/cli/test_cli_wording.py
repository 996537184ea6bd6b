"""Errors as the command line tells them: one sentence that names the option, the file and the rule, each once."""

from __future__ import annotations

import re
from collections.abc import Iterator

import pytest

from uncrop import errors
from uncrop.cli.printable import printable
from uncrop.cli.wording import OPTIONS, sentence
from uncrop.errors import InvalidExtendParameters, InvalidFieldValue, UncropError

TYPED = {"image_file": "photo.jpg", "mask_file": "mask.png", "provider": "clipdrop", "quality": "good"}


def leaves(of: type[UncropError] = UncropError) -> Iterator[type[UncropError]]:
    children = of.__subclasses__()
    if not children and of is not errors.SettingsError and of.__module__.startswith(errors.__name__):
        yield of
    for child in children:
        yield from leaves(child)


@pytest.mark.parametrize("details", [None, {"provider": "clipdrop", "provider_status": 500, "allowed": ["a", "b"]}])
@pytest.mark.parametrize("kind", sorted(leaves(), key=lambda kind: kind.__name__))
def test_no_error_speaks_of_a_server_or_in_brackets(kind: type[UncropError], details: dict[str, object] | None) -> None:
    said = sentence(kind(details=details), TYPED)
    assert "server" not in said.lower()
    assert not re.search(r"[\[{]", said)
    assert not re.search(r"\b(\w{4,}): \1\b|; ;|: ;|  ", said)


@pytest.mark.parametrize(
    ("error", "said"),
    [
        (
            InvalidExtendParameters(
                "Extend parameters exceed 2000px", details={"extend_left": 2500, "extend_up": 9000}
            ),
            "--left 2500, --up 9000: must be from -2000 to 2000 pixels",
        ),
        (
            InvalidExtendParameters("At least one extend parameter must be non-zero"),
            "nothing says what to add: --left, --right, --up, --down, --aspect, --canvas or --zoom-out does",
        ),
        (
            InvalidFieldValue(
                "extend_left and canvas_width and canvas_height cannot be sent together: each says what the canvas is",
                details={"fields": ["extend_left", "canvas_width", "canvas_height"]},
            ),
            "--left and --canvas cannot be sent together: each says what the canvas is",
        ),
        (
            InvalidFieldValue("zoom_out must be between 1 and 90", details={"field": "zoom_out", "value": 95}),
            "--zoom-out 95: must be between 1 and 90",
        ),
        (
            InvalidFieldValue("quality must be one of a, b", details={"field": "quality", "allowed": ["a", "b"]}),
            "--quality good: must be one of a, b",
        ),
        (
            InvalidFieldValue("prompt is not supported by provider x", details={"field": "prompt", "provider": "x"}),
            "--prompt is not supported by provider x",
        ),
        (
            InvalidFieldValue("Unknown provider; allowed are a, b", details={"provider": "c", "allowed": ["a", "b"]}),
            "--provider c: unknown provider; allowed are a, b",
        ),
        (
            InvalidFieldValue(
                "The canvas is smaller than the photo; canvas_x and canvas_y say what to crop",
                details={"canvas_width": 10, "canvas_height": 20, "width": 80, "height": 60},
            ),
            "--canvas 10x20: the canvas is smaller than the photo; --canvas WxH+X+Y says what to crop; 80x60",
        ),
        (
            InvalidFieldValue(
                "output_size has another shape than the canvas",
                details={"field": "output_size", "value": "9x9", "canvas": "8x6", "would_fit": ["9x7", "12x9"]},
            ),
            "--output-size 9x9: has another shape than the canvas; the canvas is 8x6; 9x7 or 12x9 would do",
        ),
        (errors.InvalidImage(), "photo.jpg: the image is corrupt or incomplete"),
        (
            errors.ImageTooLarge(
                "The image file is too large", details={"size": 9_000_000, "max_allowed": 7, "unit": "bytes"}
            ),
            "photo.jpg: the image file is too large; it has 9 000 000 bytes; at most 7 bytes",
        ),
        (
            errors.ImageTooLarge("Bria cannot make this picture in one call", details={
                "provider": "bria", "width": 8, "height": 6,
                "limit": "pixels", "value": 48, "max_allowed": 40, "calls_needed": 2,
            }),
            "Bria cannot make this picture in one call; 8x6; pixels is 48, at most 40; --max-calls 2 would allow it",
        ),
        (
            errors.InvalidMask("The mask must be a PNG", details={"expected": "PNG", "actual": "JPEG"}),
            "--mask mask.png: the mask must be a PNG; it is JPEG",
        ),
        (
            errors.ProviderAuthenticationFailed(details={"provider_status": 401}),
            "clipdrop refused the key; look at UNCROP_CLIPDROP_API_KEY",
        ),
        (
            errors.ProviderUnavailable(system_message="No connection came about"),
            "clipdrop: the provider is unavailable at the moment (No connection came about)",
        ),
        (
            errors.ProviderUnavailable(details={"tried": [
                {"provider": "bfl", "code": "A", "message": "No key"},
                {"provider": "clipdrop", "code": "B", "message": "?"},
            ]}),
            "clipdrop: the provider is unavailable at the moment; asked before: bfl (No key)",
        ),
        (errors.InternalError(system_message="A worker ended"), "A worker ended"),
    ],
    ids=lambda value: value if isinstance(value, str) else "",
)  # fmt: skip
def test_a_sentence(error: UncropError, said: str) -> None:
    assert sentence(error, TYPED) == said


def test_plain_words_are_no_options_where_the_error_is_about_something_else() -> None:
    assert (
        sentence(errors.ContentRejected("The prompt and its size were refused"))
        == "The prompt and its size were refused"
    )


def test_long_values_are_not_repeated() -> None:
    error = InvalidFieldValue("prompt must have at most 9 characters", details={"field": "prompt", "max_allowed": 9})
    assert sentence(error, {"prompt": "x" * 500}) == "--prompt must have at most 9 characters"


def test_every_option_that_errors_name_exists() -> None:
    from typer.main import get_command

    from uncrop.cli import app

    known: set[str] = set()
    pending = [get_command(app)]
    while pending:
        command = pending.pop()
        known |= {name for parameter in command.params for name in parameter.opts}
        pending += getattr(command, "commands", {}).values()
    assert {option.split()[0] for option in OPTIONS.values() if option.startswith("--")} <= known


@pytest.mark.parametrize(
    ("text", "shown"),
    [
        ("plain name.jpg", "plain name.jpg"),
        ("Übergröße 写真 👨‍👩‍👧.jpg", "Übergröße 写真 👨‍👩‍👧.jpg"),
        ("two\nlines\r.jpg", "two\\nlines\\r.jpg"),
        ("\x1b[31mred\x9b.jpg", "\\x1b[31mred\\x9b.jpg"),
        ("caf\udce9.jpg", "caf\\xe9.jpg"),
        ("half\ud800.jpg", "half\\ud800.jpg"),
        ("a\u202egpj.exe", "a\\u202egpj.exe"),
        ("a\u2028b", "a\\u2028b"),
    ],
)
def test_a_name_is_one_line_that_any_terminal_can_show(text: str, shown: str) -> None:
    assert printable(text) == shown
    assert shown.encode().decode() == shown
