"""Bria's image expansion on loopback: jobs on one port, their pictures on another."""

from __future__ import annotations

import secrets
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

from uncrop.testing.bria.rules import read_order
from uncrop.testing.emulator import Refusal, Reply, json_reply
from uncrop.testing.jobs import JobEmulator, PictureJob
from uncrop.testing.repaint import paint_canvas, picture_file

if TYPE_CHECKING:
    from uncrop.testing.bria.rules import Order
    from uncrop.testing.emulator import ReceivedCall
    from uncrop.testing.outcomes import Outcome

SUBMIT, STATUS = "/v2/image/edit/expand", "/v2/status/"
REPAINT = 4  # grey levels by which the whole picture is repainted
POLLS = 2  # how often a job is still in progress
MODERATED = "The content did not pass content moderation"
# A prompt that holds one of these ends the job like this: its status, and the code and message of its error.
ENDINGS: Mapping[str, tuple[str, int | str, str]] = {
    "[failed]": ("ERROR", 500, "The image could not be processed"),
    "[invalid]": ("ERROR", "VALIDATION_ERROR", "A field is not valid"),
    "[unprocessable]": ("ERROR", 422, "The image cannot be expanded"),
    "[unknown]": ("UNKNOWN", 500, "An unexpected error occurred"),
}
# A prompt that holds one of these offends, where the flag is set; the last of them only once the picture is made.
OFFENDING = {
    "[moderated]": "prompt_content_moderation",
    "[input moderated]": "visual_input_content_moderation",
}
OFFENDING_PICTURE = ("[output moderated]", "visual_output_content_moderation")


@dataclass(kw_only=True)
class Job(PictureJob):
    """One job, and how it ends."""

    order: Order = field(repr=False)
    seed: int
    ending: tuple[str, int | str, str] | None = None


class BriaEmulator(JobEmulator[Job]):
    """``POST /v2/image/edit/expand`` and ``GET /v2/status/ID``; pictures at ``files``.

    The address of a picture expires after an hour; asking for the job again gives a fresh one.
    """

    def answer(self, call: ReceivedCall, outcome: Outcome) -> Reply:
        """Take a job, or tell of one.

        Raises
        ------
        Refusal
        """
        token = call.headers.get("api_token")
        if not token:
            raise Refusal(401, "API token is missing")
        if self.api_key is not None and token != self.api_key:
            raise Refusal(403, "API token is not valid")
        if call.path == SUBMIT and call.method == "POST":
            return self._take(read_order(call), outcome)
        if call.path.startswith(STATUS) and call.method == "GET":
            return self._tell(call.path.removeprefix(STATUS))
        raise Refusal(404, "Not found")

    def word(self, refusal: Refusal) -> Reply:
        """Say ``{"error", "request_id"}``; about the token ``{"detail"}``."""
        if refusal.status in {401, 403}:
            return json_reply({"detail": refusal.message}, refusal.status)
        error = {"code": refusal.status, "message": refusal.message, "details": ""}
        return json_reply({"error": error, "request_id": new_id()}, refusal.status)

    def _take(self, order: Order, outcome: Outcome) -> Reply:
        for words, flag in OFFENDING.items():
            if words in order.prompt and order.flags[flag]:
                raise Refusal(422, MODERATED)
        pixels = paint_canvas(
            order.photo, order.width, order.height, x=order.x, y=order.y, level=REPAINT + (order.seed or 0) % 3
        )
        job = Job(
            order=order,
            picture=picture_file(pixels, "PNG", outcome),
            seed=secrets.randbelow(2**31) if order.seed is None else order.seed,
            ending=_ending(order),
        )
        name = self.keep(job)
        if order.flags["sync"]:
            return self._sync(name, job)
        return json_reply({"request_id": name, "status_url": f"{self.origin}{STATUS}{name}"}, 202)

    def _sync(self, name: str, job: Job) -> Reply:
        if job.ending is None:
            return json_reply({"result": self._result(name, job), "request_id": name})
        status, code, message = job.ending
        raise Refusal(code if isinstance(code, int) else 422, f"{status}: {message}")

    def _tell(self, name: str) -> Reply:
        polled = self.poll(name)
        if polled is None:
            return json_reply({"status": "NOT_FOUND", "request_id": new_id()}, 404)
        job, polls = polled
        # The id of the poll, not of the job.
        told: dict[str, Any] = {"request_id": new_id()}
        if polls <= POLLS:
            return json_reply({**told, "status": "IN_PROGRESS"})
        if job.ending is not None:
            status, code, message = job.ending
            return json_reply({**told, "status": status, "error": {"code": code, "message": message, "details": ""}})
        return json_reply({**told, "status": "COMPLETED", "result": self._result(name, job)})

    def _result(self, name: str, job: Job) -> dict[str, str]:
        prompt = job.order.prompt or "a wider view of the same scene"
        return {
            "image_url": self.address_of(name),
            "seed": str(job.seed),
            "prompt": prompt,
            "refined_prompt": f"{prompt}, photograph",
        }


def _ending(order: Order) -> tuple[str, int | str, str] | None:
    words, flag = OFFENDING_PICTURE
    if words in order.prompt and order.flags[flag]:
        return "ERROR", 422, MODERATED
    return next((ending for words, ending in ENDINGS.items() if words in order.prompt), None)


def new_id() -> str:
    """Draw an id as the real ones look."""
    return secrets.token_hex(16)
