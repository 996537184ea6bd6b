"""The Python client against a real server."""

from __future__ import annotations

import io
from typing import TYPE_CHECKING

import pytest

from fixtures_server import ORGANIZATION, Real
from uncrop.client import AsyncClient, AuthenticationFailed, Client, InvalidRequest, ProviderFailed, Retries
from uncrop.imaging.header import read_header
from uncrop.testing import outcomes
from uncrop.testing.pictures import photo_jpeg

if TYPE_CHECKING:
    from pathlib import Path

PHOTO = photo_jpeg(64, 48)


def client_of(house: Real, *, key: str | None = None) -> Client:
    return Client(house.url, api_key=key or house.key, organization_id=ORGANIZATION, retries=Retries(attempts=1))


def test_a_picture_and_several(house: Real, tmp_path: Path) -> None:
    with client_of(house) as client:
        one = client.extend(io.BytesIO(PHOTO), provider="clipdrop", left=16, seed=5)
        one.save(tmp_path / "wide.jpg")
        several = client.variations(PHOTO, 2, provider="clipdrop", left=16, seed=5)
    assert read_header((tmp_path / "wide.jpg").read_bytes()).width == 80
    assert (one.canvas, one.original, one.seed, one.credits_consumed) == ("80x48+16+0", "recompressed", 5, "1")
    assert [picture.seed for picture in several.pictures] == [5, 6]
    first = several.pictures[0]
    assert (first.image, first.canvas, first.original) == (one.image, one.canvas, one.original)
    assert (first.credits_consumed, first.warnings) == (one.credits_consumed, one.warnings)


def test_part_of_several(house: Real) -> None:
    house.clipdrop.script(outcomes.Outcome(status=500))
    with client_of(house) as client:
        made = client.variations(PHOTO, 2, provider="clipdrop", left=16)
    assert (len(made.pictures), [failure.code for failure in made.failures]) == (1, ["PROVIDER_ERROR"])


def test_errors_have_their_classes(house: Real) -> None:
    with client_of(house, key="wrong") as client, pytest.raises(AuthenticationFailed):
        client.extend(PHOTO, left=16)
    with client_of(house) as client:
        with pytest.raises(InvalidRequest):
            client.extend(PHOTO, left=2001)
        house.clipdrop.script(outcomes.Outcome(status=500))
        with pytest.raises(ProviderFailed):
            client.extend(PHOTO, provider="clipdrop", left=16)


async def test_the_asynchronous_client_asks_by_size_and_lists(quiet: Real) -> None:
    async with AsyncClient(quiet.url, api_key=quiet.key, organization_id=ORGANIZATION) as client:
        quotes = await client.quote((64, 48), left=16)
        providers = await client.providers()
    assert [quote["provider"] for quote in quotes] == [provider["name"] for provider in providers]
    assert {quote["canvas"] for quote in quotes} == {"80x48+16+0"}
