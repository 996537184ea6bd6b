"""OpenAI's image edits on loopback: refuses what the real one refuses, and redraws the whole picture as it does."""

from __future__ import annotations

import base64
import hashlib
import secrets
import threading
from collections import OrderedDict
from typing import TYPE_CHECKING

import numpy as np

from uncrop.errors import InvalidRequest
from uncrop.geometry.sizes import parse_size
from uncrop.imaging import arrays, codec
from uncrop.imaging.header import open_file
from uncrop.testing.emulator import Emulator, Refusal, Reply, json_reply
from uncrop.testing.openai.rules import check_fields, check_image, check_mask
from uncrop.testing.repaint import another_of, paint_unknown

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from uncrop.model import ImageFormat, ImageHeader, Pixels
    from uncrop.testing.emulator import ReceivedCall
    from uncrop.testing.multipart import ReceivedPart
    from uncrop.testing.outcomes import Outcome

# Grey levels by which red, green and blue are off everywhere: as real models repaint the frame, small but measurable.
REPAINT = (6, 2, 4)
KEPT_PICTURES = 8
TYPES = {401: "invalid_request_error", 429: "requests", 500: "server_error", 503: "server_error"}
FORMATS: dict[str, ImageFormat] = {"png": "PNG", "jpeg": "JPEG", "webp": "WEBP"}


class OpenAIEmulator(Emulator):
    """``POST /v1/images/edits``.

    Parameters
    ----------
    api_key
        The only key that is accepted; any, when absent.
    host, port
        Where to listen; port 0 takes a free one.
    """

    def __init__(self, *, api_key: str | None = None, host: str = "127.0.0.1", port: int = 0) -> None:
        super().__init__(api_key=api_key, host=host, port=port)
        self._lock = threading.Lock()
        self._made: OrderedDict[str, bytes] = OrderedDict()

    @property
    def url(self) -> str:
        """What a client takes for its base address."""
        return f"{self.origin}/v1"

    def answer(self, call: ReceivedCall, outcome: Outcome) -> Reply:
        """Make the picture, or refuse.

        Raises
        ------
        Refusal
        """
        self._check_call(call)
        check_fields(call)
        image, header = check_image(call)
        mask = check_mask(call, header)
        fields = call.fields
        size = fields.get("size", "auto")
        width, height = outcome.size or (_nearest(header) if size == "auto" else parse_size(size))
        picture_format = fields.get("output_format", "png")
        picture = self._picture(image, mask, (width, height), FORMATS[picture_format], another=outcome.another)
        text = base64.b64encode(outcome.spoil(picture)).decode()
        body = {
            "created": 1_760_000_000,
            "background": "opaque",
            "data": [{"b64_json": text}] * int(fields.get("n", "1")),
            "output_format": picture_format,
            "quality": fields.get("quality", "auto"),
            "size": f"{width}x{height}",
            "usage": _usage(fields["prompt"], 1 if mask is None else 2, width * height),
        }
        return json_reply(body, 200, **_headers())

    def word(self, refusal: Refusal) -> Reply:
        """Say ``{"error": {"message", "type", "param", "code"}}``."""
        error = {
            "message": refusal.message,
            "type": TYPES.get(refusal.status, "invalid_request_error"),
            "param": refusal.param,
            "code": refusal.code,
        }
        if refusal.code == "image_generation_user_error":
            error |= {"type": refusal.code, "code": None}
        return json_reply({"error": error}, refusal.status, **_headers())

    def _check_call(self, call: ReceivedCall) -> None:
        if call.path != "/v1/images/edits":
            raise Refusal(404, f"Invalid URL ({call.method} {call.path})")
        if call.method != "POST":
            raise Refusal(405, f"Not allowed to {call.method} on {call.path}")
        scheme, _, key = call.headers.get("authorization", "").partition(" ")
        if scheme.lower() != "bearer" or not key:
            raise Refusal(401, "You didn't provide an API key.")
        if self.api_key is not None and key != self.api_key:
            raise Refusal(401, "Incorrect API key provided.", code="invalid_api_key")
        if call.malformed is not None:
            raise Refusal(400, "Could not parse multipart form.", code="invalid_multipart")

    def _picture(
        self,
        image: ReceivedPart,
        mask: ReceivedPart | None,
        size: tuple[int, int],
        picture_format: ImageFormat,
        *,
        another: bool = False,
    ) -> bytes:
        """Make the picture, or take it from the last few made: a benchmark asks for the same one again and again."""
        asked = repr((size, picture_format, another)).encode()
        name = hashlib.sha256(b"".join((image.data, mask.data if mask else b"", asked))).hexdigest()
        with self._lock:
            known = self._made.get(name)
        if known is not None:
            return known
        photo = arrays.to_rgb8(_decoded(image, "image"))
        pixels = _redraw(photo, None if mask is None else _decoded(mask, "mask"), size)
        made = codec.encode(another_of(pixels) if another else pixels, picture_format)
        with self._lock:
            self._made[name] = made
            if len(self._made) > KEPT_PICTURES:
                self._made.popitem(last=False)
        return made


def _decoded(file: ReceivedPart, param: str) -> Pixels:
    try:
        return codec.decode(open_file(file.data))
    except InvalidRequest:
        message = f"Invalid image file or mode for {param} 1, please check your image file."
        raise Refusal(400, message, code="image_generation_user_error", param=param) from None


def _redraw(photo: NDArray[np.uint8], mask: Pixels | None, size: tuple[int, int]) -> NDArray[np.uint8]:
    """Paint where the mask is transparent, stretch all of it to the size, and shift its colours."""
    alpha = None if mask is None else arrays.alpha8(mask)
    painted = photo if alpha is None else paint_unknown(photo, alpha > 0)
    resized = arrays.to_8bit(codec.resize(painted, *size))
    level = np.array(REPAINT, np.uint8)
    return np.minimum(resized, 255 - level) + level


def _nearest(header: ImageHeader) -> tuple[int, int]:
    if header.width == header.height:
        return 1024, 1024
    return (1536, 1024) if header.width > header.height else (1024, 1536)


def _usage(prompt: str, images: int, pixels: int) -> dict[str, object]:
    text_tokens, image_tokens, output_tokens = 1 + len(prompt) // 4, 323 * images, pixels // 1000
    return {
        "total_tokens": text_tokens + image_tokens + output_tokens,
        "input_tokens": text_tokens + image_tokens,
        "output_tokens": output_tokens,
        "input_tokens_details": {"text_tokens": text_tokens, "image_tokens": image_tokens},
    }


def _headers() -> dict[str, str]:
    return {
        "content-type": "application/json; charset=utf-8",
        "x-request-id": new_request_id(),
        "openai-processing-ms": "1",
        "x-ratelimit-limit-requests": "250",
        "x-ratelimit-remaining-requests": "249",
        "x-ratelimit-reset-requests": "240ms",
    }


def new_request_id() -> str:
    """Draw an id as the real ones look."""
    return f"req_{secrets.token_hex(16)}"
