"""Routes by path and method."""

from __future__ import annotations

from functools import partial
from typing import TYPE_CHECKING, TypeAlias

from starlette.routing import Route

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable, Mapping

    from starlette.requests import Request
    from starlette.responses import Response

Handler: TypeAlias = "Callable[[Request], Awaitable[Response]]"


def one_route_a_path(handlers: Mapping[str, Mapping[str, Handler]]) -> list[Route]:
    """Return one route for each path, so that a refused method is told of all that are taken.

    Parameters
    ----------
    handlers
        By path and method.
    """
    return [Route(path, partial(_by_method, methods), methods=list(methods)) for path, methods in handlers.items()]


async def _by_method(handlers: Mapping[str, Handler], request: Request) -> Response:
    return await handlers["GET" if request.method == "HEAD" else request.method](request)
