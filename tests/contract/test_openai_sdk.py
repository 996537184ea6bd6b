"""Our request to OpenAI is the official package's, and the package takes our emulator for the real one."""

from __future__ import annotations

import base64
from collections.abc import Iterator

import httpx2
import openai
import pytest

from uncrop.imaging.header import read_header
from uncrop.model import UncropRequest
from uncrop.providers.commitment import Commitment
from uncrop.providers.openai.facts import FACTS
from uncrop.providers.transport.sender import Sender
from uncrop.testing import outcomes
from uncrop.testing.openai import OpenAIEmulator
from uncrop.testing.pictures import mask_png, photo_jpeg, photo_png, photo_webp
from uncrop.testing.workbench import KEY, make_context, make_registry, make_settings, make_task


@pytest.fixture
def emulator() -> Iterator[OpenAIEmulator]:
    with OpenAIEmulator(api_key=KEY) as running:
        yield running


@pytest.fixture
def sdk(emulator: OpenAIEmulator) -> Iterator[openai.OpenAI]:
    with (
        httpx2.Client(trust_env=False) as client,
        openai.OpenAI(api_key=KEY, base_url=emulator.url, max_retries=0, http_client=client) as sdk,
    ):
        yield sdk


def test_the_package_gets_a_picture(sdk: openai.OpenAI) -> None:
    answer = sdk.images.edit(
        image=("photo.png", photo_png(64, 64), "image/png"),
        mask=("mask.png", mask_png(64, 64), "image/png"),
        prompt="a lake",
        model="gpt-image-2",
        size="1536x1024",
    )
    assert answer.data is not None
    assert answer.usage is not None
    header = read_header(base64.b64decode(answer.data[0].b64_json or ""))
    assert (header.format, header.width, header.height) == ("PNG", 1536, 1024)
    assert answer.usage.total_tokens == answer.usage.input_tokens + answer.usage.output_tokens
    assert answer._request_id is not None
    assert answer._request_id.startswith("req_")


def test_the_package_takes_a_list_of_images(sdk: openai.OpenAI, emulator: OpenAIEmulator) -> None:
    images = [("a.png", photo_png(64, 64), "image/png"), ("b.png", photo_png(64, 64, seed=1), "image/png")]
    sdk.images.edit(image=images, prompt="a lake", model="gpt-image-1.5", input_fidelity="high")
    assert [part.name for part in emulator.calls[0].parts if part.filename] == ["image[]", "image[]"]


@pytest.mark.parametrize(
    ("status", "kind"),
    [
        (400, openai.BadRequestError),
        (401, openai.AuthenticationError),
        (403, openai.PermissionDeniedError),
        (404, openai.NotFoundError),
        (429, openai.RateLimitError),
        (500, openai.InternalServerError),
    ],
)
def test_the_package_understands_the_errors(
    sdk: openai.OpenAI, emulator: OpenAIEmulator, status: int, kind: type[openai.APIStatusError]
) -> None:
    emulator.script(outcomes.refuse(status))
    with pytest.raises(kind) as failed:
        sdk.images.edit(image=("a.png", photo_png(64, 64), "image/png"), prompt="a lake", model="gpt-image-2")
    assert failed.value.message.startswith(f"Error code: {status}")
    assert failed.value.request_id is not None


def test_the_package_reads_the_code_of_an_error(sdk: openai.OpenAI) -> None:
    with pytest.raises(openai.NotFoundError) as failed:
        sdk.images.edit(image=("a.png", photo_png(64, 64), "image/png"), prompt="a lake", model="gpt-image-0")
    assert (failed.value.code, failed.value.param) == ("model_not_found", "model")


@pytest.mark.parametrize(
    ("image", "media_type"),
    [(photo_jpeg(512, 512), "image/jpeg"), (photo_png(512, 512), "image/png"), (photo_webp(512, 512), "image/webp")],
)
@pytest.mark.parametrize("model", ["gpt-image-1", "gpt-image-1-mini", "gpt-image-2", "gpt-image-2.5-flare"])
async def test_our_request_is_the_packages(
    sdk: openai.OpenAI, emulator: OpenAIEmulator, image: bytes, media_type: str, model: str
) -> None:
    task = make_task(
        UncropRequest(provider="openai", image=image, mask=mask_png(512, 512), prompt="a lake", size="1024x1024"),
        FACTS,
    )
    settings = {"openai": make_settings(FACTS, base_url=emulator.url, model=model)}
    async with Sender() as send:
        maker = make_registry(make_context(send=send), settings=settings).get("openai")
        fill = await maker.fill(task, Commitment())
    ours = emulator.calls[0]
    sent_mask = ours.files["mask"].data
    wishes = {"input_fidelity": "high"} if model == "gpt-image-1" else {}
    answer = sdk.images.edit(
        image=(f"image.{media_type.removeprefix('image/')}", image, media_type),
        mask=("mask.png", sent_mask, "image/png"),
        prompt="a lake",
        model=model,
        n=1,
        size="1024x1024",
        quality="auto",
        background="opaque",
        output_format="png",
        **wishes,  # type: ignore[call-overload]
    )
    theirs = emulator.calls[1]
    assert (ours.method, ours.path) == (theirs.method, theirs.path)
    assert ours.headers["authorization"] == theirs.headers["authorization"]
    assert {part.name: part for part in ours.parts} == {part.name: part for part in theirs.parts}
    assert len(ours.parts) == len(theirs.parts)
    assert ours.files["image"].data == image
    assert fill.facts.usage is not None
    assert fill.facts.usage.total_tokens == answer.usage.total_tokens
