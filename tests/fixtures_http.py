"""Asking over HTTP, and comparing whole error bodies."""

from __future__ import annotations

import re
import uuid
from dataclasses import dataclass, field
from datetime import UTC, datetime
from http.client import HTTPConnection
from typing import TYPE_CHECKING, Any

import httpx2

from fixtures_server import ORGANIZATION, PATH

if TYPE_CHECKING:
    from collections.abc import Mapping

TIMESTAMP = re.compile(r"\d{4}-\d\d-\d\dT\d\d:\d\d:\d\dZ")
NOW_WITHIN_S = 600


@dataclass(frozen=True, kw_only=True)
class Refusal:
    """What an error body must say, all of it; ``system_message`` is the message unless given."""

    status: int
    code: str
    message: str
    details: Mapping[str, Any] | None = None
    system_message: str | None = None
    type: str = "client_error"

    def body(self, trace_id: str, timestamp: str) -> dict[str, Any]:
        """Return the whole body."""
        return {
            "success": False,
            "error": {
                "code": self.code,
                "message": self.message,
                "type": self.type,
                "status": self.status,
                **({} if self.details is None else {"details": dict(self.details)}),
                "system_message": self.system_message or self.message,
                "trace_id": trace_id,
                "timestamp": timestamp,
            },
        }


@dataclass(frozen=True, kw_only=True)
class Form:
    """The fields and files of a request."""

    fields: Mapping[str, str] = field(default_factory=dict)
    files: Mapping[str, bytes] = field(default_factory=dict)

    def but(self, *without: str, **changes: str | bytes) -> Form:
        """Return the form with other values, and without some."""
        merged = {**self.fields, **self.files, **changes}
        kept = {name: value for name, value in merged.items() if name not in without}
        return Form(
            fields={name: value for name, value in kept.items() if isinstance(value, str)},
            files={name: value for name, value in kept.items() if isinstance(value, bytes)},
        )


def ask(
    url: str, form: Form, *, key: str | None, headers: Mapping[str, str] | None = None, timeout_s: float = 60
) -> httpx2.Response:
    """Send the form."""
    sent = {**({} if key is None else {"X-API-Key": key}), **(headers or {})}
    files = [(name, ("photo", data)) for name, data in form.files.items()]
    return httpx2.post(url + PATH, headers=sent, data=dict(form.fields), files=files or None, timeout=timeout_s)


def send(url: str, form: Form, *, key: str, headers: Mapping[str, str] | None = None) -> HTTPConnection:
    """Send the form and do not wait for the answer; the connection is the caller's to close."""
    files = [(name, ("photo", data)) for name, data in form.files.items()]
    sent = {"X-API-Key": key, **(headers or {})}
    request = httpx2.Request("POST", url + PATH, headers=sent, data=dict(form.fields), files=files)
    connection = HTTPConnection(request.url.host, request.url.port, timeout=60)
    connection.request("POST", PATH, body=request.read(), headers=dict(request.headers))
    return connection


def check_refusal(status: int, headers: Mapping[str, str], body: Any, expected: Refusal) -> None:
    """Compare the whole body, and the headers that every error has."""
    error = body["error"]
    assert body == expected.body(error["trace_id"], error["timestamp"])
    assert str(uuid.UUID(error["trace_id"])) == error["trace_id"]
    assert TIMESTAMP.fullmatch(error["timestamp"])
    age = datetime.now(UTC) - datetime.fromisoformat(error["timestamp"])
    assert abs(age.total_seconds()) < NOW_WITHIN_S
    assert status == expected.status
    assert headers["content-type"] == "application/json"
    assert headers["cache-control"] == "no-store"
    assert headers["x-content-type-options"] == "nosniff"
    assert headers["x-request-id"]


def check(response: httpx2.Response, expected: Refusal) -> None:
    """Compare an answer with what it must say."""
    check_refusal(response.status_code, response.headers, response.json(), expected)


def clipdrop_form(photo: bytes) -> Form:
    """Return a legal request to Clipdrop."""
    return Form(
        fields={"provider": "clipdrop", "organization_id": ORGANIZATION, "extend_left": "16"},
        files={"image_file": photo},
    )


def openai_form(photo: bytes, mask: bytes) -> Form:
    """Return a legal request to OpenAI."""
    return Form(
        fields={"provider": "openai", "organization_id": ORGANIZATION},
        files={"image_file": photo, "mask_file": mask},
    )
