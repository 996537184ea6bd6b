"""Posting many files over one client: a client of its own for each would cost more than the server's work."""

from __future__ import annotations

from contextlib import contextmanager
from typing import TYPE_CHECKING

import httpx2

from fixtures_server import ORGANIZATION, PATH, Real, real

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

FIELDS = {"provider": "clipdrop", "organization_id": ORGANIZATION, "extend_left": "8"}


class Poster:
    """A real server over emulators, and a client that keeps its connections."""

    def __init__(self, house: Real, client: httpx2.Client) -> None:
        self.house = house
        self._client = client

    def post(self, image: bytes, *, name: str = "photo", kind: str | None = None, **fields: str) -> httpx2.Response:
        """Extend a photo with Clipdrop's emulator; ``fields`` come on top."""
        file = (name, image) if kind is None else (name, image, kind)
        return self._client.post(PATH, data={**FIELDS, **fields}, files={"image_file": file})

    def post_and_see(self, image: bytes, **fields: str) -> tuple[httpx2.Response, list[bytes]]:
        """Extend a photo, and return what the provider was sent as well."""
        calls = len(self.house.clipdrop.calls)
        response = self.post(image, **fields)
        return response, [part.data for call in self.house.clipdrop.calls[calls:] for part in call.parts]


@contextmanager
def posting(folder: Path, kernels: Path) -> Iterator[Poster]:
    """Start the server and the client; no rate limit is in the way, and nothing has to be compiled."""
    (folder / "kernels").symlink_to(kernels)
    with real(folder, settings={"rate_limit_per_minute": 1_000_000}) as house:
        headers = {"X-API-Key": house.key}
        with httpx2.Client(base_url=house.url, headers=headers, timeout=120, trust_env=False) as client:
            yield Poster(house, client)
