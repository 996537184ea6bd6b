"""Clipdrop's Uncrop: sides and a seed in, a JPEG out, one credit a picture. See https://clipdrop.co/apis/docs/uncrop."""

from __future__ import annotations

from decimal import Decimal, InvalidOperation
from typing import TYPE_CHECKING

from uncrop.errors import ContentRejected
from uncrop.imaging.limits import MAX_PIXELS
from uncrop.model import Capabilities, Facts, Fill
from uncrop.providers.base import Call, Part
from uncrop.providers.picture import photo_part, read_picture
from uncrop.providers.refusal import refuse, request_id
from uncrop.providers.remote import RemoteProvider

if TYPE_CHECKING:
    from collections.abc import Mapping

    from uncrop.errors import UncropError
    from uncrop.model import ImageFormat, Task
    from uncrop.providers.base import Answer, ProviderContext

CAPABILITIES = Capabilities(
    name="clipdrop",
    takes_sides=True,
    takes_mask=False,
    takes_prompt=False,
    takes_size=False,
    takes_quality=False,
    max_seed=100_000,
    max_image_bytes=30_000_000,
    max_image_pixels=10_000_000,
    # No limit of its own is known; a larger answer could not be decoded here.
    max_output_pixels=MAX_PIXELS["JPEG"],
    answer_format="JPEG",
    bills=True,
)
# No picture costs more; a larger number is a mistake of the provider's and is told to nobody.
MAX_CREDITS = 1_000_000
FORMATS: frozenset[ImageFormat] = frozenset({"JPEG", "PNG", "WEBP"})


class Clipdrop(RemoteProvider):
    """The provider ``clipdrop``."""

    def __init__(self, context: ProviderContext) -> None:
        super().__init__(context, CAPABILITIES)

    def build_call(self, task: Task, key: str) -> Call:
        """Build ``POST /uncrop/v1``: the photo, all four sides, negative ones as they are, and the seed."""
        request = task.job.request
        numbers = {
            "extend_left": request.sides.left,
            "extend_right": request.sides.right,
            "extend_up": request.sides.up,
            "extend_down": request.sides.down,
        }
        if task.job.seed is not None:
            numbers["seed"] = task.job.seed
        photo = photo_part("image_file", task, FORMATS, CAPABILITIES.max_image_bytes)
        return Call(
            method="POST",
            url=f"{self.settings.base_url}/uncrop/v1",
            headers={"x-api-key": key},
            parts=(photo, *(Part(name=name, value=str(number)) for name, number in numbers.items())),
        )

    def read_answer(self, answer: Answer, task: Task) -> Fill:
        """Decode the picture, whatever its type, and read the credits from the headers.

        Raises
        ------
        ProviderInvalidResponse
        """
        canvas = task.job.canvas
        facts = Facts(
            provider=CAPABILITIES.name,
            request_id=request_id(answer.headers),
            credits_consumed=_credits(answer.headers, "x-credits-consumed"),
            credits_remaining=_credits(answer.headers, "x-remaining-credits"),
        )
        return Fill(pixels=read_picture(answer.body, canvas.width, canvas.height), facts=facts)

    def reject(self, answer: Answer) -> UncropError:
        """Go by the status alone: the texts of the bodies are not documented."""
        return refuse(answer, error=ContentRejected if answer.status == 422 else None)


def _credits(headers: Mapping[str, str], name: str) -> Decimal | None:
    try:
        number = Decimal(headers.get(name, "").strip())
    except InvalidOperation:
        return None
    return number if number.is_finite() and 0 <= number <= MAX_CREDITS else None
