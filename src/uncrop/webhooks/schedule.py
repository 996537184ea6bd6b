"""When a message that was not taken is sent again: the example of Standard Webhooks 1.0.0, ten tries in three days."""

from __future__ import annotations

import random
from typing import TYPE_CHECKING

from uncrop.store.deliveries import Next

if TYPE_CHECKING:
    from collections.abc import Callable

    from uncrop.model.webhooks import DeliveryFailure

# Seconds before the second try, the third, and so on: 75 h 35 min 5 s in all.
WAITS_S = (5, 300, 1800, 7200, 18_000, 36_000, 50_400, 72_000, 86_400)
TRIES = 1 + len(WAITS_S)
# Of a wait, at most so much is added or taken away, so that those that failed together do not come back together.
JITTER = 0.1
# Statuses with which a receiver may ask for time (RFC 9110, section 10.2.3).
ASKING = frozenset({429, 503})


def next_of(
    failure: DeliveryFailure | None,
    tries: int,
    *,
    asked_s: float | None = None,
    draw: Callable[[], float] = random.random,
) -> Next:
    """Return what becomes of a message.

    Parameters
    ----------
    failure
        Why it was not taken; ``None`` where it was.
    tries
        How often it was sent, this time included.
    asked_s
        Seconds that the receiver asked for, which are waited where the schedule would wait less.
    draw
        A number from 0 to 1, at random.
    """
    if failure is None:
        return Next(state="delivered")
    if failure == "gone":
        return Next(state="failed", disable="gone")
    if failure == "disabled":
        return Next(state="failed")
    if tries >= TRIES:
        return Next(state="failed", disable="failing")
    wait = WAITS_S[tries - 1] * (1 + JITTER * (2 * draw() - 1))
    return Next(state="waiting", wait_s=max(wait, asked_s or 0))
