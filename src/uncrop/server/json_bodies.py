"""Bodies in JSON, read strictly: what is not asked for is refused, and so is what could be read in two ways."""

from __future__ import annotations

import json
from contextlib import aclosing
from dataclasses import replace
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Annotated, Any, TypeVar

import pydantic
from pydantic import BaseModel, ConfigDict, Field
from starlette.requests import Request

from uncrop.errors import ValidationError
from uncrop.server.fields import IS_REQUIRED
from uncrop.server.form import chunks

if TYPE_CHECKING:
    from collections.abc import Sequence

    from uncrop.capacity.bodies import Share
    from uncrop.server.form import BodyLimits

B = TypeVar("B", bound="Body")

MAX_BYTES = 16_384
LONGEST_TEXT = 2000
DEFAULT_OVERLAP_S = 24 * 3600
_MOST_SECONDS = 10**9
_SAID = {
    "missing": IS_REQUIRED,
    "extra_forbidden": "is not known",
    "string_type": "must be a text",
    "string_too_long": f"must have at most {LONGEST_TEXT} characters",
    "int_type": "must be a whole number",
    "bool_type": "must be true or false",
    "list_type": "must be a list",
    "too_long": "has too many entries",
}

Text = Annotated[str, Field(max_length=LONGEST_TEXT)]


class Body(BaseModel):
    """The fields of a body: each of exactly its type, and no other."""

    model_config = ConfigDict(extra="forbid", strict=True, frozen=True)


class OrganizationBody(Body):
    """An organization that is to be made."""

    id: Text | None = Field(default=None, description="Its id, `org_…`; one is drawn if absent.")
    name: Text | None = Field(default=None, description="Who it is, for people.")


class OrganizationChanges(Body):
    """What is to be changed of an organization; what is absent, or null, stays."""

    name: Text | None = Field(default=None, description="Who it is, for people.")
    may_use_server_keys: bool | None = Field(
        default=None, description="Whether it may use the server's keys of providers of which it has none itself."
    )


class ProviderKeyBody(Body):
    """A key of a provider."""

    key: Text = Field(description="The key; it is kept encrypted, and never told again.")


class ApiKeyBody(Body):
    """A key that is to be made."""

    organization_id: Text = Field(description="Whose it is; the organization must be there.")
    name: Text | None = Field(default=None, description="What it is for.")
    scopes: Annotated[list[Text], Field(max_length=10)] | None = Field(
        default=None, description="What it may be used for: `images:write`, `usage:read`; both when absent."
    )
    expires_at: Text | None = Field(
        default=None, description="When it ends, as `2027-01-31T12:00:00Z`; it does not when absent."
    )


_Limit = Annotated[int, Field(ge=0)] | None


class LimitsBody(Body):
    """Limits that are to be changed: what is absent stays, null is the default, 0 is no limit."""

    requests_per_minute: _Limit = Field(default=None, description="Requests in any 60 seconds.")
    requests_at_once: _Limit = Field(
        default=None, description="Requests that are worked on or wait at once, in each server process."
    )
    pictures_per_day: _Limit = Field(default=None, description="Pictures of a UTC day.")
    usd_per_month: Text | None = Field(
        default=None, description="Money of a UTC month, in US dollars, as a decimal number in a text: `12.50`."
    )
    providers: Annotated[list[Text], Field(min_length=1, max_length=100)] | None = Field(
        default=None, description="The only providers that may be asked; null for all."
    )


class SettlementBody(Body):
    """What became of a picture whose outcome was not known."""

    charged: bool = Field(description="Whether the provider has billed what was sent.")


class SettlementsBody(SettlementBody):
    """What became of all pictures whose outcome has not been known for so long."""

    older_than_seconds: Annotated[int, Field(ge=0, le=_MOST_SECONDS)] = Field(
        description="Of those alone whose last call was sent so long ago."
    )
    organization_id: Text | None = Field(default=None, description="Of this organization alone; of all when absent.")


class AdjustmentBody(Body):
    """What a picture that has ended cost in all, in one of the two units."""

    reason: Text = Field(description="Why, for the audit log: 1 to 200 characters.")
    usd: Text | None = Field(default=None, description="In US dollars, as a decimal number in a text: `0.03`.")
    credits: Text | None = Field(default=None, description="In the provider's credits, likewise.")


class RotationBody(Body):
    """How a key is to be replaced."""

    overlap_seconds: Annotated[int, Field(ge=0, le=_MOST_SECONDS)] = Field(
        default=DEFAULT_OVERLAP_S, description="For how long the old key goes on working."
    )
    expires_at: Text | None = Field(
        default=None, description="When the new key ends; after as long as the old one was made for, when absent."
    )


