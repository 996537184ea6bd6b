"""Sketch on loopback: jobs on one port, their pictures on another."""

from __future__ import annotations

import base64
import binascii
import json
import secrets
import threading
from collections import deque
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Self

import numpy as np

from uncrop.errors import InvalidRequest
from uncrop.imaging import arrays, codec
from uncrop.imaging.header import open_file
from uncrop.testing.emulator import Emulator, Refusal, Reply

if TYPE_CHECKING:
    from collections.abc import Mapping
    from types import TracebackType
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


@dataclass(kw_only=True)
class Job:
    """One job: what polls are still told, and the picture."""

    picture: bytes = field(repr=False)
    ahead: deque[int]


class SketchEmulator(Emulator):
    """``POST /v1/expand``, ``GET`` and ``DELETE /tasks/ID/state``; pictures on the port of ``files``.

    Attributes
    ----------
    files
        The server of pictures, with a log and a script of its own. It knows no key, and refuses calls that carry one.
    cancelled
        The ids of the jobs that were ended.
    endless
        Whether jobs never become ready.
    """

    def __init__(self, *, api_key: str | None = None, host: str = "127.0.0.1", port: int = 0) -> None:
        super().__init__(api_key=api_key, host=host, port=port)
        self.files = Files(self, host=host)
        self.cancelled: list[str] = []
        self.endless = False
        self._jobs: dict[str, Job] = {}
        self._lock = threading.Lock()

    def __enter__(self) -> Self:
        """Start to listen on both ports."""
        self.files.__enter__()
        return super().__enter__()

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, traceback: TracebackType | None
    ) -> None:
        """Stop both."""
        try:
            super().__exit__(kind, error, traceback)
        finally:
            self.files.__exit__(kind, error, traceback)

    @property
    def submits(self) -> list[ReceivedCall]:
        """The calls that cost money."""
        return [call for call in self.calls if call.method == "POST"]

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
        with self._lock:
            job = self._jobs.get(name)
            if (tasks, state) != ("tasks", ["state"]) or job is None:
                raise Refusal(404, "Task not found")
            if call.method == "DELETE":
                self.cancelled.append(name)
                del self._jobs[name]
                return reply({"status": "Cancelled"})
            return self._tell(name, job)

    def word(self, refusal: Refusal) -> Reply:
        """Say ``{"detail": "text"}``; where it asks to be called again, with ``Retry-After``."""
        headers = {"retry-after": "1"} if refusal.status in {429, 503} else {}
        return reply({"detail": refusal.message}, refusal.status, **headers)

    def picture_of(self, name: str) -> bytes:
        """Return the picture of a job.

        Raises
        ------
        Refusal
        """
        with self._lock:
            job = self._jobs.get(name)
        if job is None:
            raise Refusal(404, "No such file")
        return job.picture

    def _take(self, call: ReceivedCall, outcome: Outcome) -> Reply:
        if call.method != "POST":
            raise Refusal(405, "Method not allowed")
        fields, photo = read_submit(call)
        pixels = draw(photo, fields)
        if outcome.size is not None:
            pixels = arrays.to_8bit(codec.resize(pixels, *outcome.size))
        picture = codec.encode(pixels, "PNG")
        name = secrets.token_hex(8)
        with self._lock:
            self._jobs[name] = Job(
                picture=picture[: len(picture) // 2] if outcome.corrupt else picture, ahead=deque(ON_THE_WAY)
            )
        address = f"{self.origin}/tasks/{name}/state"
        return reply({"id": name, "polling_url": address}, **{"x-request-id": f"sketch-{name}"})

    def _tell(self, name: str, job: Job) -> Reply:
        if self.endless:
            return reply({"status": "Pending", "progress": 0}, 202)
        if job.ahead:
            status = job.ahead.popleft()
            if status != 202:
                raise Refusal(status, "Ask again")
            return reply({"status": "Pending", "progress": 1 - len(job.ahead) / len(ON_THE_WAY)}, 202)
        return reply({"status": "Ready", "sample": f"{self.files.origin}/{name}.png"})


class Files(Emulator):
    """``GET /ID.png``."""

    def __init__(self, jobs: SketchEmulator, *, host: str) -> None:
        super().__init__(host=host)
        self._of = jobs

    def answer(self, call: ReceivedCall, outcome: Outcome) -> Reply:
        """Hand out a picture.

        Raises
        ------
        Refusal
        """
        if {"x-key", "authorization", "cookie"} & set(call.headers):
            raise Refusal(400, "Only one auth mechanism allowed")
        if not self._of.keeps_calls:
            self.calls.clear()
        data = self._of.picture_of(call.path.removeprefix("/").removesuffix(".png"))
        if outcome.corrupt:
            data = data[: len(data) // 2]
        return Reply(status=200, body=data, headers={"content-type": "image/png"})

    def word(self, refusal: Refusal) -> Reply:
        """Say it in XML, as stores of files do."""
        body = f"<Error><Message>{refusal.message}</Message></Error>".encode()
        return Reply(status=refusal.status, body=body, headers={"content-type": "application/xml"})


def reply(value: object, status: int = 200, **headers: str) -> Reply:
    """Answer in JSON."""
    return Reply(
        status=status, body=json.dumps(value).encode(), headers={"content-type": "application/json", **headers}
    )


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
    photo = decoded(fields["image"])
    for edge, offset, extent in (("width", "offset_x", photo.shape[1]), ("height", "offset_y", photo.shape[0])):
        if type(fields[offset]) is not int or not 0 <= fields[offset] <= fields[edge] - extent:
            raise Refusal(422, f"the photo does not lie on the canvas: {offset}")
    return dict(fields), photo


def decoded(text: object) -> NDArray[np.uint8]:
    """Decode the photo.

    Raises
    ------
    Refusal
    """
    try:
        data = base64.b64decode(str(text), validate=True)
        return arrays.to_rgb8(codec.decode(open_file(data)))
    except (binascii.Error, InvalidRequest):
        raise Refusal(422, "image is no picture") from None


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
