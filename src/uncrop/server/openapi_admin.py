"""Organizations, keys, usage and the audit log in the OpenAPI document."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, get_args

from uncrop.model import ORGANIZATION_ID, SCOPES
from uncrop.model.ledger import Account, PostingKind
from uncrop.providers.registry import NAMES
from uncrop.server import admin_routes as at
from uncrop.server import books_routes as books
from uncrop.server.json_bodies import (
    AdjustmentBody,
    ApiKeyBody,
    LimitsBody,
    OrganizationBody,
    OrganizationChanges,
    ProviderKeyBody,
    RotationBody,
    SettlementBody,
    SettlementsBody,
)
from uncrop.server.openapi_operations import (
    COUNT,
    MOMENT,
    TEXT,
    Json,
    answers,
    body_of,
    in_path,
    in_query,
    list_of,
    sent,
)
from uncrop.server.openapi_picture import whole_object
from uncrop.service.bookkeeping import MOST_SETTLED
from uncrop.store.api_key import KeyState

if TYPE_CHECKING:
    from uncrop.server.json_bodies import Body

_FLAG: Json = {"type": "boolean"}
_ORGANIZATION: Json = {"type": "string", "pattern": f"^{ORGANIZATION_ID.pattern}$"}
_OWN = "Needs the scope `usage:read`, and then shows what is the key's own organization's alone, or `admin`, for all."
_OPERATORS = "Needs the scope `admin`."
_ALIKE = " What is another organization's is answered like what is not there."
_PLACES = {
    "organization_id": ("The organization's id.", "org_123abc"),
    "provider": ("The provider's name.", NAMES[0]),
    "key_id": ("The key's id.", "Zf3kQ9xT2b"),
    "picture_id": ("The picture's id in the ledger.", "0199d0d0d0d05f0c1e2d3b4a59687716"),
}
BODIES: tuple[type[Body], ...] = (
    OrganizationBody,
    OrganizationChanges,
    ProviderKeyBody,
    ApiKeyBody,
    RotationBody,
    LimitsBody,
    SettlementBody,
    SettlementsBody,
    AdjustmentBody,
)


@dataclass(frozen=True, kw_only=True)
class _Operation:
    """One operation; ``answer`` is a schema's name, a list of which the pages are of if ``paged``."""

    method: str
    path: str
    name: str
    summary: str
    answer: str
    status: int = 200
    body: type[Body] | None = None
    query: tuple[str, ...] = ()
    listed: bool = False


