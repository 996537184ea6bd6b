"""The two pages, for trying and for reading: files of this package, served with the policy that they need."""

from __future__ import annotations

import gzip
import hashlib
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

from starlette.responses import Response
from starlette.routing import Route

if TYPE_CHECKING:
    from collections.abc import Iterator

    from starlette.requests import Request

_FOLDER = Path(__file__).parent / "page"
_MEDIA_TYPES = {
    ".html": "text/html; charset=utf-8",
    ".css": "text/css; charset=utf-8",
    ".js": "text/javascript; charset=utf-8",
    ".jpg": "image/jpeg",
}
_AT = {"index.html": "/", "docs.html": "/docs"}
# The pages talk to their own server; the one for trying shows pictures that it holds in memory.
_POLICY = (
    "default-src 'none'; script-src 'self'; style-src 'self'; img-src 'self' blob: data:; connect-src 'self'; "
    "base-uri 'none'; form-action 'none'; frame-ancestors 'none'"
)


@dataclass(frozen=True, kw_only=True, slots=True)
class Encoded:
    """A file's bytes as they are sent.

    Attributes
    ----------
    coding
        The value of ``Content-Encoding``; ``None`` for the file as it is.
    """

    content: bytes
    coding: str | None = None

    @property
    def tag(self) -> str:
        """Return the strong validator of exactly these bytes."""
        return f'"{hashlib.sha256(self.content).hexdigest()[:32]}"'


@dataclass(frozen=True, kw_only=True, slots=True)
class PageFile:
    """One file, read and compressed when the app is made.

    Attributes
    ----------
    plain, compressed
        The file in its two codings; the second is ``None`` where compressing saves nothing.
    tags
        The entity tag of each coding, worked out once.
    """

    media_type: str
    plain: Encoded
    compressed: Encoded | None
    tags: tuple[str, str | None]

    @classmethod
    def read(cls, path: Path) -> PageFile:
        """Read a file."""
        plain = Encoded(content=path.read_bytes())
        # Without a time in it, so that equal files have equal tags.
        packed = Encoded(content=gzip.compress(plain.content, mtime=0), coding="gzip")
        compressed = packed if len(packed.content) < 0.9 * len(plain.content) else None
        tags = (plain.tag, None if compressed is None else compressed.tag)
        return cls(media_type=_MEDIA_TYPES[path.suffix], plain=plain, compressed=compressed, tags=tags)

    async def serve(self, request: Request) -> Response:
        """Send the file in the coding that the client takes, or say that the client has it already."""
        sent, tag = self.plain, self.tags[0]
        if self.compressed is not None and takes_gzip(request.headers.get("accept-encoding", "")):
            sent, tag = self.compressed, str(self.tags[1])
        headers = {"ETag": tag, "Cache-Control": "no-cache", "Content-Security-Policy": _POLICY}
        if self.compressed is not None:
            headers["Vary"] = "Accept-Encoding"
        if tag in _tags_in(request.headers.get("if-none-match", "")):
            return Response(status_code=304, headers=headers)
        if sent.coding is not None:
            headers["Content-Encoding"] = sent.coding
        return Response(sent.content, media_type=self.media_type, headers=headers)


def takes_gzip(accept_encoding: str) -> bool:
    """Tell whether an ``Accept-Encoding`` header (RFC 9110, 12.5.3) takes gzip, by its name or with everything."""
    weights: dict[str, str] = {}
    for entry in accept_encoding.lower().split(","):
        coding, *parameters = (part.strip() for part in entry.split(";"))
        weights[coding] = next((value[2:] for value in parameters if value.startswith("q=")), "1")
    weight = weights.get("gzip", weights.get("*", "0"))
    return weight.strip("0.") != ""


def _tags_in(if_none_match: str) -> set[str]:
    """Return the entity tags that a client has; a proxy may have marked them as weak."""
    return {tag.strip().removeprefix("W/") for tag in if_none_match.split(",")}


def page_files() -> Iterator[tuple[str, Path]]:
    """Yield the address and the file of everything that the pages are made of."""
    for path in sorted(_FOLDER.iterdir()):
        if path.suffix in _MEDIA_TYPES:
            yield _AT.get(path.name, f"/page/{path.name}"), path


def page_routes() -> list[Route]:
    """Return the pages' routes."""
    return [Route(address, PageFile.read(path).serve) for address, path in page_files()]
