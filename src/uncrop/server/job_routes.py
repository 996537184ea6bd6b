"""The routes of jobs: each translates, calls, and translates back."""

from __future__ import annotations

from typing import TYPE_CHECKING

from starlette.responses import JSONResponse

from uncrop.errors import ServerBusy
from uncrop.server.exchange import exchange_of
from uncrop.server.jobs_wire import address_of, answer_response, job_json, limit_of, page_json
from uncrop.server.keyed import REPLAYED, key_of
from uncrop.server.wire import credentials, to_request

if TYPE_CHECKING:
    from starlette.requests import Request
    from starlette.responses import Response

    from uncrop.jobs.background import BackgroundJobs
    from uncrop.model import UncropRequest
    from uncrop.server.routes import Routes
    from uncrop.service.report import RunReport


class JobRoutes:
    """The handlers, and what they need.

    Parameters
    ----------
    jobs
        Open; ``None`` where this server takes none.
    routes
        Reads the forms of pictures.
    """

    def __init__(self, jobs: BackgroundJobs | None, routes: Routes) -> None:
        self._opened = jobs
        self._routes = routes

    async def submit(self, request: Request) -> Response:
        """Take a job: who asks, how often, what, and whether it can be made."""
        exchange, _, read_body = self._routes.body(request)

        async def read() -> UncropRequest:
            return to_request(await read_body())

        job, is_new = await self._jobs.submit(
            credentials(request.headers),
            read,
            accept=",".join(request.headers.getlist("accept")),
            idempotency_key=key_of(request),
            report=exchange.run,
        )
        headers = {"Location": address_of(job), **({} if is_new else {REPLAYED: "true"})}
        return JSONResponse(job_json(job), status_code=202, headers=headers)

    async def page(self, request: Request) -> Response:
        """List the caller's jobs, newest first."""
        query = request.query_params
        page = await self._jobs.page(
            credentials(request.headers),
            report=exchange_of(request.scope).run,
            most=limit_of(query),
            cursor=query.get("cursor") or None,
            state=query.get("state") or None,
        )
        return JSONResponse(page_json(page))

    async def show(self, request: Request) -> Response:
        """Tell how far one of the caller's jobs is."""
        return JSONResponse(job_json(await self._jobs.find(*self._asked(request))))

    async def result(self, request: Request) -> Response:
        """Answer as the picture's own request would have been answered."""
        return answer_response(await self._jobs.answer(*self._asked(request)))

    async def cancel(self, request: Request) -> Response:
        """End one of the caller's jobs; what may have been billed is seen through."""
        return JSONResponse(job_json(await self._jobs.cancel(*self._asked(request))))

    @property
    def _jobs(self) -> BackgroundJobs:
        if self._opened is None:
            raise ServerBusy("This server takes no jobs")
        return self._opened

    def _asked(self, request: Request) -> tuple[tuple[str, ...], str, RunReport]:
        """Return who asks, for which job, and where it is noted."""
        return credentials(request.headers), request.path_params["job_id"], exchange_of(request.scope).run
