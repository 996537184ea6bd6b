"""The provider ``sdapi``: one call of ``img2img`` with a mask, silent until its picture is made.

The web UI makes one picture at a time and knows one "Interrupt", which ends whatever is being made. Its answer is then
a picture all the same, half made, with status 200. So nothing is interrupted that is not known to be ours.
"""

from __future__ import annotations

import base64
from collections.abc import Generator
from dataclasses import replace
from http import HTTPStatus
from typing import TYPE_CHECKING

import numpy as np

from uncrop.geometry.planner import choose_frame, possible_sizes
from uncrop.imaging import codec
from uncrop.model import Fill, PictureFacts
from uncrop.placement.cells import draw_cells, draw_scaled
from uncrop.placement.frames import cut_canvas
from uncrop.providers.answers import read_base64, read_object
from uncrop.providers.base import Provider, new_request_id
from uncrop.providers.conversation import Answer, Call, ProgressPoll, ask, json_body
from uncrop.providers.error_reader import object_in, refused
from uncrop.providers.picture import read_picture
from uncrop.providers.sdapi.facts import CELL, FILLS, LEAST_PIXELS, MOST_PIXELS
from uncrop.providers.sdapi.vocabulary import VOCABULARY

if TYPE_CHECKING:
    from collections.abc import Mapping

    from uncrop.model import Frame, ImageHeader, ProviderFacts, Task
    from uncrop.providers.base import ProviderSettings
    from uncrop.providers.conversation import CallKind, Conversation

IMG2IMG, PROGRESS, INTERRUPT = "/sdapi/v1/img2img", "/sdapi/v1/progress", "/sdapi/v1/interrupt"
# The web UI's own page asks here whether a task is being worked on. The progress of the API names no task: it has a
# field for it, which AUTOMATIC1111 and Forge leave empty.
TASK = "/internal/progress"