_OPERATIONS = (
    _Operation(
        method="get",
        path=at.ORGANIZATIONS,
        name="listOrganizations",
        summary="Organizations, oldest first",
        answer="Organization",
        query=("limit", "cursor"),
        listed=True,
    ),
    _Operation(
        method="post",
        path=at.ORGANIZATIONS,
        name="createOrganization",
        summary="Make an organization",
        answer="Organization",
        status=201,
        body=OrganizationBody,
    ),
    _Operation(
        method="get", path=at.ORGANIZATION, name="getOrganization", summary="An organization", answer="Organization"
    ),
    _Operation(
        method="patch",
        path=at.ORGANIZATION,
        name="changeOrganization",
        summary="Change an organization",
        answer="Organization",
        body=OrganizationChanges,
    ),
    _Operation(
        method="get",
        path=at.PROVIDER_KEYS,
        name="listProviderKeys",
        summary="The keys of providers that are an organization's own",
        answer="ProviderKey",
        listed=True,
    ),
    _Operation(
        method="put",
        path=at.PROVIDER_KEY,
        name="putProviderKey",
        summary="Keep an organization's own key of a provider",
        answer="ProviderKey",
        body=ProviderKeyBody,
        listed=True,
    ),
    _Operation(
        method="delete",
        path=at.PROVIDER_KEY,
        name="removeProviderKey",
        summary="Forget an organization's own key of a provider",
        answer="ProviderKey",
        listed=True,
    ),
    _Operation(
        method="get",
        path=at.API_KEYS,
        name="listApiKeys",
        summary="Keys, oldest first",
        answer="ApiKey",
        query=("organization_id", "limit", "cursor"),
        listed=True,
    ),
    _Operation(
        method="post",
        path=at.API_KEYS,
        name="createApiKey",
        summary="Make a key, which is told this once",
        answer="NewApiKey",
        status=201,
        body=ApiKeyBody,
    ),
    _Operation(method="get", path=at.API_KEY, name="getApiKey", summary="A key", answer="ApiKey"),
    _Operation(
        method="post",
        path=at.ROTATE,
        name="rotateApiKey",
        summary="Make a key in the place of another, which is told this once",
        answer="NewApiKey",
        status=201,
        body=RotationBody,
    ),
    _Operation(
        method="post", path=at.PAUSE, name="pauseApiKey", summary="Refuse a key until it is resumed", answer="ApiKey"
    ),
    _Operation(method="post", path=at.RESUME, name="resumeApiKey", summary="Take a paused key again", answer="ApiKey"),
    _Operation(method="post", path=at.REVOKE, name="revokeApiKey", summary="Refuse a key for good", answer="ApiKey"),
    _Operation(
        method="get",
        path=at.USAGE,
        name="listUsage",
        summary="What was spent, by UTC day and provider, oldest first",
        answer="DayOfUsage",
        query=("organization_id", "since", "until", "limit", "cursor"),
        listed=True,
    ),
    _Operation(
        method="get",
        path=books.ORGANIZATION_LIMITS,
        name="getOrganizationLimits",
        summary="An organization's own limits",
        answer="Limits",
    ),
    _Operation(
        method="patch",
        path=books.ORGANIZATION_LIMITS,
        name="limitOrganization",
        summary="Change an organization's own limits",
        answer="Limits",
        body=LimitsBody,
    ),
    _Operation(
        method="get",
        path=books.KEY_LIMITS,
        name="getApiKeyLimits",
        summary="A key's own limits, which count beside its organization's",
        answer="Limits",
    ),
    _Operation(
        method="patch",
        path=books.KEY_LIMITS,
        name="limitApiKey",
        summary="Change a key's own limits",
        answer="Limits",
        body=LimitsBody,
    ),
    _Operation(
        method="get",
        path=books.LEDGER,
        name="listLedger",
        summary="Pictures in the ledger, the latest first",
        answer="LedgerPicture",
        query=("organization_id", "state", "limit", "cursor"),
        listed=True,
    ),
    _Operation(
        method="get",
        path=books.PICTURE,
        name="getLedgerPicture",
        summary="A picture in the ledger, with all that was posted to it",
        answer="LedgerPictureWithPostings",
    ),
    _Operation(
        method="post",
        path=books.SETTLE,
        name="settleLedgerPicture",
        summary="Say what became of a picture whose outcome is not known",
        answer="LedgerPictureWithPostings",
        body=SettlementBody,
    ),
    _Operation(
        method="post",
        path=books.ADJUST,
        name="adjustLedgerPicture",
        summary="Correct what a picture that has ended cost, by one more posting",
        answer="LedgerPictureWithPostings",
        body=AdjustmentBody,
    ),
    _Operation(
        method="post",
        path=books.SETTLE_ALL,
        name="settleLedger",
        summary="Say what became of all pictures whose outcome has not been known for so long",
        answer="Settlements",
        body=SettlementsBody,
    ),
    _Operation(
        method="get",
        path=at.AUDIT,
        name="listAudit",
        summary="What was done to organizations and keys, newest first",
        answer="AuditEntry",
        query=("organization_id", "since", "limit", "cursor"),
        listed=True,
    ),
)


def admin_paths(parameters: list[Json]) -> Json:
    """Return the paths; ``parameters`` are those that every operation takes."""
    paths: Json = {}
    for operation in _OPERATIONS:
        paths.setdefault(operation.path, {})[operation.method] = _described(operation, parameters)
    return paths


def admin_schemas() -> Json:
    """Return the schemas of what is sent and told."""
    told = {
        "Organization": _organization(),
        "ApiKey": _api_key(),
        "NewApiKey": _new_api_key(),
        "ProviderKey": _provider_key(),
        "DayOfUsage": _day_of_usage(),
        "AuditEntry": _audit_entry(),
        "Limits": _limits(),
        "LedgerPicture": whole_object(_ledger_picture()),
        "LedgerPictureWithPostings": _with_postings(),
        "Settlements": _settlements(),
    }
    lists = {f"{operation.answer}List": list_of(operation.answer) for operation in _OPERATIONS if operation.listed}
    return {**told, **lists, **{body.__name__: sent(body) for body in BODIES}}


def _described(operation: _Operation, parameters: list[Json]) -> Json:
    operators = operation.method != "get" or operation.path == at.AUDIT
    placed = [in_path(name, _PLACES) for name in _PLACES if f"{{{name}}}" in operation.path]
    asked = [in_query(name, states=books.STATES) for name in operation.query]
    schema = f"{operation.answer}List" if operation.listed else operation.answer
    body = operation.body
    found = bool(placed) or "organization_id" in operation.query or body is SettlementsBody
    described: Json = {
        "tags": ["administration"],
        "operationId": operation.name,
        "summary": operation.summary,
        "description": (_OPERATORS if operators else _OWN) + (_ALIKE if found else ""),
        "security": [{"XApiKey": []}, {"ApiKey": []}, {"Bearer": []}],
        "parameters": [*placed, *asked, *parameters],
        "responses": answers(operation.summary, operation.status, schema, has_body=body is not None, found=found),
    }
    if body is not None:
        described["requestBody"] = body_of(body, required=body is not RotationBody)
    return described


