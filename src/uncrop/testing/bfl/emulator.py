"""Black Forest Labs' outpainting on loopback: tasks in a region on a port of its own, their pictures on a third."""

from __future__ import annotations

import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, ClassVar
from urllib.parse import parse_qs, urlsplit

import numpy as np

from uncrop.imaging import arrays, codec
from uncrop.testing.bfl.rules import BadField, read_order
from uncrop.testing.emulator import Emulator, Refusal, Reply, json_reply
from uncrop.testing.jobs import JobEmulator, PictureJob
from uncrop.testing.repaint import paint_canvas, picture_file

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from uncrop.model import ImageFormat
    from uncrop.testing.bfl.rules import Order
    from uncrop.testing.emulator import ReceivedCall
    from uncrop.testing.outcomes import Outcome

SUBMIT, POLL = "/v1/flux-tools/outpainting-v1", "/v1/get_result"
CREDITS: Mapping[str, float] = {"high": 20, "fast": 4.5}
GRID = 16
PADDING = (20, 60, 230)
MAX_PIXELS = 4_000_000
REPAINT = 4  # grey levels by which the whole picture is repainted
FORMATS: Mapping[str, ImageFormat] = {"png": "PNG", "jpeg": "JPEG", "webp": "WEBP"}
# What a task says of itself, one poll after the other, before it has ended.
ON_THE_WAY = ("Pending", "Reasoning", "Generating")
# A prompt that holds one of these ends the task like this, with this status of HTTP.
ENDINGS: Mapping[str, tuple[str, int]] = {
    "[request moderated]": ("Request Moderated", 200),
    "[content moderated]": ("Content Moderated", 200),
    "[error]": ("Error", 200),
    "[unusable]": ("Error", 422),
    "[lost]": ("Task not found", 200),
}
CODES = {402: "insufficient_credits", 403: "invalid_api_key", 429: "rate_limit_exceeded"}


@dataclass(kw_only=True)
class Task(PictureJob):
    """One task, and how it ends."""

    order: Order = field(repr=False)
    status: str = "Ready"
    http_status: int = 200


