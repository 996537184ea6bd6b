"""The routes for organizations, keys, usage and the audit log: each translates, calls, and translates back."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from functools import partial
from typing import TYPE_CHECKING

from starlette.responses import JSONResponse

from uncrop.server.admin_caller import AdminCaller
from uncrop.server.admin_wire import (
    api_key_json,
    by_age,
    by_day,
    by_number,
    list_response,
    new_key_json,
    organization_json,
    page_response,
    provider_key_json,
)
from uncrop.server.books_routes import BooksRoutes
from uncrop.server.json_bodies import (
    ApiKeyBody,
    OrganizationBody,
    OrganizationChanges,
    ProviderKeyBody,
    RotationBody,
    moment_of,
)
from uncrop.server.paths import one_route_a_path
from uncrop.server.queries import Query

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable

    from starlette.requests import Request
    from starlette.responses import Response
    from starlette.routing import Route

    from uncrop.model import Caller
    from uncrop.server.form import BodyLimits
    from uncrop.server.paths import Handler
    from uncrop.service.service import Service
    from uncrop.store.api_key import ApiKey

ORGANIZATIONS = "/api/v1/organizations"
ORGANIZATION = f"{ORGANIZATIONS}/{{organization_id}}"
PROVIDER_KEYS = f"{ORGANIZATION}/provider-keys"
PROVIDER_KEY = f"{PROVIDER_KEYS}/{{provider}}"
API_KEYS = "/api/v1/api-keys"
API_KEY = f"{API_KEYS}/{{key_id}}"
USAGE = "/api/v1/usage"
AUDIT = "/api/v1/audit"
ROTATE, PAUSE, RESUME, REVOKE = (f"{API_KEY}/{verb}" for verb in ("rotate", "pause", "resume", "revoke"))


class AdminRoutes:
    """The handlers, and what they need.

    Parameters
    ----------
    service
        Open; closed by whoever opened it.
    limits
        In which time a body must arrive.
    """

    def __init__(self, service: Service, *, limits: BodyLimits) -> None:
        self._asking = AdminCaller(service, limits)
        self._administration = self._asking.administration

    def routes(self) -> list[Route]:
        """Return the routes that the document describes."""
        admin = self._administration
        handlers: dict[str, dict[str, Handler]] = {
            ORGANIZATIONS: {"GET": self.list_organizations, "POST": self.create_organization},
            ORGANIZATION: {"GET": self.show_organization, "PATCH": self.change_organization},
            PROVIDER_KEYS: {"GET": self.list_provider_keys},
            PROVIDER_KEY: {"PUT": self.put_provider_key, "DELETE": self.remove_provider_key},
            API_KEYS: {"GET": self.list_api_keys, "POST": self.create_api_key},
            API_KEY: {"GET": self.show_api_key},
            ROTATE: {"POST": self.rotate_api_key},
            PAUSE: {"POST": partial(self.switch_api_key, admin.pause_api_key)},
            RESUME: {"POST": partial(self.switch_api_key, admin.resume_api_key)},
            REVOKE: {"POST": partial(self.switch_api_key, admin.revoke_api_key)},
            USAGE: {"GET": self.list_usage},
            AUDIT: {"GET": self.list_acts},
            **BooksRoutes(self._asking).handlers(),
        }
        return one_route_a_path(handlers)

    # --- organizations

    async def list_organizations(self, request: Request) -> Response:
        """List organizations."""
        caller = await self._asking.caller(request)
        query = Query(request.query_params)
        page = await self._administration.organizations(caller, after=query.place(), limit=query.limit)
        return page_response(page, organization_json, by_age)

    async def create_organization(self, request: Request) -> Response:
        """Make an organization."""
        caller, body = await self._asking.asked(request, OrganizationBody)
        made = await self._administration.create_organization(caller, organization_id=body.id, name=body.name)
        return JSONResponse(organization_json(made), status_code=201)

    async def show_organization(self, request: Request) -> Response:
        """Show an organization."""
        caller = await self._asking.caller(request)
        found = await self._administration.organization(caller, request.path_params["organization_id"])
        return JSONResponse(organization_json(found))

    async def change_organization(self, request: Request) -> Response:
        """Change an organization."""
        caller, body = await self._asking.asked(request, OrganizationChanges)
        changed = await self._administration.change_organization(
            caller,
            request.path_params["organization_id"],
            name=body.name,
            may_use_server_keys=body.may_use_server_keys,
        )
        return JSONResponse(organization_json(changed))

    # --- organizations' own keys of providers

    async def list_provider_keys(self, request: Request) -> Response:
        """List the keys of providers that an organization has itself."""
        caller = await self._asking.caller(request)
        found = await self._administration.provider_keys(caller, request.path_params["organization_id"])
        return list_response(found, provider_key_json)

    async def put_provider_key(self, request: Request) -> Response:
        """Keep a key of a provider."""
        caller, body = await self._asking.asked(request, ProviderKeyBody)
        places = request.path_params
        left = await self._administration.put_provider_key(
            caller, places["organization_id"], places["provider"], body.key
        )
        return list_response(left, provider_key_json)

    async def remove_provider_key(self, request: Request) -> Response:
        """Forget a key of a provider."""
        caller = await self._asking.caller(request)
        places = request.path_params
        left = await self._administration.remove_provider_key(caller, places["organization_id"], places["provider"])
        return list_response(left, provider_key_json)

    # --- API keys

    async def list_api_keys(self, request: Request) -> Response:
        """List keys."""
        caller = await self._asking.caller(request)
        query = Query(request.query_params, ("organization_id",))
        page = await self._administration.api_keys(
            caller, organization_id=query.text("organization_id"), after=query.place(), limit=query.limit
        )
        return page_response(page, _as_of_now(), by_age)

    async def create_api_key(self, request: Request) -> Response:
        """Make a key."""
        caller, body = await self._asking.asked(request, ApiKeyBody)
        new = await self._administration.create_api_key(
            caller,
            body.organization_id,
            name=body.name,
            scopes=body.scopes,
            expires_at=moment_of(body.expires_at, "expires_at"),
        )
        return JSONResponse(new_key_json(new), status_code=201)

    async def show_api_key(self, request: Request) -> Response:
        """Show a key."""
        found = await self._administration.api_key(await self._asking.caller(request), request.path_params["key_id"])
        return JSONResponse(_as_of_now()(found))

    async def rotate_api_key(self, request: Request) -> Response:
        """Make a key in the place of another."""
        caller, body = await self._asking.asked(request, RotationBody, optional=True)
        new = await self._administration.rotate_api_key(
            caller,
            request.path_params["key_id"],
            overlap=timedelta(seconds=body.overlap_seconds),
            expires_at=moment_of(body.expires_at, "expires_at"),
        )
        return JSONResponse(new_key_json(new), status_code=201)

    async def switch_api_key(self, switch: Callable[[Caller, str], Awaitable[ApiKey]], request: Request) -> Response:
        """Pause, resume or revoke a key."""
        changed = await switch(await self._asking.caller(request), request.path_params["key_id"])
        return JSONResponse(_as_of_now()(changed))

    # --- the books

    async def list_usage(self, request: Request) -> Response:
        """List what was spent by day and provider."""
        caller = await self._asking.caller(request)
        query = Query(request.query_params, ("organization_id", "since", "until"))
        page = await self._administration.usage(
            caller,
            organization_id=query.text("organization_id"),
            since=query.day("since"),
            until=query.day("until"),
            after=query.day_and_provider(),
            limit=query.limit,
        )
        return page_response(page, lambda day: day.to_json(), by_day)

    async def list_acts(self, request: Request) -> Response:
        """List administrative acts."""
        caller = await self._asking.caller(request)
        query = Query(request.query_params, ("organization_id", "since"))
        page = await self._administration.audit(
            caller,
            organization_id=query.text("organization_id"),
            since=query.moment("since"),
            before=query.number(),
            limit=query.limit,
        )
        return page_response(page, lambda entry: entry.to_json(), by_number)


def _as_of_now() -> Callable[[ApiKey], dict[str, object]]:
    return partial(api_key_json, now=datetime.now(UTC))