def _or_null(schema: Json) -> Json:
    return {**schema, "type": [schema["type"], "null"]}


def _organization() -> Json:
    return whole_object(
        {"id": _ORGANIZATION, "name": _or_null(TEXT), "may_use_server_keys": _FLAG, "created_at": MOMENT}
    )


def _api_key() -> Json:
    return whole_object(
        {
            "id": TEXT,
            "organization_id": _ORGANIZATION,
            "name": _or_null(TEXT),
            "prefix": {**TEXT, "description": "How the key begins."},
            "scopes": {"type": "array", "items": {"type": "string", "enum": list(SCOPES)}},
            "state": {"type": "string", "enum": list(get_args(KeyState))},
            "created_at": MOMENT,
            "expires_at": _or_null(MOMENT),
            "last_used_at": {**_or_null(MOMENT), "description": "To the minute."},
            "replaced_by": {**_or_null(TEXT), "description": "The key that a rotation has put in its place."},
        }
    )


def _new_api_key() -> Json:
    key = {**TEXT, "description": "The key. Nobody can find it out later."}
    return whole_object({"id": TEXT, "organization_id": _ORGANIZATION, "key": key})


def _provider_key() -> Json:
    return whole_object(
        {
            "provider": TEXT,
            "last4": {**TEXT, "description": "The key's last four characters; empty where it is short."},
            "created_at": MOMENT,
            "usable": {**_FLAG, "description": "Whether this server can decrypt it."},
        }
    )


def _day_of_usage() -> Json:
    return whole_object(
        {
            "day": {"type": "string", "format": "date"},
            "provider": TEXT,
            "pictures": {**COUNT, "description": "That were made."},
            "failed": {**COUNT, "description": "That were not."},
            "open": {**COUNT, "description": "That are being made."},
            "unknown": {**COUNT, "description": "Of which it is not known what became of a call that was sent."},
            "credits": {**TEXT, "description": "A decimal number."},
            "input_tokens": COUNT,
            "output_tokens": COUNT,
            "usd": {**TEXT, "description": "US dollars, as a decimal number, as far as prices are known."},
        }
    )


def _audit_entry() -> Json:
    value: Json = {"type": ["string", "integer", "boolean", "null"]}
    changes = {
        "type": "object",
        "additionalProperties": whole_object({"from": value, "to": value}),
        "description": "For each field, what it was and what it became; never a secret.",
    }
    return whole_object(
        {
            "id": COUNT,
            "at": MOMENT,
            "actor": {**TEXT, "description": "A key's id, or `command line`."},
            "action": TEXT,
            "organization_id": _or_null(TEXT),
            "target": TEXT,
            "changes": changes,
        }
    )


def _limits() -> Json:
    count: Json = {"type": ["integer", "null"], "minimum": 0}
    return whole_object(
        {
            "requests_per_minute": count,
            "requests_at_once": count,
            "pictures_per_day": count,
            "usd_per_month": {**_or_null(TEXT), "description": "A decimal number."},
            "providers": {"type": ["array", "null"], "items": TEXT},
        }
    )


def _ledger_picture() -> Json:
    return {
        "id": TEXT,
        "organization_id": _ORGANIZATION,
        "key_id": _or_null(TEXT),
        "provider": TEXT,
        "model": _or_null(TEXT),
        "state": {
            "type": "string",
            "enum": list(books.STATES),
            "description": "`unknown`: a call was sent, and what became of it is not known.",
        },
        "calls_planned": COUNT,
        "calls_sent": COUNT,
        "calls_settled": COUNT,
        "created_at": MOMENT,
        "sent_at": _or_null(MOMENT),
        "settled_at": _or_null(MOMENT),
    }


def _settlements() -> Json:
    pictures: Json = {"type": "array", "items": {"$ref": "#/components/schemas/LedgerPicture"}}
    return whole_object(
        {
            "settled": {**pictures, "description": f"At most {MOST_SETTLED}, the oldest first."},
            "left": {**COUNT, "description": "How many more there are; ask again for them."},
        }
    )


def _with_postings() -> Json:
    account: Json = {"type": "string", "enum": list(get_args(Account))}
    posting = whole_object(
        {
            "kind": {"type": "string", "enum": list(get_args(PostingKind))},
            "unit": TEXT,
            "source": account,
            "target": account,
            "amount": {**COUNT, "description": "Whole numbers of the unit."},
            "call": {"type": ["integer", "null"], "minimum": 0, "description": "Which call cost it, from 0."},
        }
    )
    return whole_object({**_ledger_picture(), "postings": {"type": "array", "items": posting}})