_Events = Annotated[list[Text], Field(min_length=1, max_length=10)] | None
_EVENTS = "Of what it is told: `job.done`, `job.failed`, `job.cancelled`, `job.unknown`"
_SIGNED_WITH = "What messages are signed with: `whsec_` and 24 to 64 bytes in base64; one is drawn if absent."


class WebhookBody(Body):
    """A webhook that is to be made."""

    organization_id: Text | None = Field(default=None, description="Whose it is; your own organization's when absent.")
    url: Text = Field(description="Where messages are sent: an https address of the internet.")
    description: Text | None = Field(default=None, description="What it is for.")
    events: _Events = Field(default=None, description=f"{_EVENTS}; all when absent.")
    secret: Text | None = Field(default=None, description=_SIGNED_WITH)


class WebhookChangesBody(Body):
    """What is to be changed of a webhook; what is absent, or null, stays."""

    url: Text | None = Field(default=None, description="Where messages are sent, also those that wait.")
    description: Text | None = Field(default=None, description="What it is for; an empty text for none.")
    events: _Events = Field(default=None, description=f"{_EVENTS}.")
    enabled: bool | None = Field(default=None, description="Whether messages are sent.")


class SecretRotationBody(Body):
    """How a webhook's secret is to be replaced."""

    overlap_seconds: Annotated[int, Field(ge=0, le=_MOST_SECONDS)] = Field(
        default=DEFAULT_OVERLAP_S, description="For how long messages are signed with the old secret too."
    )
    secret: Text | None = Field(default=None, description=_SIGNED_WITH)


async def read_body(kind: type[B], request: Request, limits: BodyLimits, share: Share, *, optional: bool = False) -> B:
    """Read a request's body.

    Parameters
    ----------
    kind
        What it must be.
    request
        The request.
    limits
        In which time it must arrive.
    share
        Its part of the memory that all bodies share.
    optional
        Whether there may be none, which counts as one without fields.

    Raises
    ------
    ValidationError
        It is compressed, or no JSON object of these fields.
    RequestTooLarge, RequestTimeout, ServerBusy, ClientDisconnect
        As for forms.
    """
    if request.headers.get("content-encoding", "identity").strip().lower() not in {"identity", ""}:
        raise ValidationError("The request body must not be compressed")
    received = bytearray()
    async with aclosing(chunks(request.receive, replace(limits, max_bytes=MAX_BYTES), share)) as stream:
        async for chunk in stream:
            received += chunk
    if not received and optional:
        return kind()
    media_type = request.headers.get("content-type", "").partition(";")[0].strip().lower()
    if media_type != "application/json":
        raise ValidationError("The request body must be application/json")
    return _checked(kind, _parsed(bytes(received)))


def _parsed(received: bytes) -> Any:
    """Read JSON that can be read in one way alone.

    Raises
    ------
    ValidationError
    """
    try:
        return json.loads(received.decode(), object_pairs_hook=_each_once, parse_constant=_no_number)
    except (ValueError, RecursionError) as error:
        raise ValidationError("The request body is not valid JSON") from error


def _each_once(pairs: Sequence[tuple[str, Any]]) -> dict[str, Any]:
    found = dict(pairs)
    if len(found) < len(pairs):
        raise ValueError("a name stands there twice")
    return found


def _no_number(name: str) -> None:
    raise ValueError(f"{name} is no number of JSON")


def _checked(kind: type[B], found: Any) -> B:
    """Check the fields.

    Raises
    ------
    ValidationError
        ``details.fields`` says of each what is wrong; what was sent is not repeated, as it may be a secret.
    """
    if not isinstance(found, dict):
        raise ValidationError("The request body must be a JSON object")
    try:
        return kind.model_validate(found)
    except pydantic.ValidationError as error:
        fields = {str(each["loc"][0])[:100]: _SAID.get(each["type"], "is not valid") for each in error.errors()}
        raise wrong_fields(fields) from error


def wrong_fields(fields: dict[str, str]) -> ValidationError:
    """Return the error that says of each field what is wrong."""
    said = "; ".join(f"{name} {what}" for name, what in fields.items())
    # What was sent as a name may be anything, a key that slipped in among it, and is not for the log.
    return ValidationError(said, details={"fields": fields}, system_message="Fields are not known or not valid")


def moment_of(text: str | None, field: str) -> datetime | None:
    """Read a moment in ISO 8601; without a time zone it is UTC.

    Raises
    ------
    ValidationError
    """
    if text is None:
        return None
    try:
        moment = datetime.fromisoformat(text)
        return moment.replace(tzinfo=UTC) if moment.tzinfo is None else moment.astimezone(UTC)
    except (ValueError, OverflowError) as error:
        raise wrong_fields({field: "must be a date or a time in ISO 8601"}) from error
