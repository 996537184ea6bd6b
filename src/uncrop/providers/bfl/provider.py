"""The provider ``bfl``: a canvas and the photo's place on it in, a task that is asked for, a PNG out. See the row."""

from __future__ import annotations

import base64
from collections.abc import Generator, Mapping
from dataclasses import replace
from http import HTTPStatus
from typing import TYPE_CHECKING

from uncrop.errors import ProviderError, ProviderInvalidResponse, ProviderRejectedRequest, UncropError
from uncrop.model import Fill, PictureFacts
from uncrop.placement.frames import cut_canvas
from uncrop.providers.answers import read_credits, read_object, unusable
from uncrop.providers.base import Provider
from uncrop.providers.bfl.facts import PRICES
from uncrop.providers.bfl.padding import is_padded
from uncrop.providers.bfl.vocabulary import ENDS, FAILED, VOCABULARY
from uncrop.providers.conversation import Call, Wait, ask, json_body
from uncrop.providers.error_reader import error_in, refused, refused_job, refused_poll, submitted_in, text_in
from uncrop.providers.jobs import fetch_file, planned_frame
from uncrop.providers.picture import opaque_file, read_picture

if TYPE_CHECKING:
    from uncrop.model import Frame, ImageHeader, ProviderFacts, Task
    from uncrop.providers.base import ProviderSettings
    from uncrop.providers.conversation import Answer, Conversation, Step
    from uncrop.providers.jobs import Submitted

READY = "Ready"
ON_THE_WAY = frozenset({"Generating", "Pending", "Reasoning"})
# Seconds before each poll: pictures take about five or about thirty.
FIRST_WAIT_S, LONGEST_WAIT_S, LONGER = 0.5, 2.0, 1.5


class Bfl(Provider):
    """Black Forest Labs' outpainting: a submit, polls, and a download."""

    def __init__(self, facts: ProviderFacts, settings: ProviderSettings) -> None:
        super().__init__(replace(facts, price=PRICES.get(settings.text("mode"))), settings)

    def converse(self, task: Task) -> Conversation:
        """Submit the task, ask for it until it has ended, and fetch its picture at once: the address soon expires.

        Raises
        ------
        ContentRejected
            The photo, the prompt, or what was made of them was refused.
        ProviderInvalidResponse
            An answer is not what is documented, or the picture is flat padding.
        UncropError
            As the task's end, the error's code or the status says.
        """
        frame = planned_frame(task.job.placement, self.facts.geometry)
        answer = yield from ask(self.submit(task, frame))
        if answer.status != HTTPStatus.OK:
            raise refused(answer, VOCABULARY)
        submitted = submitted_in(answer, VOCABULARY, name="id", address="polling_url")
        done = yield from self._await_end(submitted)
        address = text_in(done, VOCABULARY, "result", "sample", missing="names no picture")
        file = yield from fetch_file(address)
        bodies = (submitted.body, read_object(done.body) or {})
        costs = [read_credits(body.get("cost")) for body in bodies]  # some tell only in the end
        facts = PictureFacts(
            provider=self.facts.name,
            request_id=submitted.request_id,
            credits_consumed=next((cost for cost in costs if cost is not None), None),
        )
        return (yield from self.read(file, frame, facts, task.job.header))

    def submit(self, task: Task, frame: Frame) -> Call:
        """Build ``POST /v1/flux-tools/outpainting-v1``. Fields that it does not know are refused there."""
        data, _ = opaque_file(task, self.facts.upload)
        body: dict[str, object] = {
            "input_image": base64.b64encode(data).decode(),
            "width": frame.width,
            "height": frame.height,
            "reference_offset_x": frame.photo.x,
            "reference_offset_y": frame.photo.y,
            "mode": self.settings.text("mode"),
            "output_format": "png",
        }
        if task.job.request.prompt:
            body["prompt"] = task.job.request.prompt
        return Call(
            method="POST",
            url=f"{self.settings.base_url}/v1/flux-tools/outpainting-v1",
            headers=self._headers(),
            body=json_body(body),
            holds_picture=False,
        )

    def _await_end(self, submitted: Submitted) -> Generator[Step, object, Answer]:
        """Ask for the task until it is ready, and return the answer that says so."""
        poll = Call(method="GET", url=submitted.address, headers=self._headers(), kind="repeat", holds_picture=False)
        wait_s, fraction, step = FIRST_WAIT_S, None, "submitted"
        while True:
            yield Wait(seconds=wait_s, fraction=fraction, step=step)
            wait_s = min(wait_s * LONGER, LONGEST_WAIT_S)
            answer = yield from ask(poll)
            body, status = read_task(answer)
            if status == READY:
                return answer
            if status in ENDS:
                raise ended(answer, status)
            if status not in ON_THE_WAY:
                raise error_in(answer, VOCABULARY) or unusable("tells a status that is not known")
            fraction, step = _progress(body), "waiting for Black Forest Labs"

    def read(self, file: bytes, frame: Frame, facts: PictureFacts, photo: ImageHeader) -> Conversation:
        """Decode the picture, look whether anything was made, and cut it to the canvas."""
        pixels = yield from read_picture(file, frame.width, frame.height, photo)
        if is_padded(pixels, frame):
            raise ProviderInvalidResponse(system_message="The provider's picture is flat padding beside the photo")
        return Fill(pixels=cut_canvas(pixels, frame), facts=facts)

    def _headers(self) -> dict[str, str]:
        return {"x-key": self.key}


def read_task(answer: Answer) -> tuple[Mapping[str, object], str]:
    """Read a task and its status, which a 422 may hold as well.

    Raises
    ------
    UncropError
        The answer is no task.
    """
    body = read_object(answer.body) or {}
    status = body.get("status")
    may_hold_task = answer.status in {HTTPStatus.OK, HTTPStatus.UNPROCESSABLE_ENTITY}
    if may_hold_task and isinstance(status, str):
        return body, status
    if answer.status != HTTPStatus.OK:
        raise refused_poll(answer, VOCABULARY)
    raise error_in(answer, VOCABULARY) or unusable("tells no status")


def ended(answer: Answer, status: str) -> UncropError:
    """Return the error of a task that ended without a picture; one that failed with a 422 was asked something wrong."""
    wrong = status == FAILED and answer.status == HTTPStatus.UNPROCESSABLE_ENTITY
    return refused_job(answer, VOCABULARY, status, otherwise=ProviderRejectedRequest if wrong else ProviderError)


def _progress(body: Mapping[str, object]) -> float | None:
    progress = body.get("progress")
    return float(progress) if isinstance(progress, int | float) and 0 <= progress <= 1 else None
