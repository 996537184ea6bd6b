"""Which web pages of other origins may read the answers: the CORS protocol of the Fetch standard.

Starlette has a middleware for it. It answers refused preflights with text of its own, where every error here has the
published body, and it cannot stand both inside of the log and outside of the top handler.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from starlette.responses import Response

if TYPE_CHECKING:
    from collections.abc import Collection, Iterable

    from starlette.datastructures import Headers

EVERY_ORIGIN = "*"
# What a page may send beyond the headers that every page may.
SENT_HEADERS = ("Authorization", "Content-Type", "Idempotency-Key", "X-API-Key", "X-Request-Id", "api-key")
METHODS = ("GET", "HEAD", "POST", "PUT", "PATCH", "DELETE")
_REMEMBERED_S = 7200  # browsers keep a preflight's answer no longer


class CrossOrigin:
    """Decides which headers an answer gets beyond those that it has.

    A page of an origin that may not read the answers is told nothing, as if there were no CORS: its browser refuses.
    Pages send the key themselves, so no cookies are ever needed, and none are allowed.

    Parameters
    ----------
    origins
        Those that may read; ``"*"`` alone for all; none for none.
    exposed
        The headers that a page may read beyond the few that every page may.
    """

    def __init__(self, origins: Collection[str], exposed: Iterable[str]) -> None:
        self._origins = frozenset(origins)
        self._exposed = ", ".join(exposed)

    def headers(self, request: Headers) -> dict[str, str]:
        """Return the headers that the answer to a request gets, an error's too."""
        if not self._origins:
            return {}
        if EVERY_ORIGIN in self._origins:
            allowed = {"Access-Control-Allow-Origin": EVERY_ORIGIN}
        elif (origin := request.get("origin")) in self._origins:
            allowed = {"Access-Control-Allow-Origin": str(origin), "Vary": "Origin"}
        else:
            return {"Vary": "Origin"}
        return {**allowed, "Access-Control-Expose-Headers": self._exposed}

    def preflight(self, method: str, request: Headers) -> Response | None:
        """Answer the question that a browser asks before a page's request; ``None`` if it is another request."""
        asks = method == "OPTIONS" and "origin" in request and "access-control-request-method" in request
        if not asks or "Access-Control-Allow-Origin" not in self.headers(request):
            return None
        return Response(
            status_code=204,
            headers={
                "Access-Control-Allow-Methods": ", ".join(METHODS),
                "Access-Control-Allow-Headers": ", ".join(SENT_HEADERS),
                "Access-Control-Max-Age": str(_REMEMBERED_S),
            },
        )
