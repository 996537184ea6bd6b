"""Where objects lie, as the settings say it."""

from __future__ import annotations

from dataclasses import dataclass, field
from pathlib import Path


@dataclass(frozen=True, kw_only=True, slots=True)
class FolderPlace:
    """A folder, which is made when the first object comes."""

    folder: Path


@dataclass(frozen=True, kw_only=True, slots=True)
class BucketPlace:
    """A bucket that speaks S3; what is ``None`` is found by the library's own rules, as an instance's role is.

    Attributes
    ----------
    prefix
        Begins every object's name; may be empty.
    endpoint
        Of another service than Amazon's: scheme, host and port.
    """

    bucket: str
    prefix: str = ""
    endpoint: str | None = None
    region: str | None = None
    access_key_id: str | None = field(default=None, repr=False)
    secret_access_key: str | None = field(default=None, repr=False)
    session_token: str | None = field(default=None, repr=False)
