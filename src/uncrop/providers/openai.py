"""OpenAI's image edits, and every server that speaks their language: a masked photo in, a whole new frame out."""

from __future__ import annotations

from typing import TYPE_CHECKING

from uncrop.errors import InvalidFieldValue, ProviderInvalidResponse
from uncrop.geometry import canvas_of_size, parse_size
from uncrop.imaging.limits import MAX_PIXELS
from uncrop.imaging.mask import encode_mask
from uncrop.imaging.text import decode_base64
from uncrop.model import Capabilities, Facts, Fill, TokenUsage
from uncrop.providers.base import Call, Part
from uncrop.providers.openai_body import read_object
from uncrop.providers.openai_errors import meaning_of
from uncrop.providers.openai_frame import framed_mask, framed_photo
from uncrop.providers.openai_models import choose_frame, facts_of
from uncrop.providers.picture import picture_part, read_picture
from uncrop.providers.refusal import refuse, request_id
from uncrop.providers.remote import RemoteProvider

if TYPE_CHECKING:
    from collections.abc import Mapping

    from uncrop.errors import UncropError
    from uncrop.model import Canvas, Job, Pixels, Task
    from uncrop.providers.base import Answer, ProviderContext
    from uncrop.providers.openai_models import ModelFacts

CAPABILITIES = Capabilities(
    name="openai",
    takes_sides=False,
    takes_mask=True,
    takes_prompt=True,
    takes_size=True,
    takes_quality=False,
    max_seed=None,
    sizes=("1024x1024", "1024x1536", "1536x1024"),
    max_image_bytes=50_000_000,
    max_output_pixels=MAX_PIXELS["PNG"],
    answer_format="PNG",
    bills=True,
)
PROMPT = (
    "Extend this photograph. Continue the scene into the masked area so that it looks like one picture taken by the "
    "same camera: the same perspective, light, colours, sharpness and grain, with no frame, text or new main subject. "
    "Leave the rest of the picture as it is."
)


class OpenAI(RemoteProvider):
    """The provider ``openai``."""

    def __init__(self, context: ProviderContext) -> None:
        super().__init__(context, CAPABILITIES)

    def check_configured(self) -> None:
        """Refuse to go on without a usable key and a model.

        Raises
        ------
        ProviderNotConfigured
        """
        super().check_configured()
        self._model()

    def build_call(self, task: Task, key: str) -> Call:
        """Build ``POST /images/edits`` with the fields that the model's family takes.

        Raises
        ------
        InvalidFieldValue
            When the size that was asked for is none of the model's.
        """
        model = self._model()
        facts = facts_of(model)
        frame = _frame(task.job, facts)
        fields = {
            "model": model,
            "prompt": task.job.request.prompt or PROMPT,
            "n": "1",
            "size": f"{frame.width}x{frame.height}",
            **facts.fields,
        }
        mask = picture_part("mask", encode_mask(framed_mask(task, frame)), "PNG")
        photo = framed_photo(task, frame, CAPABILITIES.max_image_bytes)
        return Call(
            method="POST",
            url=f"{self.settings.base_url}/images/edits",
            headers={"Authorization": f"Bearer {key}"},
            parts=(photo, mask, *(Part(name=name, value=value) for name, value in fields.items())),
        )

    def read_answer(self, answer: Answer, task: Task) -> Fill:
        """Decode the first picture and cut it to the canvas.

        Raises
        ------
        ProviderInvalidResponse
        """
        model = self._model()
        frame = _frame(task.job, facts_of(model))
        body = read_object(answer.body)
        if body is None:
            raise _unusable("is not a JSON object")
        pixels = read_picture(_first_picture(body), frame.width, frame.height)
        facts = Facts(
            provider=CAPABILITIES.name, request_id=request_id(answer.headers), model=model, usage=_usage(body)
        )
        return Fill(pixels=pixels if task.job.request.size else _cut(pixels, frame), facts=facts)

    def reject(self, answer: Answer) -> UncropError:
        """Go by the error's code where it is known, else by the status."""
        error, code = meaning_of(answer)
        return refuse(answer, error=error, code=code)

    def _model(self) -> str:
        if not self.settings.model:
            raise self._not_configured("has no model")
        return self.settings.model


def _frame(job: Job, facts: ModelFacts) -> Canvas:
    """Return the picture that the model is asked for, and where the photo lies in it."""
    size, header = job.request.size, job.header
    if size is None:
        return choose_frame(facts, header.width, header.height)
    if facts.sizes is not None and size not in facts.sizes:
        raise InvalidFieldValue(
            "The configured model does not make pictures of this size",
            details={"size": size, "provider": CAPABILITIES.name, "allowed": list(facts.sizes)},
        )
    return canvas_of_size(header.width, header.height, parse_size(size))


def _cut(pixels: Pixels, frame: Canvas) -> Pixels:
    """Cut the padding away again, in proportion: the canvas is the photo's own extent."""
    height, width = pixels.shape[:2]
    kept = frame.kept
    top, bottom = _span(kept.y, kept.height, frame.height, height)
    left, right = _span(kept.x, kept.width, frame.width, width)
    return pixels[top:bottom, left:right]


def _span(start: int, extent: int, whole: int, actual: int) -> tuple[int, int]:
    first = min(round(start * actual / whole), actual - 1)
    return first, max(first + 1, round((start + extent) * actual / whole))


def _first_picture(body: Mapping[str, object]) -> bytes:
    """Decode ``data[0].b64_json``, or a ``url`` that carries its data; no other address is ever fetched."""
    data = body.get("data")
    item = data[0] if isinstance(data, list) and data else None
    if not isinstance(item, dict):
        raise _unusable("holds no picture")
    text = item.get("b64_json") or item.get("url")
    if not isinstance(text, str):
        raise _unusable("holds no picture")
    if text.startswith("data:"):
        text = text.partition(",")[2]
    picture = decode_base64(text)
    if picture is None:
        raise _unusable("holds a picture that is not base64")
    return picture


def _usage(body: Mapping[str, object]) -> TokenUsage | None:
    usage = body.get("usage")
    if not isinstance(usage, dict):
        return None
    counts = {name: usage.get(name) for name in ("input_tokens", "output_tokens", "total_tokens")}
    return TokenUsage(**{name: count for name, count in counts.items() if type(count) is int and count >= 0})


def _unusable(what: str) -> ProviderInvalidResponse:
    return ProviderInvalidResponse(system_message=f"The provider's answer {what}")
