"""What is told about limits and the ledger: the fields that are named here, and no others."""

from __future__ import annotations

import re
from decimal import Decimal
from typing import TYPE_CHECKING, Any

from uncrop.model.ledger import LONGEST_REASON, MAX_AMOUNT
from uncrop.server.admin_wire import told
from uncrop.server.json_bodies import wrong_fields

if TYPE_CHECKING:
    from uncrop.model import Policy
    from uncrop.model.ledger import Hold, Posting
    from uncrop.server.json_bodies import AdjustmentBody, LimitsBody

Json = dict[str, Any]

_MICRO = 1_000_000
_AMOUNT = "must be an amount such as 12.50, of at most six decimals"
_USD = re.compile(r"[0-9]{1,9}(\.[0-9]{1,6})?", re.ASCII)


def limits_json(policy: Policy) -> Json:
    """Return limits; money is a text, to stay exact."""
    money = policy.usd_micro_per_month
    return {
        "requests_per_minute": policy.requests_per_minute,
        "requests_at_once": policy.requests_at_once,
        "pictures_per_day": policy.pictures_per_day,
        "usd_per_month": None if money is None else f"{Decimal(money) / _MICRO:f}",
        "providers": None if policy.providers is None else list(policy.providers),
    }


def changes_of(body: LimitsBody) -> dict[str, Any]:
    """Return the limits that were sent, by the names of ``Policy``; null is the default, which is sent too.

    Raises
    ------
    ValidationError
        The money is no amount.
    """
    sent: dict[str, Any] = {name: getattr(body, name) for name in body.model_fields_set}
    if sent.get("providers") is not None:
        sent["providers"] = tuple(dict.fromkeys(sent["providers"]))
    if "usd_per_month" in sent:
        sent["usd_micro_per_month"] = _micro(sent.pop("usd_per_month"))
    return sent


def _micro(text: str | None) -> int | None:
    if text is None:
        return None
    amount = Decimal(text) * _MICRO if _USD.fullmatch(text) else Decimal(-1)
    if not 0 <= amount <= MAX_AMOUNT:
        raise wrong_fields({"usd_per_month": _AMOUNT})
    return int(amount)


def adjustment_of(body: AdjustmentBody) -> dict[str, Any]:
    """Return what a picture cost, and why, by the names of ``Bookkeeping.adjust``.

    Raises
    ------
    ValidationError
        There is not one cost, or it is no amount; there is no reason, or it is too long.
    """
    sent = {name: text for name, text in (("usd", body.usd), ("credits", body.credits)) if text is not None}
    wrong = {name: _AMOUNT for name, text in sent.items() if not _USD.fullmatch(text)}
    if len(sent) != 1:
        wrong = dict.fromkeys(("usd", "credits"), "one of the two is needed, and not both")
    if not body.reason.strip() or len(body.reason) > LONGEST_REASON:
        wrong["reason"] = f"must have 1 to {LONGEST_REASON} characters"
    if wrong:
        raise wrong_fields(wrong)
    costs = {"credits_" if name == "credits" else name: Decimal(text) for name, text in sent.items()}
    return {"reason": body.reason, **costs}


def hold_json(hold: Hold) -> Json:
    """Return a picture in the ledger."""
    return {
        "id": hold.id,
        "organization_id": hold.organization_id,
        "key_id": hold.key_id,
        "provider": hold.provider,
        "model": hold.model,
        "state": hold.state,
        "calls_planned": hold.calls_planned,
        "calls_sent": hold.calls_sent,
        "calls_settled": hold.calls_settled,
        "created_at": told(hold.created_at),
        "sent_at": None if hold.sent_at is None else told(hold.sent_at),
        "settled_at": None if hold.settled_at is None else told(hold.settled_at),
    }


def picture_json(found: tuple[Hold, tuple[Posting, ...]]) -> Json:
    """Return a picture in the ledger with its postings."""
    hold, postings = found
    return {**hold_json(hold), "postings": [_posting_json(posting) for posting in postings]}


def _posting_json(posting: Posting) -> Json:
    return {
        "kind": posting.kind,
        "unit": posting.unit,
        "source": posting.source,
        "target": posting.target,
        "amount": posting.amount,
        "call": posting.call,
    }


def by_age(hold: Hold) -> tuple[str, str]:
    """Return where a picture stands in its list."""
    return hold.created_at.isoformat(), hold.id
