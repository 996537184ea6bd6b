"""Signatures, by the library that receivers use, and everything that it must refuse."""

from __future__ import annotations

import base64
import hashlib
import hmac
import json
from datetime import UTC, datetime, timedelta
from typing import TYPE_CHECKING

import pytest
from standardwebhooks.webhooks import Webhook, WebhookVerificationError

from uncrop.errors import InvalidFieldValue
from uncrop.webhooks.signing import check_secret, new_secret, signed_headers

if TYPE_CHECKING:
    from fixtures_torture import Cases

MESSAGE = "msg_0199d0d0d0d05f0c1e2d3b4a59687716"
BODY = '{"type":"job.done","data":{"id":"job_ä"}}'
SECRET, OLD, OTHER = new_secret(), new_secret(), new_secret()


def headers(*secrets: str, message: str = MESSAGE, age_s: float = 0, body: str = BODY) -> dict[str, str]:
    return signed_headers(message, datetime.now(UTC) - timedelta(seconds=age_s), body, secrets or (SECRET,))


def accepts(secret: str, sent: dict[str, str], body: str | bytes = BODY) -> bool:
    try:
        told = Webhook(secret).verify(body, sent)
    except (WebhookVerificationError, ValueError):
        return False
    assert told == json.loads(body)
    return True


def test_a_receiver_knows_a_message_by_its_secret(cases: Cases) -> None:
    brought = [f"whsec_{base64.b64encode(bytes(range(length))).decode()}" for length in (24, 32, 63, 64)]
    good = [
        *((secret, headers(secret)) for secret in (SECRET, *brought)),
        (SECRET, headers(SECRET, OLD)),
        (OLD, headers(SECRET, OLD)),  # a receiver that has not heard of the rotation
        *((SECRET, headers(age_s=age)) for age in (-290, 290)),
        (SECRET, headers(message="msg_with.a.dot")),
        (SECRET, {name.upper(): value for name, value in headers().items()}),
    ]
    assert [accepts(secret, sent) for secret, sent in good] == [True] * len(good)
    assert accepts(SECRET, headers(), BODY.encode())
    cases.ran(len(good) + 1)


def test_the_signature_is_that_of_the_standard() -> None:
    at = datetime(2026, 11, 27, 12, tzinfo=UTC)
    sent = signed_headers(MESSAGE, at, BODY, [SECRET])
    signed = f"{MESSAGE}.{int(at.timestamp())}.{BODY}".encode()
    key = base64.b64decode(SECRET.removeprefix("whsec_"))
    signature = base64.b64encode(hmac.digest(key, signed, hashlib.sha256)).decode()
    assert sent == {
        "webhook-id": MESSAGE,
        "webhook-timestamp": str(int(at.timestamp())),
        "webhook-signature": f"v1,{signature}",
    }


def test_nothing_else_is_taken_for_one(cases: Cases) -> None:
    sent = headers()
    signature, timestamp = sent["webhook-signature"], sent["webhook-timestamp"]
    changed = [
        *({**sent, "webhook-signature": each} for each in _broken(signature)),
        *({**sent, "webhook-id": each} for each in (f"{MESSAGE}.", MESSAGE[:-1], MESSAGE.upper(), f"x{MESSAGE}", " ")),
        *(
            {**sent, "webhook-timestamp": each}
            for each in (str(int(timestamp) + 1), str(int(timestamp) - 1), "0", "x", "")
        ),
        *({name: value for name, value in sent.items() if name != missing} for missing in sent),
        headers(age_s=301),
        headers(age_s=-301),
        headers(OTHER),
        headers(OLD, OTHER),
        # The dots that part id, moment and body could be moved.
        {**headers(message=f"{MESSAGE}.{timestamp}"), "webhook-id": MESSAGE},
    ]
    refused = [accepts(SECRET, each) for each in changed]
    bodies = [
        BODY + " ",
        BODY[:-1],
        BODY.replace("done", "fail"),
        "",
        "{}",
        BODY.replace(":", ": "),
        BODY.encode() + b"\n",
    ]
    refused += [accepts(SECRET, sent, body) for body in bodies]
    refused += [accepts(secret, headers(SECRET, OLD)) for secret in (OTHER, SECRET[:-4] + "AAA=", OLD.swapcase())]
    assert len(refused) >= 40
    assert not any(refused)
    cases.ran(len(refused))


def _broken(signature: str) -> list[str]:
    version, _, text = signature.partition(",")
    raw = base64.b64decode(text)
    flipped = base64.b64encode(bytes([raw[0] ^ 1, *raw[1:]])).decode()
    return [
        f"{version},{flipped}",
        f"{version},{base64.b64encode(raw[:-1]).decode()}",
        f"{version},{base64.b64encode(raw[::-1]).decode()}",
        f"{version},{text.swapcase()}",
        f"v2,{text}",
        f"v1a,{text}",
        f"{version},",
        f"{version},{'A' * 44}",
        f"{version},{raw.hex()}",
        text,
        "",
        ",",
        f"v0,{text} v2,{text}",
        f"{version}.{text}",
    ]


@pytest.mark.parametrize("length", [24, 32, 64])
def test_secrets_that_are_brought_along(length: int) -> None:
    secret = f"whsec_{base64.b64encode(bytes(length)).decode()}"
    assert check_secret(secret) == secret


@pytest.mark.parametrize(
    "secret",
    [
        *("", "whsec_", "whsec_AAAA", "secret", "whsec_" + "A" * 31, "whsec_" + "ä" * 32, "whsec_" + "A" * 32 + "\n"),
        base64.b64encode(bytes(32)).decode(),
        f"whsec_{base64.b64encode(bytes(23)).decode()}",
        f"whsec_{base64.b64encode(bytes(65)).decode()}",
        f"whsec_{base64.urlsafe_b64encode(b'%' * 32 + bytes([255] * 3)).decode()}",
    ],
)
def test_what_is_no_secret(secret: str) -> None:
    with pytest.raises(InvalidFieldValue, match="24 to 64 bytes in base64") as raised:
        check_secret(secret)
    assert not secret or secret not in raised.value.message or secret == "whsec_" or secret == "secret"


def test_secrets_are_drawn() -> None:
    assert check_secret(new_secret()) != new_secret()
