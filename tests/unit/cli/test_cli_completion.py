"""What the shell offers when Tab is pressed."""

from __future__ import annotations

from collections.abc import Callable

import pytest
from typer.testing import CliRunner

from uncrop.cli import app, completion
from uncrop.cli.rows_help import MOST_OFFERED, shortened
from uncrop.providers.registry import load_rows


@pytest.mark.parametrize(
    ("complete", "typed", "offered"),
    [
        (completion.complete_provider, "cl", ["clipdrop"]),
        (completion.complete_quality, "", ["fast", "standard", "best"]),
        (completion.complete_anchor, "top-", ["top-left", "top-right"]),
        (completion.complete_format, "", ["jpeg", "png", "webp"]),
        (completion.complete_emulated, "lo", []),
        (completion.complete_emulated, "op", ["openai"]),
        (completion.complete_quality, "none of them", []),
    ],
)
def test_values_that_begin_as_typed_are_offered(
    complete: Callable[[str], list[str]], typed: str, offered: list[str]
) -> None:
    assert complete(typed) == offered


def test_every_provider_is_offered_plug_ins_too() -> None:
    assert completion.complete_provider("") == ["auto", *load_rows()]


@pytest.mark.parametrize(
    ("text", "short"),
    [
        ("", ""),
        ("Where to write. More.", "Where to write"),
        ("The name's ending sets the format.", "The name's ending sets the format"),
        (f"{'word ' * 40}end", f"{'word ' * 10}word..."),
    ],
)
def test_a_help_text_is_cut_to_a_line(text: str, short: str) -> None:
    assert shortened(text) == short
    assert len(short) <= MOST_OFFERED + 2


@pytest.mark.parametrize(
    ("words", "offered"),
    [
        ("uncrop extend --out", {"--output", "--output-dir", "--output-size", "--output-format"}),
        ("uncrop extend --anchor bottom", {"bottom", "bottom-left", "bottom-right"}),
        ("uncrop organizations l", {"list", "limit"}),
        ("uncrop emulate cl", {"clipdrop"}),
    ],
)
def test_what_is_offered_is_in_words_and_a_line_each(words: str, offered: set[str]) -> None:
    asked = {
        "_UNCROP_COMPLETE": "complete_fish",
        "_TYPER_COMPLETE_FISH_ACTION": "get-args",
        "_TYPER_COMPLETE_ARGS": words,
    }
    result = CliRunner().invoke(app, [], env=asked, prog_name="uncrop")
    lines = result.stdout.splitlines()
    assert {line.partition("\t")[0] for line in lines} == offered
    assert not any("{" in line for line in lines)
