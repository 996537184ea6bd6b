"""An answer with a large body, handed to the socket piece by piece."""

from __future__ import annotations

from typing import TYPE_CHECKING

from starlette.responses import Response

if TYPE_CHECKING:
    from starlette.types import Receive, Scope, Send

PIECE_BYTES = 131_072


class PiecewiseResponse(Response):
    """Is done when the socket has taken its last byte, not when the server has put it into a buffer of its own.

    The protocol lets go of one piece only after the client's socket has taken the one before. So whatever is held for
    this answer, such as its share of the memory for bodies, is held for as long as the bytes are.
    """

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:  # noqa: ARG002 - ASGI's signature
        """Send the head, the pieces, and, once they have been taken, the end."""
        await send({"type": "http.response.start", "status": self.status_code, "headers": self.raw_headers})
        body = memoryview(self.body)
        for start in range(0, len(body), PIECE_BYTES):
            await send({"type": "http.response.body", "body": body[start : start + PIECE_BYTES], "more_body": True})
        await send({"type": "http.response.body", "body": b"", "more_body": False})
