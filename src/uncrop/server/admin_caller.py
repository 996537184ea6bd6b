"""Who asks for the administration, and what."""

from __future__ import annotations

from typing import TYPE_CHECKING

from uncrop.server.exchange import exchange_of
from uncrop.server.json_bodies import read_body
from uncrop.server.wire import credentials

if TYPE_CHECKING:
    from collections.abc import Callable

    from starlette.requests import Request

    from uncrop.model import Caller
    from uncrop.server.form import BodyLimits
    from uncrop.server.json_bodies import B
    from uncrop.service.administration import Administration
    from uncrop.service.service import Service


class AdminCaller:
    """Finds out who asks, and reads what.

    Parameters
    ----------
    service
        Open; closed by whoever opened it.
    limits
        In which time a body must arrive.
    """

    def __init__(self, service: Service, limits: BodyLimits) -> None:
        self._service = service
        self._limits = limits

    @property
    def administration(self) -> Administration:
        """What can be done."""
        return self._service.administration

    async def caller(self, request: Request) -> Caller:
        """Return who asks, and count the request.

        Raises
        ------
        AuthenticationError
        RateLimitExceeded
        """
        return await self._service.recognize(credentials(request.headers), exchange_of(request.scope).run)

    async def asked(
        self,
        request: Request,
        kind: type[B],
        *,
        optional: bool = False,
        check: Callable[[Caller], None] | None = None,
    ) -> tuple[Caller, B]:
        """Return who asks and what; the body is read once it is known that it is not in vain.

        Parameters
        ----------
        request, kind, optional
            As of ``read_body``.
        check
            Refuses who may not ask for it; by default, whoever is no operator.

        Raises
        ------
        ScopeMissing
            Whoever asks may change nothing.
        UncropError
            As for ``caller`` and ``read_body``.
        """
        caller = await self.caller(request)
        (check or self.administration.check_operator)(caller)
        share = exchange_of(request.scope).holds.enter_context(
            self._service.capacity.bodies.share(caller.organization_id or "")
        )
        return caller, await read_body(kind, request, self._limits, share, optional=optional)
