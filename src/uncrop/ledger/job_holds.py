"""The holds of a job: opened when it is submitted, used by whoever works on it, ended in its own end's transaction."""

from __future__ import annotations

from typing import TYPE_CHECKING

import anyio

from uncrop.model.jobs import MOST_PICTURES, job_hold_id, job_hold_ids

if TYPE_CHECKING:
    from uncrop.ledger.ledger import HeldPicture, Ledger, NotedPicture
    from uncrop.model import Caller, ProviderFacts
    from uncrop.store.books import Also


class JobHolds:
    """The holds of one job, for one attempt to make it.

    A worker that was given up for dead changes none of them: it opens one only where the job is still its own, and the
    ends that it has noted are written only where it ends the job.

    Parameters
    ----------
    ledger
        Where they are written.
    job_id
        The job's.
    still_ours
        Raises where another worker has the job by now.
    """

    def __init__(self, ledger: Ledger, job_id: str, still_ours: Also) -> None:
        self._ledger = ledger
        self._job_id = job_id
        self._still_ours = still_ours
        self._found = False
        self._finding = anyio.Lock()
        # What each was held for: the provider, and how many billed calls of it.
        self._usable: dict[str, tuple[str, int]] = {}
        # The first ones are those of the submission, by the numbers of the pictures.
        self._next = MOST_PICTURES
        self._pictures: dict[int, NotedPicture] = {}

    async def take(self, number: int, caller: Caller, facts: ProviderFacts, calls: int) -> HeldPicture:
        """Return the hold of one of the job's pictures; another one is opened where that does not do.

        It does not where another provider makes the picture than the one that it was held for, where it takes another
        number of calls by now, and where there is none, as of a job that an earlier version has taken.

        Parameters
        ----------
        number
            Which picture, from 0.
        caller, facts, calls
            As for ``Ledger.hold``.

        Raises
        ------
        UncropError
            As ``Ledger.hold``; or another worker has the job by now.
        """
        await self._find()
        before = self._pictures.get(number)
        hold_id = job_hold_id(self._job_id, number) if before is None else before.id
        wanted = facts.name, calls if facts.bills else 0
        if self._usable.get(hold_id) != wanted:
            hold_id = await self._open(hold_id, caller, facts, calls)
            self._usable[hold_id] = wanted
        picture = self._pictures[number] = self._ledger.noted(hold_id, facts)
        return picture

    def ending(self, *, made: bool) -> Also:
        """Return what ends all of them within the transaction that ends the job.

        Parameters
        ----------
        made
            Whether the pictures count as this attempt has left them. Else nothing of it reached a provider or the
            caller, and what is held is given back.
        """
        pictures = self._pictures.values() if made else ()
        closings = {picture.id: picture.closing for picture in pictures if picture.closing is not None}
        return self._ledger.closing(job_hold_ids(self._job_id), closings)

    async def _find(self) -> None:
        """Find out which holds there are: once, and before the first is taken."""
        async with self._finding:
            if self._found:
                return
            for hold in await self._ledger.having(job_hold_ids(self._job_id)):
                self._next = max(self._next, _number_of(hold.id) + 1)
                if hold.state == "held":
                    self._usable[hold.id] = (hold.provider, hold.calls_planned)
            self._found = True

    async def _open(self, before: str, caller: Caller, facts: ProviderFacts, calls: int) -> str:
        number, self._next = self._next, self._next + 1
        hold_id = job_hold_id(self._job_id, number)
        await self._ledger.write(
            [
                self._still_ours,
                self._ledger.closing([before], {}),
                self._ledger.holding(caller, facts, calls=calls, hold_id=hold_id),
            ]
        )
        return hold_id


def giving_back(ledger: Ledger, job_id: str) -> Also:
    """Return what gives back what is held for a job that nobody works on, within the transaction that ends it.

    What a call that was sent may cost stays held, in doubt.
    """
    return ledger.closing(job_hold_ids(job_id), {})


def _number_of(hold_id: str) -> int:
    """Return the number of a job's hold, by its id."""
    return int(hold_id.rpartition(".")[2])
