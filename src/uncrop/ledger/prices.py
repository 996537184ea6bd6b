"""What a call costs: before it is sent, by the provider's price; after it, by what the provider says that it took.

A price that is not known is never zero: the amount is then counted in calls, and nothing is said about money.
"""

from __future__ import annotations

from decimal import ROUND_CEILING, ROUND_HALF_UP, Decimal
from typing import TYPE_CHECKING

from uncrop.model.ledger import MAX_AMOUNT, USD, Amount, calls_unit, credits_unit, tokens_unit

if TYPE_CHECKING:
    from uncrop.model import PictureFacts, ProviderFacts, TokenUsage

_MICRO = 1_000_000
_MILLI = 1_000


def price_of_call(facts: ProviderFacts) -> tuple[Amount, ...]:
    """Return what one call is expected to cost, in every unit that is known; nothing where nothing is billed.

    Parameters
    ----------
    facts
        The provider's row, as it is configured.
    """
    if not facts.bills:
        return ()
    credits_each, usd_each = _credits_each(facts), _usd_each(facts)
    found = []
    if usd_each is not None:
        found.append(Amount(unit=USD, value=usd_each))
    if credits_each is not None:
        found.append(Amount(unit=credits_unit(facts.name), value=credits_each))
    return tuple(found) or (Amount(unit=calls_unit(facts.name), value=1),)


def knows_money(facts: ProviderFacts) -> bool:
    """Tell whether it is known what a call costs in money, nothing included."""
    return not facts.bills or _usd_each(facts) is not None


def cost_of_call(facts: ProviderFacts, said: PictureFacts) -> tuple[Amount, ...]:
    """Return what a call has cost: what the provider says, and its price where it says nothing.

    Parameters
    ----------
    facts
        The provider's row, as it is configured.
    said
        What the provider says about the call.
    """
    expected = {amount.unit: amount.value for amount in price_of_call(facts)}
    taken = to_amount(said.credits_consumed, _MILLI)
    if taken is not None:
        expected.pop(calls_unit(facts.name), None)
        expected[credits_unit(facts.name)] = taken
    usd = _usd_taken(facts, said.credits_consumed, said.usage)
    if usd is not None:
        expected[USD] = usd
    expected |= _tokens(facts.name, said.usage)
    return tuple(Amount(unit=unit, value=value) for unit, value in sorted(expected.items()))


def to_amount(value: Decimal | None, per: int, rounding: str = ROUND_HALF_UP) -> int | None:
    """Turn a decimal number into ``per``-ths; ``None`` for one that is unknown, negative or absurd."""
    if value is None or not value.is_finite() or not 0 <= value * per <= MAX_AMOUNT:
        return None
    return int((value * per).to_integral_value(rounding))


def _credits_each(facts: ProviderFacts) -> int | None:
    price = facts.price
    return None if price is None or price.unit != "credit" else to_amount(price.amount, _MILLI)


def _usd_each(facts: ProviderFacts) -> int | None:
    """Return the micro-dollars of one call, rounded up: what the operator says of a call comes before the price."""
    price, value = facts.price, facts.usd_per_call
    if value is None and price is not None and price.per == "picture":
        if price.unit == "USD":
            value = price.amount
        elif price.unit == "credit" and facts.usd_per_credit is not None:
            value = price.amount * facts.usd_per_credit
    return to_amount(value, _MICRO, ROUND_CEILING)


def _usd_taken(facts: ProviderFacts, consumed: Decimal | None, usage: TokenUsage | None) -> int | None:
    """Return the micro-dollars of what a provider says that it took; ``None`` where that cannot be told."""
    if consumed is not None and facts.usd_per_credit is not None and to_amount(consumed, _MILLI) is not None:
        return to_amount(consumed * facts.usd_per_credit, _MICRO, ROUND_CEILING)
    price = facts.token_price
    if usage is None or price is None:
        return None
    # More tokens of text than there are tokens would be an absurd answer; the dearer price counts then.
    text = usage.input_text_tokens if 0 <= usage.input_text_tokens <= usage.input_tokens else 0
    of_text = price.input_usd if price.input_text_usd is None else price.input_text_usd
    # So many dollars a million tokens are as many micro-dollars a token.
    taken = (usage.input_tokens - text) * price.input_usd + text * of_text + usage.output_tokens * price.output_usd
    return to_amount(taken, 1, ROUND_CEILING)


def _tokens(provider: str, usage: TokenUsage | None) -> dict[str, int]:
    if usage is None:
        return {}
    found = {
        tokens_unit(provider, "input"): usage.input_tokens,
        tokens_unit(provider, "output"): usage.output_tokens,
    }
    return {unit: count for unit, count in found.items() if 0 <= count <= MAX_AMOUNT}
