"""Signatures by Standard Webhooks 1.0.0: HMAC-SHA256 over id, moment and body, under a secret of the organization's."""

from __future__ import annotations

import base64
import binascii
import secrets
from typing import TYPE_CHECKING

from standardwebhooks.webhooks import Webhook as Signer

from uncrop.errors import InvalidFieldValue

if TYPE_CHECKING:
    from collections.abc import Sequence
    from datetime import datetime

PREFIX = "whsec_"
SHORTEST, DRAWN, LONGEST = 24, 32, 64  # bytes of a secret


def new_secret() -> str:
    """Draw a secret."""
    return PREFIX + base64.b64encode(secrets.token_bytes(DRAWN)).decode()


def check_secret(text: str) -> str:
    """Return a secret that a caller brought along.

    Raises
    ------
    InvalidFieldValue
        It is none.
    """
    try:
        length = len(base64.b64decode(text.removeprefix(PREFIX), validate=True)) if text.startswith(PREFIX) else 0
    except (binascii.Error, ValueError):
        length = 0
    if not SHORTEST <= length <= LONGEST:
        said = f"secret must be {PREFIX} and {SHORTEST} to {LONGEST} bytes in base64"
        raise InvalidFieldValue(said, details={"field": "secret"})
    return text


def signed_headers(message_id: str, at: datetime, body: str, secrets_: Sequence[str]) -> dict[str, str]:
    """Return the headers by which a receiver knows a message: its id, the moment, and a signature for each secret.

    Parameters
    ----------
    message_id
        The same however often the message is sent.
    at
        The moment of this attempt, by which a receiver refuses what somebody recorded and sends again.
    body
        Exactly as it is sent.
    secrets_
        The present one first.
    """
    signatures = (Signer(secret).sign(message_id, at, body) for secret in secrets_)
    return {
        "webhook-id": message_id,
        "webhook-timestamp": str(int(at.timestamp())),
        "webhook-signature": " ".join(signatures),
    }
