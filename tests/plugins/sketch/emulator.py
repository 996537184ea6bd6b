"""Sketch on loopback: jobs on one port, their pictures on another."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

from uncrop.imaging import arrays
from uncrop.testing.emulator import Refusal, Reply, json_reply
from uncrop.testing.jobs import JobEmulator, PictureJob
from uncrop.testing.repaint import picture_file
from uncrop.testing.rules import picture_in_base64

if TYPE_CHECKING:
    from collections.abc import Mapping
    from typing import Any

    from numpy.typing import NDArray

    from uncrop.testing.emulator import ReceivedCall
    from uncrop.testing.outcomes import Outcome

GRID = 16
FLAT_COLOUR = (20, 60, 230)
REPAINT = 5  # grey levels by which the whole picture is repainted
# What a poll is told before the job is done: each status once.
ON_THE_WAY = (202, 429, 503, 202)
NUMBERS = {"width": (64, 4096), "height": (64, 4096), "steps": (1, 50), "seed": (0, 65_535)}
FIELDS = {"image", "offset_x", "offset_y", "prompt", *NUMBERS}


class SketchEmulator(JobEmulator[PictureJob]):
    """``POST /v1/expand``, ``GET`` and ``DELETE /tasks/ID/state``; pictures on the port of ``files``.

    Attributes
    ----------
    cancelled
        The ids of the jobs that were ended.
    """

    def __init__(self, *, api_key: str | None = None, host: str = "127.0.0.1", port: int = 0) -> None:
        super().__init__(api_key=api_key, host=host, port=port)
        self.cancelled: list[str] = []

    def answer(self, call: ReceivedCall, outcome: Outcome) -> Reply:
        """Take a job, tell of one, or end one.

        Raises
        ------
        Refusal
        """
        key = call.headers.get("x-key")
        if not key or (self.api_key is not None and key != self.api_key):
            raise Refusal(403, "Invalid key")
        if call.path == "/v1/expand":
            return self._take(call, outcome)
        _, tasks, name, *state = call.path.split("/")
        if (tasks, state) != ("tasks", ["state"]):
            raise Refusal(404, "Task not found")
        return self._end(name) if call.method == "DELETE" else self._tell(name)

    def word(self, refusal: Refusal) -> Reply:
        """Say ``{"detail": "text"}``; where it asks to be called again, with ``Retry-After``."""
        headers = {"retry-after": "1"} if refusal.status in {429, 503} else {}
        return json_reply({"detail": refusal.message}, refusal.status, **headers)

    def _take(self, call: ReceivedCall, outcome: Outcome) -> Reply:
        if call.method != "POST":
            raise Refusal(405, "Method not allowed")
        fields, photo = read_submit(call)
        name = self.keep(PictureJob(picture=picture_file(draw(photo, fields), "PNG", outcome)))
        address = f"{self.origin}/tasks/{name}/state"
        return json_reply({"id": name, "polling_url": address}, **{"x-request-id": f"sketch-{name}"})

    def _tell(self, name: str) -> Reply:
        polled = self.poll(name)
        if polled is None:
            raise Refusal(404, "Task not found")
        _, polls = polled
        if polls > len(ON_THE_WAY):
            return json_reply({"status": "Ready", "sample": self.address_of(name)})
        status = ON_THE_WAY[polls - 1]
        if status != 202:
            raise Refusal(status, "Ask again")
        return json_reply({"status": "Pending", "progress": polls / len(ON_THE_WAY)}, 202)

    def _end(self, name: str) -> Reply:
        if self.forget(name) is None:
            raise Refusal(404, "Task not found")
        self.cancelled.append(name)
        return json_reply({"status": "Cancelled"})


def read_submit(call: ReceivedCall) -> tuple[dict[str, Any], NDArray[np.uint8]]:
    """Read a submit as strictly as the vendor: no unknown field, no number out of range, a photo that fits.

    Raises
    ------
    Refusal
    """
    fields = call.json
    if fields is None or set(fields) != FIELDS:
        raise Refusal(422, "The body must be JSON with exactly the known fields")
    for name, (low, high) in NUMBERS.items():
        if type(fields[name]) is not int or not low <= fields[name] <= high:
            raise Refusal(422, f"{name} must be an integer from {low} to {high}")
    photo = arrays.to_rgb8(picture_in_base64(str(fields["image"]), Refusal(422, "image is no picture")))
    for edge, offset, extent in (("width", "offset_x", photo.shape[1]), ("height", "offset_y", photo.shape[0])):
        if type(fields[offset]) is not int or not 0 <= fields[offset] <= fields[edge] - extent:
            raise Refusal(422, f"the photo does not lie on the canvas: {offset}")
    return dict(fields), photo


def draw(photo: NDArray[np.uint8], fields: Mapping[str, Any]) -> NDArray[np.uint8]:
    """Continue the photo over the canvas and repaint it all a little; off the grid, fill in one colour."""
    height, width = photo.shape[:2]
    left, top = fields["offset_x"], fields["offset_y"]
    margins = ((top, fields["height"] - height - top), (left, fields["width"] - width - left), (0, 0))
    if any(fields[name] % GRID for name in ("width", "height", "offset_x", "offset_y")):
        flat = np.full((fields["height"], fields["width"], 3), FLAT_COLOUR, np.uint8)
        flat[top : top + height, left : left + width] = photo
        return flat
    level = REPAINT + fields["seed"] % 3
    grown = np.pad(photo, margins, mode="edge")
    return np.minimum(grown, 255 - level) + np.uint8(level)
