"""Clipdrop's Uncrop on loopback: refuses what the real one refuses, and makes a real picture."""

from __future__ import annotations

import hashlib
import threading
from collections import OrderedDict
from collections.abc import Mapping
from typing import TYPE_CHECKING

import numpy as np

from uncrop.errors import InvalidRequest
from uncrop.imaging import arrays, codec
from uncrop.imaging.header import open_file, read_header
from uncrop.testing.emulator import Emulator, Refusal, Reply, json_reply
from uncrop.testing.repaint import another_of

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from uncrop.model import ImageHeader
    from uncrop.testing.emulator import ReceivedCall
    from uncrop.testing.outcomes import Outcome

SIDES = ("extend_left", "extend_right", "extend_up", "extend_down")
MAX_BYTES = 30_000_000
MAX_PIXELS = 10_000_000
MAX_SEED = 100_000
REPAINT = 4  # grey levels by which the whole frame is repainted, so that it can be seen when the original is put back
KEPT_PICTURES = 8
# The bodies are this emulator's own but for the 401's: of the others only the status is published.
TEXTS: Mapping[int, str] = {
    400: "Request is malformed or incomplete",
    401: "No api key provided",
    402: "Your account has no remaining credits, you can buy more in your account page.",
    403: "Invalid api key",
    406: "Accept header not acceptable.",
    422: "The content of the request does not comply with the application rules",
    429: "Too many requests, blocked by the rate limiter.",
    500: "This may be a bug on our side.",
}


class ClipdropEmulator(Emulator):
    """``POST /uncrop/v1``.

    Parameters
    ----------
    api_key
        The only key that is accepted; any, when absent.
    credits
        What is left on the account; a picture takes one.
    max_extend
        What "a maximum of 2k" means: 2000, or 2048 for a lenient server.
    host, port
        Where to listen; port 0 takes a free one.
    """

    def __init__(
        self,
        *,
        api_key: str | None = None,
        credits: int = 1_000_000,  # noqa: A002
        max_extend: int = 2000,
        host: str = "127.0.0.1",
        port: int = 0,
    ) -> None:
        super().__init__(api_key=api_key, host=host, port=port)
        self.credits = credits
        self._max_extend = max_extend
        self._account = threading.Lock()
        self._made: OrderedDict[str, bytes] = OrderedDict()

    def answer(self, call: ReceivedCall, outcome: Outcome) -> Reply:
        """Make the picture, or refuse.

        Raises
        ------
        Refusal
        """
        self._check_call(call)
        data = self._image_of(call)
        left, right, up, down = (self._number(call, name, -self._max_extend, self._max_extend) for name in SIDES)
        seed = self._number(call, "seed", 0, MAX_SEED)
        header = _header_of(data)
        size = (header.width + left + right, header.height + up + down)
        if (
            min(size) < 1
            or header.width + min(left, 0) + min(right, 0) < 1
            or header.height + min(up, 0) + min(down, 0) < 1
        ):
            raise Refusal(400, "Nothing of the image is left")
        picture = self._picture(data, (left, right, up, down), seed, outcome)
        with self._account:
            if self.credits < 1:
                raise Refusal(402, TEXTS[402])
            self.credits -= 1
            left_over = self.credits
        return Reply(
            status=200,
            body=outcome.spoil(picture),
            headers={
                "content-type": "image/jpeg",
                "x-credits-consumed": "1",
                "x-remaining-credits": str(left_over),
            },
        )

    def word(self, refusal: Refusal) -> Reply:
        """Say ``{"error": "text"}``."""
        text = TEXTS.get(refusal.status, TEXTS[500]) if refusal.message == "scripted" else refusal.message
        return json_reply({"error": text}, refusal.status)

    def _check_call(self, call: ReceivedCall) -> None:
        if call.path != "/uncrop/v1":
            raise Refusal(404, "Not found")
        if call.method != "POST":
            raise Refusal(405, "Method not allowed")
        key = call.headers.get("x-api-key")
        if not key:
            raise Refusal(401, TEXTS[401])
        if self.api_key is not None and key != self.api_key:
            raise Refusal(403, TEXTS[403])
        if not _accepts_jpeg(call.headers.get("accept", "*/*")):
            raise Refusal(406, TEXTS[406])
        if call.malformed is not None:
            raise Refusal(400, TEXTS[400])

    def _image_of(self, call: ReceivedCall) -> bytes:
        if "image_file" not in call.files:
            raise Refusal(400, "Missing image_file in request")
        data = call.files["image_file"].data
        if len(data) > MAX_BYTES:
            raise Refusal(400, "Image file is too big")
        return data

    @staticmethod
    def _number(call: ReceivedCall, name: str, lowest: int, highest: int) -> int:
        text = call.fields.get(name, "0")
        try:
            number = int(text)
        except ValueError:
            raise Refusal(400, f"{name} is not an integer") from None
        if not lowest <= number <= highest:
            raise Refusal(400, f"{name} must be between {lowest} and {highest}")
        return number

    def _picture(
        self,
        data: bytes,
        sides: tuple[int, int, int, int],
        seed: int,
        outcome: Outcome,
    ) -> bytes:
        """Make the picture, or take it from the last few made: a benchmark asks for the same one again and again."""
        name = hashlib.sha256(data + repr((sides, seed, outcome.size, outcome.another)).encode()).hexdigest()
        with self._account:
            known = self._made.get(name)
        if known is not None:
            return known
        pixels = _extend(arrays.to_rgb8(_decode(data)), sides, seed)
        if outcome.another:
            pixels = another_of(pixels)
        if outcome.size is not None:
            pixels = arrays.to_8bit(codec.resize(pixels, *outcome.size))
        made = codec.encode(pixels, "JPEG")
        with self._account:
            self._made[name] = made
            if len(self._made) > KEPT_PICTURES:
                self._made.popitem(last=False)
        return made


def _extend(pixels: NDArray[np.uint8], sides: tuple[int, int, int, int], seed: int) -> NDArray[np.uint8]:
    """Crop, continue the border's colours outward, and repaint everything a little, by the seed."""
    left, right, up, down = sides
    height, width = pixels.shape[:2]
    pixels = pixels[max(0, -up) : height - max(0, -down), max(0, -left) : width - max(0, -right)]
    grown = np.pad(pixels, ((max(0, up), max(0, down)), (max(0, left), max(0, right)), (0, 0)), mode="edge")
    level = REPAINT + seed % 3
    return np.minimum(grown, 255 - level) + np.uint8(level)


def _header_of(data: bytes) -> ImageHeader:
    try:
        header = read_header(data)
    except InvalidRequest:
        raise Refusal(400, "Input image format is not valid") from None
    if header.width * header.height > MAX_PIXELS:
        raise Refusal(400, "Image resolution is too big")
    return header


def _decode(data: bytes) -> NDArray[np.uint8]:
    try:
        return codec.decode_8bit(open_file(data))
    except InvalidRequest:
        raise Refusal(400, "Input image format is not valid") from None


def _accepts_jpeg(accept: str) -> bool:
    kinds = {item.partition(";")[0].strip() for item in accept.split(",")}
    return bool(kinds & {"*/*", "image/*", "image/jpeg"})
