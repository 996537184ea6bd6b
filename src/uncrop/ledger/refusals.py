"""What is told to whoever is refused by a limit."""

from __future__ import annotations

from datetime import UTC, datetime, time, timedelta
from decimal import Decimal
from typing import TYPE_CHECKING, Any

from uncrop.errors import ProviderNotAllowed, ProviderNotConfigured, UncropError, UsageLimitExceeded
from uncrop.ledger.prices import knows_money
from uncrop.model.policies import Policies, other_refusal

if TYPE_CHECKING:
    from uncrop.model import Caller, ProviderFacts
    from uncrop.model.policies import Refusal

_PER_USD = 1_000_000


def refused(refusal: Refusal, facts: ProviderFacts, now: datetime) -> UncropError:
    """Return the error that tells of a limit."""
    if refusal.limit == "providers":
        message = f"The {refusal.scope} may not use this provider"
        return ProviderNotAllowed(message, details={"provider": facts.name, "scope": refusal.scope})
    if refusal.limit == "price":
        return _no_price(refusal, facts)
    today = now.astimezone(UTC)
    day = today.date()
    details: dict[str, Any] = {"scope": refusal.scope}
    left = max(0, refusal.most - refusal.used)
    if refusal.limit == "pictures_per_day":
        resets = day + timedelta(days=1)
        details |= {"limit": refusal.most, "used": refusal.used, "remaining": left, "window": "UTC day"}
    else:
        resets = (day.replace(day=1) + timedelta(days=32)).replace(day=1)
        amounts = {"limit_usd": refusal.most, "used_usd": refusal.used, "remaining_usd": left}
        details |= {**{name: _usd(amount) for name, amount in amounts.items()}, "window": "UTC month"}
    moment = datetime.combine(resets, time.min, tzinfo=UTC)
    details["resets_at"] = f"{moment:%Y-%m-%dT%H:%M:%SZ}"
    of_what = "pictures for today" if refusal.limit == "pictures_per_day" else "money for this month"
    return UsageLimitExceeded(
        f"The {refusal.scope}'s limit of {of_what} is reached",
        details=details,
        retry_after=(moment - today).total_seconds(),
    )


def refusal_for(caller: Caller, facts: ProviderFacts) -> UncropError | None:
    """Return what would be refused whatever it costs: a provider that is not allowed, or one without a price."""
    policies = Policies(organization=caller.policy, key=caller.key_policy)
    refusal = other_refusal(policies, facts.name, knows_money=knows_money(facts))
    return None if refusal is None else refused(refusal, facts, datetime.now(UTC))


def _no_price(refusal: Refusal, facts: ProviderFacts) -> ProviderNotConfigured:
    in_credits = facts.price is not None and facts.price.unit == "credit"
    setting = f"UNCROP_{facts.name}_{'USD_PER_CREDIT' if in_credits else 'USD_PER_CALL'}".upper()
    return ProviderNotConfigured(
        f"The {refusal.scope} has a limit of money, and what this provider costs is not known here without {setting}",
        details={"provider": facts.name, "setting": setting},
    )


def _usd(micro: int) -> str:
    """Write micro-dollars as dollars, exactly: ``"0.04"``."""
    return f"{Decimal(micro) / _PER_USD:f}"
