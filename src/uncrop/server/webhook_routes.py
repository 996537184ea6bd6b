"""The routes of webhooks and their messages: each translates, calls, and translates back."""

from __future__ import annotations

from datetime import timedelta
from typing import TYPE_CHECKING

from starlette.responses import JSONResponse

from uncrop.errors import ServerBusy
from uncrop.server.admin_caller import AdminCaller
from uncrop.server.admin_wire import page_response
from uncrop.server.json_bodies import SecretRotationBody, WebhookBody, WebhookChangesBody
from uncrop.server.paths import one_route_a_path
from uncrop.server.queries import Query
from uncrop.server.webhooks_wire import by_id, delivery_json, logged_json, secret_json, webhook_json

if TYPE_CHECKING:
    from starlette.requests import Request
    from starlette.responses import Response
    from starlette.routing import Route

    from uncrop.jobs.background import BackgroundJobs
    from uncrop.jobs.webhooks import CallersWebhooks
    from uncrop.model import Caller
    from uncrop.server.form import BodyLimits
    from uncrop.server.paths import Handler
    from uncrop.service.service import Service

WEBHOOKS = "/api/v1/webhooks"
WEBHOOK = f"{WEBHOOKS}/{{webhook_id}}"
ROTATE_SECRET = f"{WEBHOOK}/rotate-secret"
DELIVERIES = f"{WEBHOOK}/deliveries"
DELIVERY = f"{DELIVERIES}/{{delivery_id}}"
REDELIVER = f"{DELIVERY}/redeliver"


class WebhookRoutes:
    """The handlers, and what they need.

    Parameters
    ----------
    service
        Open; closed by whoever opened it.
    jobs
        Open; ``None`` where this server takes none, and tells nobody of any.
    limits
        In which time a body must arrive.
    """

    def __init__(self, service: Service, jobs: BackgroundJobs | None, *, limits: BodyLimits) -> None:
        self._asking = AdminCaller(service, limits)
        self._opened = jobs

    def routes(self) -> list[Route]:
        """Return the routes that the document describes."""
        handlers: dict[str, dict[str, Handler]] = {
            WEBHOOKS: {"GET": self.page, "POST": self.create},
            WEBHOOK: {"GET": self.show, "PATCH": self.change, "DELETE": self.delete},
            ROTATE_SECRET: {"POST": self.rotate},
            DELIVERIES: {"GET": self.deliveries},
            DELIVERY: {"GET": self.delivery},
            REDELIVER: {"POST": self.redeliver},
        }
        return one_route_a_path(handlers)

    async def page(self, request: Request) -> Response:
        """List webhooks, oldest first."""
        caller = await self._asking.caller(request)
        query = Query(request.query_params, ("organization_id",))
        page = await self._webhooks.page(
            caller, organization_id=query.text("organization_id"), after=query.id(), limit=query.limit
        )
        return page_response(page, webhook_json, by_id)

    async def create(self, request: Request) -> Response:
        """Make a webhook."""
        caller, body = await self._asking.asked(request, WebhookBody, check=self._webhooks.check)
        made = await self._webhooks.create(
            caller,
            organization_id=body.organization_id,
            url=body.url,
            description=body.description,
            events=body.events,
            secret=body.secret,
        )
        return JSONResponse(secret_json(made), status_code=201)

    async def show(self, request: Request) -> Response:
        """Show a webhook."""
        return JSONResponse(webhook_json(await self._webhooks.find(*await self._asked(request))))

    async def change(self, request: Request) -> Response:
        """Change a webhook."""
        caller, body = await self._asking.asked(request, WebhookChangesBody, check=self._webhooks.check)
        changed = await self._webhooks.change(
            caller,
            request.path_params["webhook_id"],
            url=body.url,
            description=body.description,
            events=body.events,
            enabled=body.enabled,
        )
        return JSONResponse(webhook_json(changed))

    async def delete(self, request: Request) -> Response:
        """Delete a webhook."""
        return JSONResponse(webhook_json(await self._webhooks.delete(*await self._asked(request))))

    async def rotate(self, request: Request) -> Response:
        """Sign with another secret."""
        caller, body = await self._asking.asked(request, SecretRotationBody, optional=True, check=self._webhooks.check)
        rotated = await self._webhooks.rotate(
            caller,
            request.path_params["webhook_id"],
            overlap=timedelta(seconds=body.overlap_seconds),
            secret=body.secret,
        )
        return JSONResponse(secret_json(rotated))

    async def deliveries(self, request: Request) -> Response:
        """List the messages to a webhook, newest first."""
        caller, webhook_id = await self._asked(request)
        query = Query(request.query_params, ("state",))
        page = await self._webhooks.deliveries(
            caller, webhook_id, before=query.id(), state=query.text("state"), limit=query.limit
        )
        return page_response(page, delivery_json, by_id)

    async def delivery(self, request: Request) -> Response:
        """Show a message, with each time that it was sent."""
        caller, webhook_id = await self._asked(request)
        found = await self._webhooks.delivery(caller, webhook_id, request.path_params["delivery_id"])
        return JSONResponse(logged_json(found))

    async def redeliver(self, request: Request) -> Response:
        """Send a message anew."""
        caller, webhook_id = await self._asked(request)
        again = await self._webhooks.redeliver(caller, webhook_id, request.path_params["delivery_id"])
        return JSONResponse(logged_json(again), status_code=202)

    @property
    def _webhooks(self) -> CallersWebhooks:
        if self._opened is None:
            raise ServerBusy("This server takes no jobs")
        return self._opened.webhooks

    async def _asked(self, request: Request) -> tuple[Caller, str]:
        """Return who asks, and for which webhook."""
        return await self._asking.caller(request), request.path_params["webhook_id"]
