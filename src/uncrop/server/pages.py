"""The two pages, for trying and for reading: files of this package, served with the policy that they need."""

from __future__ import annotations

import hashlib
from dataclasses import dataclass
from pathlib import Path

from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import Route

_FOLDER = Path(__file__).parent / "page"
ADDRESSES = {
    "/": ("index.html", "text/html; charset=utf-8"),
    "/docs": ("docs.html", "text/html; charset=utf-8"),
    "/page/docs.css": ("docs.css", "text/css; charset=utf-8"),
    "/page/docs.js": ("docs.js", "text/javascript; charset=utf-8"),
    "/page/uncrop.css": ("uncrop.css", "text/css; charset=utf-8"),
    "/page/uncrop.js": ("uncrop.js", "text/javascript; charset=utf-8"),
}
# The pages talk to their own server; the one for trying shows pictures that it holds in memory.
_POLICY = (
    "default-src 'none'; script-src 'self'; style-src 'self'; img-src 'self' blob: data:; connect-src 'self'; "
    "base-uri 'none'; form-action 'none'; frame-ancestors 'none'"
)


@dataclass(frozen=True, kw_only=True, slots=True)
class PageFile:
    """One file, read when the app is made."""

    content: bytes
    media_type: str
    tag: str

    async def serve(self, request: Request) -> Response:
        """Send the file, or say that the client has it already."""
        headers = {"ETag": self.tag, "Cache-Control": "no-cache", "Content-Security-Policy": _POLICY}
        if request.headers.get("if-none-match") == self.tag:
            return Response(status_code=304, headers=headers)
        return Response(self.content, media_type=self.media_type, headers=headers)


def page_routes() -> list[Route]:
    """Return the pages' routes."""
    routes = []
    for address, (name, media_type) in ADDRESSES.items():
        content = (_FOLDER / name).read_bytes()
        tag = f'"{hashlib.sha256(content).hexdigest()[:32]}"'
        file = PageFile(content=content, media_type=media_type, tag=tag)
        routes.append(Route(address, file.serve))
    return routes
