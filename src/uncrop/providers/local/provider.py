"""The provider ``local``: one step, in the engine's workers."""

from __future__ import annotations

from typing import TYPE_CHECKING

from uncrop.model import Fill, PictureFacts
from uncrop.providers.base import Provider, new_request_id
from uncrop.providers.conversation import Extend, compute

if TYPE_CHECKING:
    from uncrop.model import Task
    from uncrop.providers.conversation import Conversation


class Local(Provider):
    """The embedded engine."""

    def converse(self, task: Task) -> Conversation:
        """Extend the photo. Nothing is billed, so the work can be stopped at any time.

        Raises
        ------
        UncropError
        """
        job = task.job
        extension = yield from compute(
            Extend(
                photo=task.photo,
                sides=job.sides,
                seed=job.seed or 0,
                quality=job.quality,
                confidence_map=job.request.confidence_map,
                is_variation=(job.request.variations or 1) > 1,
            )
        )
        facts = PictureFacts(
            provider=self.facts.name,
            request_id=new_request_id(),
            confidence=extension.confidence,
            advice=extension.advice,
        )
        return Fill(pixels=extension.pixels, facts=facts, keeps_original=True, confidence_map=extension.confidence_map)
