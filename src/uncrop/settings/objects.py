"""Where results are kept, and the variables that all programs share for a bucket: keys, region, address.

``AWS_ACCESS_KEY_ID``, ``AWS_SECRET_ACCESS_KEY``, ``AWS_SESSION_TOKEN``, ``AWS_REGION`` or ``AWS_DEFAULT_REGION``, and
``AWS_ENDPOINT_URL_S3`` or ``AWS_ENDPOINT_URL`` for another service than Amazon's. Where no keys are set, the role of
the machine counts.
"""

from __future__ import annotations

import os
import re
from typing import TYPE_CHECKING

from uncrop.objects.place import BucketPlace, FolderPlace

if TYPE_CHECKING:
    from pathlib import Path

_BUCKET = re.compile(r"s3://(?P<bucket>[a-z0-9][a-z0-9.-]{1,61}[a-z0-9])(?:/(?P<prefix>[\w!.*'()/-]*))?", re.ASCII)
_ENDPOINT = re.compile(r"https?://[^\s/?#@]+/?")


def check_objects_url(url: str) -> None:
    """Refuse what names no bucket.

    Raises
    ------
    ValueError
    """
    if url and not _BUCKET.fullmatch(url):
        raise ValueError("must be s3://bucket or s3://bucket/prefix, in characters that need no escaping")


def read_place(url: str, folder: Path) -> FolderPlace | BucketPlace:
    """Return where results are kept: in the bucket of the address, or, where there is none, in the folder.

    Raises
    ------
    ValueError
        The environment names half of a pair of keys, or an address that is none.
    """
    found = _BUCKET.fullmatch(url)
    if found is None:
        return FolderPlace(folder=folder)
    key_id, secret = _value("AWS_ACCESS_KEY_ID"), _value("AWS_SECRET_ACCESS_KEY")
    if (key_id is None) != (secret is None):
        raise ValueError("AWS_ACCESS_KEY_ID and AWS_SECRET_ACCESS_KEY: one is set, the other is missing")
    endpoint = _value("AWS_ENDPOINT_URL_S3", "AWS_ENDPOINT_URL")
    if endpoint is not None and not _ENDPOINT.fullmatch(endpoint):
        raise ValueError("AWS_ENDPOINT_URL: must be http:// or https:// and a host, without a path")
    return BucketPlace(
        bucket=found["bucket"],
        prefix=(found["prefix"] or "").strip("/"),
        endpoint=endpoint,
        region=_value("AWS_REGION", "AWS_DEFAULT_REGION"),
        access_key_id=key_id,
        secret_access_key=secret,
        session_token=_value("AWS_SESSION_TOKEN"),
    )


def _value(*names: str) -> str | None:
    return next((value for name in names if (value := os.environ.get(name))), None)
