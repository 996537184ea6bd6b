"""The provider ``openai``: a photo and a mask in, a whole new frame out."""

from __future__ import annotations

from dataclasses import replace
from http import HTTPStatus
from typing import TYPE_CHECKING
from urllib.parse import urlsplit

from uncrop.errors import ProviderInvalidResponse
from uncrop.geometry.planner import choose_frame, frame_of_size, nearest_frame
from uncrop.geometry.sizes import parse_size
from uncrop.imaging.mask import encode_mask
from uncrop.model import Fill, PictureFacts, TokenUsage
from uncrop.placement.frames import cut_canvas, draw_mask
from uncrop.providers.answers import read_base64, read_object, request_id, unusable
from uncrop.providers.base import Provider
from uncrop.providers.conversation import Call, Part, ask
from uncrop.providers.error_reader import error_in, refused
from uncrop.providers.openai.models import facts_of
from uncrop.providers.openai.vocabulary import VOCABULARY
from uncrop.providers.picture import framed_part, picture_part, read_picture

if TYPE_CHECKING:
    from collections.abc import Mapping

    from uncrop.model import Frame, ImageHeader, Job, ProviderFacts, Task
    from uncrop.providers.base import ProviderSettings
    from uncrop.providers.conversation import Answer, Conversation

OWN_HOST = "api.openai.com"
PROMPT = (
    "Extend this photograph. Continue the scene into the masked area so that it looks like one picture taken by the "
    "same camera: the same perspective, light, colours, sharpness and grain, with no frame, text or new main subject. "
    "Leave the rest of the picture as it is."
)


class OpenAI(Provider):
    """OpenAI's image edits: one call, with the frames and fields of the configured model."""

    def __init__(self, facts: ProviderFacts, settings: ProviderSettings) -> None:
        self.model = facts_of(settings.text("model"))
        fields = (replace(field, choices=self.model.sizes) if field.name == "size" else field for field in facts.fields)
        # Another server asks what it likes.
        price = self.model.token_price if urlsplit(settings.base_url).hostname == OWN_HOST else None
        super().__init__(
            replace(facts, geometry=self.model.geometry, fields=tuple(fields), token_price=price), settings
        )

    def converse(self, task: Task) -> Conversation:
        """Send photo and mask; read the picture.

        Raises
        ------
        ProviderInvalidResponse
            The answer holds no picture of the frame's shape, and tells no error that is known.
        UncropError
            As the error's code or words say, else as the status says.
        """
        frame = self.frame(task.job)
        answer = yield from ask(self.submit(task, frame))
        if answer.status != HTTPStatus.OK:
            raise refused(answer, VOCABULARY)
        return (yield from self.read(answer, frame, task.job.header))

    def frame(self, job: Job) -> Frame:
        """Return the frame that the model is asked for."""
        if job.request.size is not None:
            return frame_of_size(job.placement, *parse_size(job.request.size))
        if job.placement.is_full:
            # Nothing is drawn around the photo, whose own file goes as it is, for a picture of any scale.
            return nearest_frame(job.placement, self.facts.geometry)
        return choose_frame(job.placement, self.facts.geometry)

    def submit(self, task: Task, frame: Frame) -> Call:
        """Build ``POST /images/edits`` with the fields that the model's family takes."""
        fields = {
            "model": self.settings.text("model"),
            "prompt": task.job.request.prompt or PROMPT,
            "n": "1",
            "size": f"{frame.width}x{frame.height}",
            **self.model.fields,
        }
        mask = picture_part("mask", encode_mask(draw_mask(task, frame)), "PNG")
        photo = framed_part("image", task, frame, self.facts.upload)
        return Call(
            method="POST",
            url=f"{self.settings.base_url}/images/edits",
            headers={"Authorization": f"Bearer {self.key}"},
            body=(photo, mask, *(Part(name=name, value=value) for name, value in fields.items())),
        )

    def read(self, answer: Answer, frame: Frame, photo: ImageHeader) -> Conversation:
        """Decode the first picture, in the photo's colours, and cut it to the canvas."""
        body = read_object(answer.body)
        try:
            picture = _first_picture(body)
        except ProviderInvalidResponse as error:
            raise error_in(answer, VOCABULARY) or error from None
        pixels = yield from read_picture(picture, frame.width, frame.height, photo)
        facts = PictureFacts(
            provider=self.facts.name,
            request_id=request_id(answer.headers),
            model=self.settings.text("model"),
            usage=_usage(body),
        )
        return Fill(pixels=cut_canvas(pixels, frame), facts=facts)


def _first_picture(body: Mapping[str, object] | None) -> bytes:
    """Decode ``data[0].b64_json``, or a ``url`` that carries its data; no other address is ever fetched."""
    if body is None:
        raise unusable("is not a JSON object")
    data = body.get("data")
    item = data[0] if isinstance(data, list) and data else None
    if not isinstance(item, dict):
        raise unusable("holds no picture")
    return read_base64(item.get("b64_json") or item.get("url"))


def _usage(body: Mapping[str, object] | None) -> TokenUsage | None:
    usage = (body or {}).get("usage")
    if not isinstance(usage, dict):
        return None
    counts = {name: usage.get(name) for name in ("input_tokens", "output_tokens", "total_tokens")}
    details = usage.get("input_tokens_details")
    counts["input_text_tokens"] = details.get("text_tokens") if isinstance(details, dict) else None
    return TokenUsage(**{name: count for name, count in counts.items() if type(count) is int and count >= 0})
