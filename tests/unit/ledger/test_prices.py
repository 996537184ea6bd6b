from __future__ import annotations

from dataclasses import replace
from decimal import Decimal

import pytest

from uncrop.ledger.prices import cost_of_call, knows_money, price_of_call
from uncrop.model import PictureFacts, Price, ProviderFacts, TokenPrice, TokenUsage
from uncrop.model.ledger import MAX_AMOUNT, USD
from uncrop.providers.base import ProviderSettings
from uncrop.providers.clipdrop.provider import Clipdrop
from uncrop.providers.registry import load_rows

CLIPDROP = load_rows(())["clipdrop"]
BRIA = load_rows(())["bria"]
LOCAL = load_rows(())["local"]
SAID = PictureFacts(provider="clipdrop", request_id="req_1")
TOKENS = TokenUsage(input_tokens=1000, output_tokens=3, total_tokens=1003)
PER_TOKEN = TokenPrice(input_usd=Decimal(5), output_usd=Decimal("0.4"), date="2026-11", source="https://example.org")


def priced(facts: ProviderFacts = CLIPDROP, **values: object) -> ProviderFacts:
    return replace(facts, **values)


def amounts(found: object) -> dict[str, int]:
    return {amount.unit: amount.value for amount in found}


def in_dollars(amount: str, per: str = "picture") -> Price:
    return Price(amount=Decimal(amount), unit="USD", per=per, date="2026-11", source="https://example.org")


@pytest.mark.parametrize(
    ("facts", "expected", "known"),
    [
        (LOCAL, {}, True),
        (CLIPDROP, {"credit_milli:clipdrop": 1000}, False),
        (priced(usd_per_credit=Decimal("0.0100001")), {"credit_milli:clipdrop": 1000, USD: 10_001}, True),
        (priced(usd_per_credit=Decimal(0)), {"credit_milli:clipdrop": 1000, USD: 0}, True),
        (
            priced(usd_per_call=Decimal(2), usd_per_credit=Decimal(1)),
            {"credit_milli:clipdrop": 1000, USD: 2_000_000},
            True,
        ),
        (BRIA, {"call:bria": 1}, False),
        (priced(BRIA, usd_per_call=Decimal("0.04")), {USD: 40_000}, True),
        (priced(BRIA, price=in_dollars("0.05")), {USD: 50_000}, True),
        # Of what a megapixel costs nothing follows for a call.
        (priced(BRIA, price=in_dollars("0.05", "megapixel")), {"call:bria": 1}, False),
    ],
)
def test_what_a_call_is_expected_to_cost(facts: ProviderFacts, expected: dict[str, int], known: bool) -> None:
    assert amounts(price_of_call(facts)) == expected
    assert knows_money(facts) is known


@pytest.mark.parametrize(
    ("facts", "said", "expected"),
    [
        (LOCAL, SAID, {}),
        (CLIPDROP, SAID, {"credit_milli:clipdrop": 1000}),
        (CLIPDROP, replace(SAID, credits_consumed=Decimal("2.0015")), {"credit_milli:clipdrop": 2002}),
        (
            priced(usd_per_credit=Decimal("0.01")),
            replace(SAID, credits_consumed=Decimal(3)),
            {"credit_milli:clipdrop": 3000, USD: 30_000},
        ),
        # What cannot be is as if nothing had been said: the price counts.
        (
            priced(usd_per_credit=Decimal("0.01")),
            replace(SAID, credits_consumed=Decimal("1e30")),
            {"credit_milli:clipdrop": 1000, USD: 10_000},
        ),
        (CLIPDROP, replace(SAID, credits_consumed=Decimal(-1)), {"credit_milli:clipdrop": 1000}),
        (CLIPDROP, replace(SAID, credits_consumed=Decimal("NaN")), {"credit_milli:clipdrop": 1000}),
        (BRIA, SAID, {"call:bria": 1}),
        # Once a provider tells credits, they are its unit.
        (BRIA, replace(SAID, credits_consumed=Decimal(1)), {"credit_milli:bria": 1000}),
        (
            priced(BRIA, token_price=PER_TOKEN, usd_per_call=Decimal(1)),
            replace(SAID, usage=TOKENS),
            {"input_token:bria": 1000, "output_token:bria": 3, USD: 5002},
        ),
        # More text than there is input is absurd; the dearer price counts.
        (
            priced(BRIA, token_price=replace(PER_TOKEN, input_text_usd=Decimal(1))),
            replace(SAID, usage=replace(TOKENS, input_text_tokens=1001)),
            {"call:bria": 1, "input_token:bria": 1000, "output_token:bria": 3, USD: 5002},
        ),
        (
            priced(BRIA, token_price=replace(PER_TOKEN, input_text_usd=Decimal(1))),
            replace(SAID, usage=replace(TOKENS, input_text_tokens=400)),
            {"call:bria": 1, "input_token:bria": 1000, "output_token:bria": 3, USD: 3402},
        ),
        (
            priced(BRIA, token_price=PER_TOKEN, usd_per_call=Decimal(1)),
            SAID,
            {USD: 1_000_000},
        ),
        (
            priced(BRIA, usd_per_call=Decimal(1)),
            replace(SAID, usage=TOKENS),
            {"input_token:bria": 1000, "output_token:bria": 3, USD: 1_000_000},
        ),
        (
            BRIA,
            replace(SAID, usage=TokenUsage(input_tokens=MAX_AMOUNT + 1, output_tokens=-1, total_tokens=0)),
            {"call:bria": 1},
        ),
    ],
)
def test_what_a_call_has_cost(facts: ProviderFacts, said: PictureFacts, expected: dict[str, int]) -> None:
    assert amounts(cost_of_call(facts, said)) == expected


def test_what_the_operator_says_of_a_price_reaches_the_row() -> None:
    values = {"api_key": "k", "usd_per_credit": 0.01, "usd_per_call": 0.05}
    facts = Clipdrop(CLIPDROP, ProviderSettings(values=values)).facts
    assert (facts.usd_per_credit, facts.usd_per_call) == (Decimal("0.01"), Decimal("0.05"))
    assert Clipdrop(CLIPDROP, ProviderSettings()).facts is CLIPDROP
