"""The provider ``sketch``: submits a job, asks for it where the answer says, and fetches its picture."""

from __future__ import annotations

import base64
from http import HTTPStatus
from typing import TYPE_CHECKING

import numpy as np

from uncrop.errors import ContentRejected, ProviderError, ProviderInvalidResponse
from uncrop.model import Fill, PictureFacts
from uncrop.placement.frames import cut_canvas
from uncrop.providers.answers import read_object, read_text, request_id, unusable
from uncrop.providers.base import Provider
from uncrop.providers.conversation import Call, Wait, ask, json_body
from uncrop.providers.jobs import fetch_file, planned_frame
from uncrop.providers.picture import read_picture, used_file
from uncrop.providers.refusal import refuse, refuse_poll

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

    from numpy.typing import NDArray

    from uncrop.errors import UncropError
    from uncrop.model import Frame, Task
    from uncrop.providers.conversation import Answer, Conversation

PAUSE_S = 0.2
# What the vendor says of a job that made no picture.
ENDINGS = {"Failed": ProviderError, "Moderated": ContentRejected}
# Grey levels by which one flat colour must differ from the photo's rim to be a fault and not a clear sky.
FLAT = 24


class Sketch(Provider):
    """A job, polled until it is done."""

    def converse(self, task: Task) -> Conversation:
        """Submit, poll, download.

        Raises
        ------
        ProviderInvalidResponse
            An answer is not what the vendor promises, or the picture is flat beside the photo.
        ProviderError
            The job failed.
        ContentRejected
            The job was refused.
        """
        frame = planned_frame(task.job.placement, self.facts.geometry)
        submitted = yield from ask(self.submit(task, frame))
        job = read(submitted, refuse)
        address = read_text(job, "polling_url")
        headers = {"x-key": self.key}
        cancel = Call(method="DELETE", url=address, headers=headers, kind="repeat", holds_picture=False)
        poll = Call(method="GET", url=address, headers=headers, kind="repeat", holds_picture=False, on_cancel=cancel)
        while True:
            state = yield from ask(poll)
            if state.status != HTTPStatus.ACCEPTED:
                break
            progress = read(state, refuse_poll, HTTPStatus.ACCEPTED).get("progress")
            fraction = float(progress) if isinstance(progress, int | float) else None
            yield Wait(seconds=PAUSE_S, fraction=fraction, step="sketch", on_cancel=cancel)
        done = read(state, refuse_poll)
        status = read_text(done, "status")
        if status in ENDINGS:
            raise refuse(state, error=ENDINGS[status], code=status)
        file = yield from fetch_file(read_text(done, "sample"))
        pixels = yield from read_picture(file, frame.width, frame.height, task.job.header)
        if pixels.shape[:2] == (frame.height, frame.width) and is_flat_beside(pixels, frame):
            raise ProviderInvalidResponse(system_message="The provider's picture is one flat colour beside the photo")
        facts = PictureFacts(provider=self.facts.name, request_id=request_id(submitted.headers), model="sketch-1")
        return Fill(pixels=cut_canvas(pixels, frame), facts=facts)

    def submit(self, task: Task, frame: Frame) -> Call:
        """Build ``POST /v1/expand``: the photo as the negative sides leave it, the canvas, and the photo's place."""
        image, _ = used_file(task, self.facts.upload)
        body = {
            "image": base64.b64encode(image).decode(),
            "width": frame.width,
            "height": frame.height,
            "offset_x": frame.photo.x,
            "offset_y": frame.photo.y,
            "steps": self.settings.values["steps"],
            "seed": task.job.seed,
            "prompt": task.job.request.prompt or "",
        }
        return Call(
            method="POST",
            url=f"{self.settings.base_url}/v1/expand",
            headers={"x-key": self.key},
            body=json_body(body),
            holds_picture=False,
        )


def read(
    answer: Answer, refused: Callable[[Answer], UncropError], expected: HTTPStatus = HTTPStatus.OK
) -> Mapping[str, object]:
    """Read an answer's JSON.

    Raises
    ------
    UncropError
        As ``refused`` makes it of another status than the expected one.
    ProviderInvalidResponse
        It is no JSON object.
    """
    if answer.status != expected:
        raise refused(answer)
    body = read_object(answer.body)
    if body is None:
        raise unusable("is not a JSON object")
    return body


def is_flat_beside(pixels: NDArray[np.uint8], frame: Frame) -> bool:
    """Tell whether all that was made is one colour that the photo's rim has not: what the vendor does off its grid."""
    photo = frame.photo
    made = np.ones(pixels.shape[:2], np.bool_)
    made[photo.y : photo.y + photo.height, photo.x : photo.x + photo.width] = False
    inner = pixels[photo.y : photo.y + photo.height, photo.x : photo.x + photo.width].astype(int)
    rim = np.concatenate([inner[0], inner[-1], inner[:, 0], inner[:, -1]])
    colours = pixels[made].astype(int)
    return bool((colours == colours[0]).all() and np.abs(rim - colours[0]).mean() > FLAT)
