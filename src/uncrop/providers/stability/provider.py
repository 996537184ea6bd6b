"""The provider ``stability``: sides, a seed and a prompt in, a PNG out. See the row's source."""

from __future__ import annotations

from dataclasses import asdict
from http import HTTPStatus
from typing import TYPE_CHECKING

from uncrop.errors import ContentRejected
from uncrop.model import Fill, PictureFacts
from uncrop.providers.answers import request_id, unusable
from uncrop.providers.base import Provider
from uncrop.providers.conversation import Call, Part, ask
from uncrop.providers.error_reader import error_in, picture_in, refused
from uncrop.providers.picture import opaque_file, picture_part
from uncrop.providers.refusal import refuse
from uncrop.providers.stability.vocabulary import VOCABULARY

if TYPE_CHECKING:
    from uncrop.model import Task
    from uncrop.providers.conversation import Answer, Conversation

FILTERED = "CONTENT_FILTERED"
MADE = "SUCCESS"


class Stability(Provider):
    """Stability AI's outpaint: one call, silent until the picture is made."""

    def converse(self, task: Task) -> Conversation:
        """Send the photo and its sides; read the picture.

        Raises
        ------
        ContentRejected
            The photo, the prompt or what was made of them was refused. The last is billed all the same.
        ProviderInvalidResponse
            The answer is not a picture of the canvas's shape, or does not say that it is whole; and it tells no error
            that is known.
        UncropError
            As the error's name or words say where they are known, else as the status says.
        """
        answer = yield from ask(self.submit(task))
        if answer.status != HTTPStatus.OK:
            raise refused(answer, VOCABULARY)
        return (yield from self.read(answer, task))

    def submit(self, task: Task) -> Call:
        """Build ``POST /v2beta/stable-image/edit/outpaint``: what negative sides leave of the photo, and the others."""
        placement, request = task.job.placement, task.job.request
        fields: dict[str, object] = {**asdict(placement.added), "output_format": "png"}
        if task.job.seed is not None:
            fields["seed"] = task.job.seed
        if request.prompt:
            fields["prompt"] = request.prompt
        photo = picture_part("image", *opaque_file(task, self.facts.upload))
        return Call(
            method="POST",
            url=f"{self.settings.base_url}/v2beta/stable-image/edit/outpaint",
            headers={"Authorization": f"Bearer {self.key}", "Accept": "image/*"},
            body=(photo, *(Part(name=name, value=str(value)) for name, value in fields.items())),
        )

    def read(self, answer: Answer, task: Task) -> Conversation:
        """Decode the picture, unless it was blurred because of what it shows."""
        reason = answer.headers.get("finish-reason")
        if reason == FILTERED:
            error = refuse(answer, error=ContentRejected, code=FILTERED)
            error.charged = True
            raise error
        if reason != MADE:
            raise error_in(answer, VOCABULARY) or unusable("does not say that the picture is whole")
        placement = task.job.placement
        facts = PictureFacts(provider=self.facts.name, request_id=request_id(answer.headers))
        pixels = yield from picture_in(answer, VOCABULARY, placement, task.job.header)
        return Fill(pixels=pixels, facts=facts)
