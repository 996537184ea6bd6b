"""What is sent to the first two remote providers, byte for byte, held to recordings made before their code moved.

A change here is a change of what providers are sent; accept it with ``--accept-golden`` and say so in the commit.
"""

from __future__ import annotations

import hashlib
import itertools
import json
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest

import uncrop
from uncrop.testing import outcomes
from uncrop.testing.clipdrop import ClipdropEmulator
from uncrop.testing.openai import OpenAIEmulator
from uncrop.testing.pictures import mask_png, photo_jpeg, photo_png, photo_webp, rotated

if TYPE_CHECKING:
    from uncrop.testing.emulator import ReceivedCall

RECORDINGS = Path(__file__).parents[1] / "golden" / "calls.json"
KEY = "recorded-key"
PHOTOS = {
    "JPEG": photo_jpeg(96, 64),
    "grey JPEG": photo_jpeg(96, 64, grey=True),
    "turned JPEG": rotated("JPEG", 6, width=96, height=64),
    "PNG": photo_png(96, 64),
    "grey PNG": photo_png(96, 64, channels=1),
    "grey PNG with alpha": photo_png(96, 64, channels=2),
    "PNG with alpha": photo_png(96, 64, channels=4),
    "PNG of 16 bits": photo_png(96, 64, bits=16),
    "WebP": photo_webp(96, 64),
    "WebP with alpha": photo_webp(96, 64, channels=4),
}
SIDES = {
    "one": uncrop.Sides(left=24),
    "all": uncrop.Sides(left=24, right=-8, up=3, down=16),
    "crop": uncrop.Sides(right=-8),
}
SIZES = (None, "1024x1024", "1024x1536", "1536x1024")
MODELS = ("gpt-image-2", "gpt-image-1", "gpt-image-1-mini", "gpt-image-1.5", "chatgpt-image-latest", "dall-e-2", "flux")


def recorded(call: ReceivedCall) -> list[Any]:
    """Return a call without what differs from one run to the next: boundary, length and address.

    Nor is ``Connection`` a part of what is said: it concerns the next hop alone (RFC 9110, 7.6.1).
    """
    headers = {
        name: value
        for name, value in call.headers.items()
        if name not in {"host", "content-length", "content-type", "user-agent", "transfer-encoding", "connection"}
    }
    parts = [[part.name, part.filename, part.media_type, hashlib.sha256(part.data).hexdigest()] for part in call.parts]
    return [call.method, call.path, headers, parts]


def clipdrop_requests() -> dict[str, uncrop.UncropRequest]:
    return {
        f"{kind}, {sides}": uncrop.UncropRequest(provider="clipdrop", image=image, sides=SIDES[sides], seed=7)
        for (kind, image), sides in itertools.product(PHOTOS.items(), SIDES)
    }


def openai_requests(model: str) -> dict[str, uncrop.UncropRequest]:
    sizes = SIZES if model in {"gpt-image-2", "gpt-image-1"} else (None, "1024x1024")
    requests = {}
    for (kind, image), size in itertools.product(PHOTOS.items(), sizes):
        prompt = "A wide beach" if size else None
        requests[f"{kind}, {size}"] = uncrop.UncropRequest(
            provider="openai", image=image, mask=mask_png(96, 64), size=size, prompt=prompt
        )
    return requests


async def record(provider: str, model: str, folder: Path) -> dict[str, list[Any]]:
    """Send every request and return what the provider's emulator received."""
    kind = {"clipdrop": ClipdropEmulator, "openai": OpenAIEmulator}[provider]
    requests = clipdrop_requests() if provider == "clipdrop" else openai_requests(model)
    with kind(api_key=KEY) as emulator:
        named = {f"{provider}_api_key": KEY, f"{provider}_base_url": emulator.url}
        settings = uncrop.Settings(
            data_dir=folder, _env_file=None, **named, **({"openai_model": model} if model else {})
        )
        # What is sent is all that counts here: no picture has to be made of it.
        emulator.script(*[outcomes.refuse(400)] * len(requests))
        async with uncrop.open_uncropper(settings) as uncropper:
            for request in requests.values():
                with pytest.raises(uncrop.UncropError):
                    await uncropper.run(request)
        return dict(zip(requests, [recorded(call) for call in emulator.calls], strict=True))


@pytest.mark.parametrize(
    ("provider", "model"), [("clipdrop", ""), *(("openai", model) for model in MODELS)], ids=["clipdrop", *MODELS]
)
async def test_providers_are_sent_what_they_were_sent_before(
    provider: str, model: str, data_dir: Path, request: pytest.FixtureRequest
) -> None:
    known = json.loads(RECORDINGS.read_text()) if RECORDINGS.exists() else {}
    name = model or provider
    now = await record(provider, model, data_dir)
    if request.config.getoption("--accept-golden"):
        RECORDINGS.write_text(json.dumps({**known, name: now}, indent=0, sort_keys=True) + "\n")
        return
    for call in known[name].values():
        call[2].pop("connection", None)
    sent = json.loads(json.dumps(now))
    assert sent.keys() == known[name].keys()
    differing = {each: (sent[each], known[name][each]) for each in sent if sent[each] != known[name][each]}
    assert not differing, json.dumps(differing, indent=1)
