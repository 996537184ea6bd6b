"""The calls of a photo of a batch: each is marked in its row before it is sent, and taken out of the batch's money."""

from __future__ import annotations

from typing import TYPE_CHECKING

from uncrop.errors import ServerBusy, UsageLimitExceeded
from uncrop.ledger.prices import cost_of_call
from uncrop.model.ledger import USD

if TYPE_CHECKING:
    from collections.abc import Callable

    from uncrop.model import PictureFacts, ProviderFacts
    from uncrop.model.batches import BatchPhoto
    from uncrop.store.batch_photos import BatchPhotos


class PhotoCalls:
    """Notes the calls of one attempt: ``uncrop.providers.commitment.CallLog``.

    Attributes
    ----------
    taken
        Whether nothing may be sent, since another has the photo or nobody shall work on its batch.
    usd_micro
        What the calls have cost, as far as that is known.
    """

    def __init__(self, photos: BatchPhotos, photo: BatchPhoto, facts_of: Callable[[str], ProviderFacts]) -> None:
        self._photos = photos
        self._photo = photo
        self._facts_of = facts_of
        self._sent = 0
        self._noted = 0
        self.taken = False
        self.usd_micro = 0

    @property
    def sent(self) -> int:
        """How many calls were sent and not taken back."""
        return self._sent

    @property
    def in_doubt(self) -> bool:
        """Whether a call was sent of which it is not known whether it is billed."""
        return self._sent > self._noted

    async def mark_sent(self) -> None:
        """Write that the next call is sent.

        Raises
        ------
        ServerBusy
            It could not be written, or another has the photo: nothing may be sent.
        UsageLimitExceeded
            The batch has no money left for it.
        """
        obstacle = await self._photos.mark_sent(self._photo)
        if obstacle == "money":
            raise UsageLimitExceeded("The batch has spent what it may")
        if obstacle is not None:
            self.taken = True
            raise ServerBusy(system_message="The photo was taken away from this worker before its call")
        self._sent += 1

    async def take_back(self) -> None:
        """Write that the call marked last was not sent, or was refused before anything was made."""
        self._sent -= 1
        await self._photos.take_back(self._photo)

    def note_cost(self, said: PictureFacts) -> None:
        """Note what the provider says about the last call."""
        self._noted += 1
        cost = cost_of_call(self._facts_of(said.provider), said)
        self.usd_micro += sum(amount.value for amount in cost if amount.unit == USD)

    def note_failure(self, *, charged: bool) -> None:
        """Note that the last call made nothing, and whether it is billed all the same."""
        # One that was taken back is no call any more.
        self._noted = min(self._noted + 1, self._sent)
        self.usd_micro += (self._photo.price_usd_micro or 0) if charged else 0
