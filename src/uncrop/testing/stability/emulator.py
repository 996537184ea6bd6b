"""Stability AI's outpaint on loopback: refuses what the real one refuses, and makes a real picture."""

from __future__ import annotations

import base64
import secrets
import threading
from collections.abc import Mapping
from typing import TYPE_CHECKING

from uncrop.imaging import arrays, codec
from uncrop.testing.emulator import Emulator, Refusal, Reply, json_reply
from uncrop.testing.repaint import paint_canvas, picture_file
from uncrop.testing.stability.rules import (
    MAX_SEED,
    check_content,
    check_request,
    check_wishes,
    read_image,
    read_seed,
    read_sides,
)

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray

    from uncrop.model import ImageFormat
    from uncrop.testing.emulator import ReceivedCall
    from uncrop.testing.outcomes import Outcome

PATH = "/v2beta/stable-image/edit/outpaint"
PICTURE_CREDITS = 4
REPAINT = 4  # grey levels by which the whole picture is repainted
BLUR = 32  # to this part of its size a filtered picture is shrunk before it is enlarged again
# A prompt that holds it makes a picture that is not shown.
FILTERED = "[filtered]"
FORMATS: Mapping[str, ImageFormat] = {"png": "PNG", "jpeg": "JPEG", "webp": "WEBP"}
# Only the names of refusals that the specification of this route lists are known; the others are this emulator's own.
NAMES = {
    401: "unauthorized",
    402: "payment_required",
    403: "content_moderation",
    404: "not_found",
    413: "payload_too_large",
    429: "rate_limit_exceeded",
    500: "internal_error",
}


class StabilityEmulator(Emulator):
    """``POST /v2beta/stable-image/edit/outpaint``.

    Parameters
    ----------
    api_key
        The only key that is accepted; any, when absent.
    credits
        What is left on the account; a picture takes four, also one that is filtered.
    host, port
        Where to listen; port 0 takes a free one.
    """

    def __init__(
        self,
        *,
        api_key: str | None = None,
        credits: int = 1_000_000,  # noqa: A002
        host: str = "127.0.0.1",
        port: int = 0,
    ) -> None:
        super().__init__(api_key=api_key, host=host, port=port)
        self.credits = credits
        self._account = threading.Lock()

    def answer(self, call: ReceivedCall, outcome: Outcome) -> Reply:
        """Make the picture, or refuse. The fields are looked at before the key, as the real one does.

        Raises
        ------
        Refusal
        """
        if call.path != PATH:
            raise Refusal(404, "The requested resource was not found")
        if call.method != "POST":
            raise Refusal(405, "Method not allowed", code="method_not_allowed")
        check_request(call)
        photo, fields = read_image(call), call.fields
        sides, seed = read_sides(fields), read_seed(fields)
        check_wishes(fields)
        as_json = _wants_json(call.headers.get("accept", "image/*"))
        self._check_key(call)
        check_content(fields)
        seed = seed or 1 + secrets.randbelow(MAX_SEED)
        pixels = paint(photo, sides, seed)
        filtered = FILTERED in fields.get("prompt", "")
        picture_format = FORMATS[fields.get("output_format", "png")]
        data = picture_file(blur(pixels) if filtered else pixels, picture_format, outcome)
        self._charge()
        reason = "CONTENT_FILTERED" if filtered else "SUCCESS"
        return _in_json(data, picture_format, reason, seed) if as_json else _as_file(data, picture_format, reason, seed)

    def word(self, refusal: Refusal) -> Reply:
        """Say ``{"id", "name", "errors"}``."""
        name = refusal.code or NAMES.get(refusal.status, "bad_request")
        body = {"id": secrets.token_hex(16), "name": name, "errors": [refusal.message]}
        return json_reply(body, refusal.status)

    def _check_key(self, call: ReceivedCall) -> None:
        scheme, _, key = call.headers.get("authorization", "").partition(" ")
        if scheme.lower() != "bearer" or not key or (self.api_key is not None and key != self.api_key):
            raise Refusal(401, "authorization: invalid or missing header value")

    def _charge(self) -> None:
        with self._account:
            if self.credits < PICTURE_CREDITS:
                raise Refusal(402, "You lack sufficient credits to make this request.")
            self.credits -= PICTURE_CREDITS


def paint(photo: NDArray[np.uint8], sides: tuple[int, int, int, int], seed: int) -> NDArray[np.uint8]:
    """Continue the photo on every side and repaint all of it a little, by the seed."""
    left, right, up, down = sides
    height, width = photo.shape[:2]
    return paint_canvas(photo, width + left + right, height + up + down, x=left, y=up, level=REPAINT + seed % 3)


def blur(pixels: NDArray[np.uint8]) -> NDArray[np.uint8]:
    """Make a picture unrecognisable."""
    height, width = pixels.shape[:2]
    small = codec.resize(pixels, max(1, width // BLUR), max(1, height // BLUR))
    return arrays.to_8bit(codec.resize(small, width, height))


def _wants_json(accept: str) -> bool:
    kinds = {item.partition(";")[0].strip() for item in accept.split(",")}
    if kinds & {"image/*", "*/*"}:
        return False
    if "application/json" in kinds:
        return True
    raise Refusal(400, "accept: must be either image/* or application/json")


def _as_file(data: bytes, picture_format: ImageFormat, reason: str, seed: int) -> Reply:
    return Reply(
        status=200,
        body=data,
        headers={
            "content-type": f"image/{picture_format.lower()}",
            "finish-reason": reason,
            "seed": str(seed),
            "x-request-id": secrets.token_hex(16),
        },
    )


def _in_json(data: bytes, picture_format: ImageFormat, reason: str, seed: int) -> Reply:
    body = {"image": base64.b64encode(data).decode(), "finish_reason": reason, "seed": seed}
    return json_reply(body, 200, **{"content-type": f"application/json; type=image/{picture_format.lower()}"})
