"""The provider ``clipdrop``: sides and a seed in, a JPEG out, one credit a picture. See the row's source."""

from __future__ import annotations

from http import HTTPStatus
from typing import TYPE_CHECKING

from uncrop.model import Fill, PictureFacts
from uncrop.providers.answers import read_credits, request_id
from uncrop.providers.base import Provider
from uncrop.providers.clipdrop.vocabulary import VOCABULARY
from uncrop.providers.conversation import Call, Part, ask
from uncrop.providers.error_reader import picture_in, refused
from uncrop.providers.picture import photo_part

if TYPE_CHECKING:
    from uncrop.model import Task
    from uncrop.providers.conversation import Answer, Conversation


class Clipdrop(Provider):
    """Clipdrop's Uncrop: one call."""

    def converse(self, task: Task) -> Conversation:
        """Send the photo and its sides; read the picture.

        Raises
        ------
        ProviderInvalidResponse
            The answer is not a picture of the canvas's shape, and tells no error that is known.
        UncropError
            As the error's words say where they are known, else as the status says.
        """
        answer = yield from ask(self.submit(task))
        if answer.status != HTTPStatus.OK:
            raise refused(answer, VOCABULARY)
        return (yield from self.read(answer, task))

    def submit(self, task: Task) -> Call:
        """Build ``POST /uncrop/v1``: the photo, all four sides, negative ones as they are, and the seed."""
        sides = task.job.sides
        numbers = {
            "extend_left": sides.left,
            "extend_right": sides.right,
            "extend_up": sides.up,
            "extend_down": sides.down,
        }
        if task.job.seed is not None:
            numbers["seed"] = task.job.seed
        photo = photo_part("image_file", task, self.facts.upload)
        return Call(
            method="POST",
            url=f"{self.settings.base_url}/uncrop/v1",
            headers={"x-api-key": self.key},
            body=(photo, *(Part(name=name, value=str(number)) for name, number in numbers.items())),
        )

    def read(self, answer: Answer, task: Task) -> Conversation:
        """Decode the picture, whatever its type, and read the credits from the headers."""
        placement = task.job.placement
        facts = PictureFacts(
            provider=self.facts.name,
            request_id=request_id(answer.headers),
            credits_consumed=read_credits(answer.headers.get("x-credits-consumed")),
            credits_remaining=read_credits(answer.headers.get("x-remaining-credits")),
        )
        pixels = yield from picture_in(answer, VOCABULARY, placement, task.job.header)
        return Fill(pixels=pixels, facts=facts)
