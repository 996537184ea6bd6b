"""The provider ``bria``: a canvas and the photo's place on it in, a job that is asked for, a picture out."""

from __future__ import annotations

import base64
from collections.abc import Generator
from http import HTTPStatus
from typing import TYPE_CHECKING

from uncrop.model import Fill, PictureFacts
from uncrop.providers.answers import read_object, unusable
from uncrop.providers.base import Provider
from uncrop.providers.bria.vocabulary import ENDS, VOCABULARY
from uncrop.providers.conversation import Call, Wait, ask, json_body
from uncrop.providers.error_reader import error_in, refused, refused_job, refused_poll, submitted_in, text_in
from uncrop.providers.jobs import fetch_file, planned_frame
from uncrop.providers.picture import opaque_file, read_picture

if TYPE_CHECKING:
    from uncrop.model import Frame, Task
    from uncrop.providers.conversation import Answer, Conversation, Step
    from uncrop.providers.jobs import Submitted

DONE, ON_THE_WAY = "COMPLETED", "IN_PROGRESS"
# Seconds before each poll. Polls count as requests, and the smallest account has ten of them a minute; doubled up to
# this, nine fall into the first minute.
FIRST_WAIT_S, LONGEST_WAIT_S = 1.0, 8.0


class Bria(Provider):
    """Bria's image expansion: a submit, polls, and a download."""

    def converse(self, task: Task) -> Conversation:
        """Submit the job, ask for it until it has ended, and fetch its picture.

        Raises
        ------
        ContentRejected
            The photo, the prompt, or what was made of them was refused.
        ProviderInvalidResponse
            An answer is not what is documented.
        UncropError
            As the job's end or the status says.
        """
        frame = planned_frame(task.job.placement, self.facts.geometry)
        answer = yield from ask(self.submit(task, frame))
        if answer.status != HTTPStatus.ACCEPTED:
            raise refused(answer, VOCABULARY)
        submitted = submitted_in(answer, VOCABULARY, name="request_id", address="status_url")
        done = yield from self._await_end(submitted)
        address = text_in(done, VOCABULARY, "result", "image_url", missing="names no picture")
        file = yield from fetch_file(address)
        pixels = yield from read_picture(file, frame.width, frame.height, task.job.header)
        return Fill(pixels=pixels, facts=PictureFacts(provider=self.facts.name, request_id=submitted.request_id))

    def submit(self, task: Task, frame: Frame) -> Call:
        """Build ``POST /v2/image/edit/expand``. Pixels that are wholly transparent at the rim are refused there."""
        data, _ = opaque_file(task, self.facts.upload)
        photo = frame.photo
        body: dict[str, object] = {
            "image": base64.b64encode(data).decode(),
            "canvas_size": [frame.width, frame.height],
            "original_image_size": [photo.width, photo.height],
            "original_image_location": [photo.x, photo.y],
            "sync": False,
        }
        if task.job.seed is not None:
            body["seed"] = task.job.seed
        if task.job.request.prompt:
            body["prompt"] = task.job.request.prompt
        if self.settings.text("visual_moderation") == "on":
            body |= {"visual_input_content_moderation": True, "visual_output_content_moderation": True}
        return Call(
            method="POST",
            url=f"{self.settings.base_url}/v2/image/edit/expand",
            headers=self._headers(),
            body=json_body(body),
            holds_picture=False,
        )

    def _await_end(self, submitted: Submitted) -> Generator[Step, object, Answer]:
        """Ask for the job until it is done, and return the answer that says so."""
        poll = Call(method="GET", url=submitted.address, headers=self._headers(), kind="repeat", holds_picture=False)
        wait_s = FIRST_WAIT_S
        while True:
            yield Wait(seconds=wait_s, step="waiting for Bria")
            wait_s = min(wait_s * 2, LONGEST_WAIT_S)
            answer = yield from ask(poll)
            if answer.status != HTTPStatus.OK:
                raise refused_poll(answer, VOCABULARY)
            # The id in here is the poll's own, another one each time.
            status = (read_object(answer.body) or {}).get("status")
            if status == DONE:
                return answer
            if isinstance(status, str) and status in ENDS:
                raise refused_job(answer, VOCABULARY, status)
            if status != ON_THE_WAY:
                raise error_in(answer, VOCABULARY) or unusable("tells no known status")

    def _headers(self) -> dict[str, str]:
        return {"api_token": self.key}
