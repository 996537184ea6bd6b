"""What the command line says about a picture."""

from __future__ import annotations

import json
from dataclasses import replace
from pathlib import Path

import pytest

from uncrop.cli.report import picture_json, picture_line
from uncrop.model import Detail, PictureFacts, UncropResult

RESULT = UncropResult(
    image=b"",
    media_type="image/png",
    width=30,
    height=20,
    seed=None,
    facts=PictureFacts(provider="mine", request_id="req_1"),
    repaint_difference=None,
    warnings=(),
    stages=(),
)


@pytest.mark.parametrize(
    ("detail", "line", "told"),
    [
        (None, "30x20, mine, 1.0 s", None),
        (Detail(state="redrawn", factor=3.06), "30x20, mine, detail redrawn, factor=3.1, 1.0 s", "redrawn; factor=3.1"),
        (Detail(state="off", factor=2), "30x20, mine, detail off, factor=2.0, 1.0 s", "off; factor=2.0"),
    ],
)
def test_what_was_done_about_the_detail_is_said(detail: Detail | None, line: str, told: str | None) -> None:
    result = replace(RESULT, detail=detail)
    assert picture_line(result, 1.0) == line
    assert json.loads(picture_json(result, Path("a"), Path("b"), 1.0))["detail"] == told
