"""What is read of any answer. Ids of headers are tried in test_refusal.py."""

from __future__ import annotations

from decimal import Decimal

import pytest

from uncrop.errors import ProviderInvalidResponse
from uncrop.providers.answers import MAX_CREDITS, read_credits, read_text, sane_id


@pytest.mark.parametrize(
    ("told", "known"),
    [
        (4.5, Decimal("4.5")),
        (0, Decimal(0)),
        (" 7 ", Decimal(7)),
        (MAX_CREDITS, Decimal(MAX_CREDITS)),
        (MAX_CREDITS + 1, None),
        (-1, None),
        (True, None),
        (None, None),
        ("", None),
        ("many", None),
        ("nan", None),
        (float("inf"), None),
        ([1], None),
    ],
)
def test_credits_are_a_number_in_bounds_or_unknown(told: object, known: Decimal | None) -> None:
    assert read_credits(told) == known


def test_a_text_is_found_by_its_way() -> None:
    assert read_text({"result": {"url": "u"}}, "result", "url") == "u"


@pytest.mark.parametrize("body", [{}, {"result": None}, {"result": ["u"]}, {"result": {"url": 7}}, {"result": "u"}])
def test_a_text_that_is_not_there_is_the_providers_fault(body: dict[str, object]) -> None:
    with pytest.raises(ProviderInvalidResponse) as refused:
        read_text(body, "result", "url")
    assert refused.value.system_message == "The provider's answer holds no result.url"
    with pytest.raises(ProviderInvalidResponse) as refused:
        read_text(body, "result", "url", missing="names no picture")
    assert refused.value.system_message == "The provider's answer names no picture"


def test_an_id_that_could_break_a_header_is_replaced() -> None:
    assert sane_id("task-1") == "task-1"
    assert sane_id("a\r\nb") != "a\r\nb"