class BflEmulator(JobEmulator[Task]):
    """``POST /v1/flux-tools/outpainting-v1`` here, ``GET /v1/get_result`` at ``region``, pictures at ``files``.

    Parameters
    ----------
    api_key
        The only key that is accepted; any, when absent.
    credits
        What is left on the account; a task takes 20, or 4.5 in the mode ``fast``.
    clock
        Seconds since 1970, by which the addresses of pictures expire.
    host, port
        Where to listen; port 0 takes a free one. The other two ports are always free ones.

    Attributes
    ----------
    region
        Where tasks are asked for; its calls come into this emulator's log and take from its script.
    """

    EXPIRY: ClassVar[str] = "se"
    SIGNATURE: ClassVar[str] = "sig"
    LIFE_S: ClassVar[float] = 600.0

    def __init__(
        self,
        *,
        api_key: str | None = None,
        credits: float = 1_000_000,  # noqa: A002
        clock: Callable[[], float] = time.time,
        host: str = "127.0.0.1",
        port: int = 0,
    ) -> None:
        super().__init__(api_key=api_key, clock=clock, host=host, port=port)
        self.credits = credits
        self.region = Region(self, host=host)

    def others(self) -> tuple[Emulator, ...]:
        """Return the servers beside this one."""
        return (*super().others(), self.region)

    def answer(self, call: ReceivedCall, outcome: Outcome) -> Reply:
        """Take a task, or tell of one.

        Raises
        ------
        Refusal
        """
        url = urlsplit(call.path)
        if url.path not in {SUBMIT, POLL}:
            raise Refusal(404, "Not Found")
        if call.method != {SUBMIT: "POST", POLL: "GET"}[url.path]:
            raise Refusal(405, "Method Not Allowed")
        key = call.headers.get("x-key")
        if not key:
            raise Refusal(403, "Not authenticated")
        if self.api_key is not None and key != self.api_key:
            raise Refusal(403, "The API key is not valid.", code="invalid_api_key")
        if url.path == SUBMIT:
            return self._take(read_order(call), outcome)
        # A task is known in its region alone.
        is_regional = call.headers.get("host") == urlsplit(self.region.origin).netloc
        return self._tell(parse_qs(url.query).get("id", [""])[0] if is_regional else "")

    def word(self, refusal: Refusal) -> Reply:
        """Say ``{"detail"}`` or ``{"error", "message"}``, as the real one does; a 503 says when to come again."""
        body: dict[str, object] = {"detail": refusal.message}
        code = CODES.get(refusal.status) if refusal.message == "scripted" else refusal.code
        if isinstance(refusal, BadField):
            body = {"detail": [{"loc": list(refusal.place), "msg": refusal.message, "type": refusal.code}]}
        elif code is not None:
            wait: dict[str, object] = {"retry_after": 5} if refusal.status == 429 else {"details": {}}
            body = {"error": code, "message": refusal.message, **wait}
        return json_reply(body, refusal.status, **({"retry-after": "1"} if refusal.status == 503 else {}))

    def _take(self, order: Order, outcome: Outcome) -> Reply:
        pixels = paint(order)
        width, height = outcome.size or (pixels.shape[1], pixels.shape[0])
        status, http_status = next(
            (ending for words, ending in ENDINGS.items() if words in order.prompt), ("Ready", 200)
        )
        task = Task(
            order=order,
            picture=picture_file(pixels, FORMATS[order.output], outcome),
            suffix=order.output,
            status=status,
            http_status=http_status,
        )
        cost = CREDITS[order.mode]
        with self._lock:
            if self.credits < cost:
                raise Refusal(402, "The account has not enough credits.", code="insufficient_credits")
            self.credits -= cost
        name = self.keep(task)
        return json_reply(
            {
                "id": name,
                "polling_url": f"{self.region.origin}{POLL}?id={name}",
                "cost": cost,
                "input_mp": round(order.photo.shape[0] * order.photo.shape[1] / 1e6, 2),
                "output_mp": round(width * height / 1e6, 2),
            }
        )

    def _tell(self, name: str) -> Reply:
        polled = self.poll(name)
        if polled is None:
            raise Refusal(404, "Task not found")
        task, polls = polled
        told = {"id": name, "result": None, "progress": None, "details": None, "preview": None}
        if polls <= len(ON_THE_WAY):
            return json_reply({**told, "status": ON_THE_WAY[polls - 1], "progress": polls / 10})
        if task.status != "Ready":
            return json_reply({**told, "status": task.status, "details": {"reason": task.status}}, task.http_status)
        result = {"sample": self.address_of(name), "prompt": task.order.prompt, "seed": int(name[:6], 16)}
        return json_reply({**told, "status": "Ready", "result": result, "cost": CREDITS[task.order.mode]})


class Region(Emulator):
    """The port where tasks are asked for."""

    def __init__(self, of: BflEmulator, *, host: str) -> None:
        super().__init__(host=host)
        self._of = of

    def receive(self, call: ReceivedCall) -> tuple[Outcome, Reply]:
        """Let the whole emulator log the call and decide how it ends."""
        return self._of.receive(call)

    def answer(self, call: ReceivedCall, outcome: Outcome) -> Reply:
        """Answer as the whole emulator does."""
        return self._of.answer(call, outcome)

    def word(self, refusal: Refusal) -> Reply:
        """Word it as the whole emulator does."""
        return self._of.word(refusal)


def paint(order: Order) -> NDArray[np.uint8]:
    """Make the picture: at most four megapixels, and flat padding where anything is off the grid."""
    height, width = order.height, order.width
    if any(value % GRID for value in (width, height, order.x, order.y)):
        pixels = np.full((height, width, 3), PADDING, np.uint8)
        _lay(pixels, order)
    else:
        pixels = paint_canvas(order.photo, width, height, x=order.x, y=order.y, level=REPAINT)
    if width * height > MAX_PIXELS:
        scale = (MAX_PIXELS / (width * height)) ** 0.5
        pixels = arrays.to_8bit(codec.resize(pixels, int(width * scale), int(height * scale)))
    return pixels


def _lay(canvas: NDArray[np.uint8], order: Order) -> None:
    top, left = max(0, order.y), max(0, order.x)
    shown = order.photo[top - order.y :, left - order.x :][: order.height - top, : order.width - left]
    canvas[top : top + shown.shape[0], left : left + shown.shape[1]] = shown