class StableDiffusion(Provider):
    """A web UI of the operator's own."""

    def __init__(self, facts: ProviderFacts, settings: ProviderSettings) -> None:
        values = settings.values
        least, most = values.get("min_pixels", LEAST_PIXELS), values.get("max_pixels", MOST_PIXELS)
        narrowed = replace(facts.geometry, min_pixels=int(least), max_pixels=int(most))
        self._has_frames = any(possible_sizes(1, 1, narrowed))
        super().__init__(replace(facts, geometry=narrowed) if self._has_frames else facts, settings)

    def check_configured(self) -> None:
        """Refuse to go on without an address, with half a password, or with limits that exclude every picture.

        Raises
        ------
        ProviderNotConfigured
        """
        super().check_configured()
        if self.settings.text("api_auth") and not all(self.settings.text("api_auth").partition(":")):
            raise self.not_configured("has an api_auth that is not user:password")
        if not self._has_frames:
            raise self.not_configured("has a min_pixels and a max_pixels between which there is no picture")

    def converse(self, task: Task) -> Conversation:
        """Send photo and mask; read the picture.

        Raises
        ------
        ProviderInvalidResponse
            The answer holds no picture of the frame's shape.
        UncropError
            As the body says where it is known, else as the status says.
        """
        frame = choose_frame(task.job.placement, self.facts.geometry)
        task_id = new_request_id()
        answer = yield from ask(self.submit(task, frame, task_id))
        if answer.status != HTTPStatus.OK:
            raise refused(answer, VOCABULARY)
        return (yield from self.read(answer, frame, task_id, task.job.header))

    def submit(self, task: Task, frame: Frame, task_id: str) -> Call:
        """Build ``POST /sdapi/v1/img2img``. ``task_id`` is the web UI's name for the work as well as ours."""
        return replace(
            self._call("POST", IMG2IMG, self._body(task, frame, task_id)),
            holds_picture=True,
            on_cancel=None if self.settings.text("interrupt") == "off" else lambda: self._interrupt(task_id),
            progress=ProgressPoll(
                call=self._call("GET", f"{PROGRESS}?skip_current_image=true", kind="repeat"),
                read=read_progress,
                step="painting",
            ),
        )

    def read(self, answer: Answer, frame: Frame, task_id: str, photo: ImageHeader) -> Conversation:
        """Decode the first picture and cut it to the canvas; others, such as the mask's, may follow it."""
        images = object_in(answer, VOCABULARY).get("images")
        first = images[0] if isinstance(images, list) and images else None
        pixels = yield from read_picture(read_base64(first), frame.width, frame.height, photo)
        facts = PictureFacts(
            provider=self.facts.name, request_id=task_id, model=self.settings.text("checkpoint") or None
        )
        return Fill(pixels=cut_canvas(pixels, frame), facts=facts)

    def _body(self, task: Task, frame: Frame, task_id: str) -> dict[str, object]:
        values, text = self.settings.values, self.settings.text
        mask = draw_cells(task, frame, CELL)
        chosen = {"sampler_name": text("sampler"), "scheduler": text("scheduler")}
        checkpoint = text("checkpoint")
        return {
            "init_images": [_png(draw_scaled(task, frame))],
            # Grey and without alpha: a mask with alpha is read the other way round than anywhere else.
            "mask": _png(np.where(mask, np.uint8(255), np.uint8(0))[:, :, None]),
            "inpainting_mask_invert": 0,
            # Blurred, it would let what lies under it show through beside the photo; the seam is closed afterwards.
            "mask_blur": 0,
            "inpainting_fill": FILLS[text("inpainting_fill")],
            # On by default in most dialects: then width and height are not those of the picture.
            "inpaint_full_res": False,
            "resize_mode": 0,
            "width": frame.width,
            "height": frame.height,
            "prompt": task.job.request.prompt or "",
            "negative_prompt": ", ".join(filter(None, (text("negative_prompt"), task.job.request.negative_prompt))),
            "seed": -1 if task.job.seed is None else task.job.seed,
            "steps": values["steps"],
            "cfg_scale": values["cfg_scale"],
            "denoising_strength": values["denoising_strength"],
            "batch_size": 1,
            "n_iter": 1,
            "send_images": True,
            "save_images": False,
            "include_init_images": False,
            "force_task_id": task_id,
            **{name: value for name, value in chosen.items() if value},
            **({"override_settings": {"sd_model_checkpoint": checkpoint}} if checkpoint else {}),
        }

    def _interrupt(self, task_id: str) -> Generator[Call, Answer, None]:
        """Interrupt the work, if it is this task's or the operator says that it may be anybody's."""
        if self.settings.text("interrupt") == "own":
            told = yield self._call("POST", TASK, {"id_task": task_id, "live_preview": False})
            if told.status != HTTPStatus.OK or (read_object(told.body) or {}).get("active") is not True:
                return
        # Sent once: a second one would end the next one's work.
        yield self._call("POST", INTERRUPT)

    def _call(self, method: str, path: str, body: object = None, kind: CallKind = "submit") -> Call:
        return Call(
            method=method,
            url=self.settings.base_url + path,
            headers=self._headers(),
            body=None if body is None else json_body(body),
            kind=kind,
            holds_picture=False,
        )

    def _headers(self) -> Mapping[str, str]:
        self.check_configured()
        auth = self.settings.text("api_auth")
        return {"Authorization": f"Basic {base64.b64encode(auth.encode()).decode()}"} if auth else {}


def read_progress(answer: Answer) -> float | None:
    """Read how far the web UI is with what it works on, 0..1; ``None`` where it does not tell."""
    told = (read_object(answer.body) or {}).get("progress") if answer.status == HTTPStatus.OK else None
    return float(told) if isinstance(told, int | float) and type(told) is not bool and 0 <= told <= 1 else None


def _png(pixels: np.ndarray[tuple[int, ...], np.dtype[np.uint8]]) -> str:
    return base64.b64encode(codec.encode(pixels, "PNG")).decode()
