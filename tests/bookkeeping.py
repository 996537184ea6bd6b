"""What tests book straight into the store, without a request."""

from __future__ import annotations

from functools import partial
from typing import TYPE_CHECKING

from uncrop.ledger import postings
from uncrop.model.ledger import Amount, CallOutcome, credits_unit, tokens_unit
from uncrop.model.policies import Refusal
from uncrop.store.books import Closing
from uncrop.store.new_holds import NewHold

if TYPE_CHECKING:
    from collections.abc import Sequence

    from uncrop.store.books import Part
    from uncrop.store.database import Store


def amounts(
    provider: str, *, millicredits: int = 0, input_tokens: int = 0, output_tokens: int = 0
) -> tuple[Amount, ...]:
    """Return what a call cost."""
    values = {
        credits_unit(provider): millicredits,
        tokens_unit(provider, "input"): input_tokens,
        tokens_unit(provider, "output"): output_tokens,
    }
    return tuple(Amount(unit=unit, value=value) for unit, value in values.items() if value)


async def hold(
    store: Store,
    number: object,
    *,
    organization: str = "org_a",
    key_id: str | None = None,
    provider: str = "clipdrop",
    per_call: Sequence[Amount] = (),
    calls: int = 1,
    limit: int = 0,
    knows_money: bool = True,
    also: Part | None = None,
) -> Refusal | None:
    """Hold a picture, and what its calls are expected to cost."""
    new = NewHold(
        id=f"use_{number}",
        organization_id=organization,
        key_id=key_id,
        provider=provider,
        calls=calls,
        postings=postings.hold(per_call, calls),
        default_pictures_per_day=limit,
        knows_money=knows_money,
    )
    return await store.books.open(new, also=also)


async def capture(store: Store, number: object, *costs: Amount, model: str | None = None) -> bool:
    """Book a picture that was made by one call, of these costs."""
    outcomes = (CallOutcome(amounts=costs),) if costs else ()
    closing = Closing(state="captured", decide=lambda _, so_far: postings.finish(so_far, outcomes), model=model)
    return await store.books.close(f"use_{number}", closing)


async def release(store: Store, number: object, *costs: Amount) -> bool:
    """Give back a picture that was not made; its calls have cost this all the same."""
    outcomes = (CallOutcome(amounts=costs),) if costs else ()
    fail = partial(postings.fail, outcomes=outcomes, kind="release")
    return await store.books.close(f"use_{number}", Closing(state="released", decide=lambda _, so_far: fail(so_far)))


async def doubt(store: Store, number: object) -> bool:
    """Leave a picture in doubt, of which one call was sent."""
    await store.books.mark_sent(f"use_{number}")
    closing = Closing(
        state="unknown",
        decide=lambda hold, so_far: postings.doubt(so_far, (), planned=hold.calls_planned, sent=1),
        known=0,
    )
    return await store.books.close(f"use_{number}", closing)
