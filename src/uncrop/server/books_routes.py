"""The routes for limits and the ledger."""

from __future__ import annotations

from datetime import timedelta
from typing import TYPE_CHECKING, get_args

from starlette.responses import JSONResponse

from uncrop.errors import InvalidFieldValue
from uncrop.model.ledger import HoldState
from uncrop.server.admin_wire import page_response
from uncrop.server.books_wire import adjustment_of, by_age, changes_of, hold_json, limits_json, picture_json
from uncrop.server.json_bodies import AdjustmentBody, LimitsBody, SettlementBody, SettlementsBody
from uncrop.server.queries import Query
from uncrop.service.bookkeeping import Bookkeeping

if TYPE_CHECKING:
    from starlette.requests import Request
    from starlette.responses import Response

    from uncrop.server.admin_caller import AdminCaller
    from uncrop.server.paths import Handler

ORGANIZATION_LIMITS = "/api/v1/organizations/{organization_id}/limits"
KEY_LIMITS = "/api/v1/api-keys/{key_id}/limits"
LEDGER = "/api/v1/ledger"
PICTURE = f"{LEDGER}/{{picture_id}}"
SETTLE = f"{PICTURE}/settle"
ADJUST = f"{PICTURE}/adjust"
SETTLE_ALL = f"{LEDGER}/settle"
STATES: tuple[HoldState, ...] = get_args(HoldState)


class BooksRoutes:
    """The handlers, and what they need.

    Parameters
    ----------
    asking
        Finds out who asks, and what.
    """

    def __init__(self, asking: AdminCaller) -> None:
        self._asking = asking
        self._books = Bookkeeping(administration=asking.administration)

    def handlers(self) -> dict[str, dict[str, Handler]]:
        """Return the handlers by path and method."""
        return {
            ORGANIZATION_LIMITS: {"GET": self.organization_limits, "PATCH": self.limit_organization},
            KEY_LIMITS: {"GET": self.key_limits, "PATCH": self.limit_key},
            LEDGER: {"GET": self.list_pictures},
            # Before pictures, none of which has such a name.
            SETTLE_ALL: {"POST": self.settle_all},
            PICTURE: {"GET": self.show_picture},
            SETTLE: {"POST": self.settle},
            ADJUST: {"POST": self.adjust},
        }

    async def organization_limits(self, request: Request) -> Response:
        """Show an organization's own limits."""
        caller = await self._asking.caller(request)
        limits = await self._books.organization_limits(caller, request.path_params["organization_id"])
        return JSONResponse(limits_json(limits))

    async def limit_organization(self, request: Request) -> Response:
        """Change an organization's own limits."""
        caller, body = await self._asking.asked(request, LimitsBody)
        limits = await self._books.limit_organization(caller, request.path_params["organization_id"], changes_of(body))
        return JSONResponse(limits_json(limits))

    async def key_limits(self, request: Request) -> Response:
        """Show a key's own limits."""
        caller = await self._asking.caller(request)
        return JSONResponse(limits_json(await self._books.key_limits(caller, request.path_params["key_id"])))

    async def limit_key(self, request: Request) -> Response:
        """Change a key's own limits."""
        caller, body = await self._asking.asked(request, LimitsBody)
        limits = await self._books.limit_key(caller, request.path_params["key_id"], changes_of(body))
        return JSONResponse(limits_json(limits))

    async def list_pictures(self, request: Request) -> Response:
        """List the pictures in the ledger."""
        caller = await self._asking.caller(request)
        query = Query(request.query_params, ("organization_id", "state"))
        page = await self._books.pictures(
            caller,
            organization_id=query.text("organization_id"),
            states=_states(query.text("state")),
            after=query.place(),
            limit=query.limit,
        )
        return page_response(page, hold_json, by_age)

    async def show_picture(self, request: Request) -> Response:
        """Show a picture in the ledger with its postings."""
        caller = await self._asking.caller(request)
        return JSONResponse(picture_json(await self._books.picture(caller, request.path_params["picture_id"])))

    async def settle(self, request: Request) -> Response:
        """Say what became of a picture whose outcome is not known."""
        caller, body = await self._asking.asked(request, SettlementBody)
        settled = await self._books.settle(caller, request.path_params["picture_id"], charged=body.charged)
        return JSONResponse(picture_json(settled))

    async def settle_all(self, request: Request) -> Response:
        """Say what became of all pictures whose outcome has not been known for so long."""
        caller, body = await self._asking.asked(request, SettlementsBody)
        settled, left = await self._books.settle_all(
            caller,
            charged=body.charged,
            older_than=timedelta(seconds=body.older_than_seconds),
            organization_id=body.organization_id,
        )
        return JSONResponse({"settled": [hold_json(each) for each in settled], "left": left})

    async def adjust(self, request: Request) -> Response:
        """Correct what a picture cost."""
        caller, body = await self._asking.asked(request, AdjustmentBody)
        found = await self._books.adjust(caller, request.path_params["picture_id"], **adjustment_of(body))
        return JSONResponse(picture_json(found))


def _states(text: str | None) -> tuple[HoldState, ...]:
    if text is None:
        return ()
    if text not in STATES:
        raise InvalidFieldValue(f"state must be one of {', '.join(STATES)}", details={"field": "state"})
    return (text,)
