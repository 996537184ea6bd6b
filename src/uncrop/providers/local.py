"""The embedded engine behind the providers' interface: no key, no network, no cost."""

from __future__ import annotations

from typing import TYPE_CHECKING

from uncrop import engine
from uncrop.model import Capabilities, Facts, Fill
from uncrop.providers.base import new_request_id

if TYPE_CHECKING:
    from uncrop.model import ImageHeader, Sides, Task
    from uncrop.providers.base import Flight, ProviderContext

NAME = "local"


def working_bytes(header: ImageHeader, sides: Sides) -> int:
    """Predict what a process of the engine takes for one picture, besides what it always takes."""
    return engine.picture_bytes(header.height, header.width, header.channels * header.bits // 8, sides)


class Local:
    """The provider ``local``."""

    def __init__(self, context: ProviderContext) -> None:
        self._engine = context.engine
        self._capabilities = Capabilities(
            name=NAME,
            takes_sides=True,
            takes_mask=False,
            takes_prompt=False,
            takes_size=False,
            takes_quality=True,
            max_seed=2**32 - 1,
            max_image_bytes=30_000_000,
            min_image_side=16,
            max_output_pixels=context.max_output_pixels,
            answer_format=None,
            bills=False,
            keeps_depth=True,
            takes_confidence_map=True,
            working_bytes=working_bytes,
        )

    @property
    def capabilities(self) -> Capabilities:
        """The row of facts about this provider."""
        return self._capabilities

    def check_configured(self) -> None:
        """Nothing needs to be set."""

    async def fill(self, task: Task, flight: Flight) -> Fill:
        """Extend the photo. The flight is never committed: nothing is billed, so the work can be stopped at any time.

        Raises
        ------
        UncropError
        """
        flight.check()
        job = task.job
        extension = await self._engine.extend(
            task.photo,
            job.request.sides,
            seed=job.seed or 0,
            quality=job.quality,
            confidence_map=job.request.confidence_map,
            progress=flight.progress,
        )
        facts = Facts(
            provider=NAME, request_id=new_request_id(), confidence=extension.confidence, advice=extension.advice
        )
        return Fill(pixels=extension.pixels, facts=facts, keeps_original=True, confidence_map=extension.confidence_map)
