"""From what a program asks to the form that is sent; the same for both clients."""

from __future__ import annotations

import os
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import IO, TYPE_CHECKING, Any, TypeAlias

import httpx2

from uncrop._version import __version__
from uncrop.model import Sides, form_values

if TYPE_CHECKING:
    from uncrop.model import Options

File: TypeAlias = "bytes | str | os.PathLike[str] | IO[bytes]"
"""A file's bytes, its path, or an open file, which is read to its end."""

ROUTE = "/api/v1/images/uncrop"
QUOTE_ROUTE = f"{ROUTE}/quote"
PROVIDERS_ROUTE = "/api/v1/providers"
MOST_PICTURES = 4  # of one request
_SMALL = frozenset({"confidence_map", "output_format"})  # written small on the wire, as true is


@dataclass(frozen=True, kw_only=True, slots=True)
class Form:
    """The fields and files of one request; files as ``httpx2`` takes them, so that it can be sent again."""

    fields: Mapping[str, str]
    files: Mapping[str, tuple[str | None, bytes]] = field(repr=False)


@dataclass(frozen=True, kw_only=True, slots=True)
class Access:
    """Which server, and who asks."""

    base_url: str
    api_key: str = field(repr=False)
    organization_id: str

    def client_options(self, timeout_s: float) -> dict[str, Any]:
        """Return what either of ``httpx2``'s clients is made with."""
        return {
            "base_url": self.base_url,
            "headers": {"X-API-Key": self.api_key, "User-Agent": f"uncrop-client/{__version__}"},
            "timeout": httpx2.Timeout(timeout_s, connect=10),
        }


def access_of(base_url: str | None, api_key: str | None, organization_id: str | None) -> Access:
    """Fill in from the environment what was not passed.

    Raises
    ------
    ValueError
        Something is neither passed nor set; the message names the variable.
    """
    passed = {"UNCROP_URL": base_url, "UNCROP_KEY": api_key, "UNCROP_ORGANIZATION": organization_id}
    # Not by ``uncrop.settings``: the client is installed without the packages that these need.
    passed = {name: os.environ.get(name) if value is None else value for name, value in passed.items()}
    if missing := [name for name, value in passed.items() if not value]:
        raise ValueError(f"{' and '.join(missing)} must be set, or be passed as arguments")
    url, key, organization = (value or "" for value in passed.values())
    return Access(base_url=url, api_key=key, organization_id=organization)


def picture_form(
    access: Access, image: File | None, provider: str, sides: Sides, mask: File | None, options: Options, **more: Any
) -> Form:
    """Return the form of a picture or of a quote; what is not set is left out."""
    pixels = {"left": sides.left, "right": sides.right, "up": sides.up, "down": sides.down}
    fields = {"provider": provider, "organization_id": access.organization_id}
    fields |= {f"extend_{side}": str(value) for side, value in pixels.items() if value}
    # False is as if absent.
    sent = {**form_values(options), **more}
    fields |= {
        name: str(value).lower() if name in _SMALL else str(value)
        for name, value in sent.items()
        if value is not None and value is not False
    }
    files: dict[str, tuple[str | None, bytes]] = {}
    for name, filename, file in (("image_file", "image", image), ("mask_file", "mask.png", mask)):
        if file is not None:
            files[name] = (filename, _read(file))
    if files:
        return Form(fields=fields, files=files)
    # A form without a file is multipart only where its fields are sent as parts without a name.
    return Form(fields={}, files={name: (None, value.encode()) for name, value in fields.items()})


def variations_form(
    access: Access, image: File, number: int, provider: str, sides: Sides, mask: File | None, options: Options
) -> Form:
    """Return the form of several pictures.

    Raises
    ------
    ValueError
        So many are not made of one request.
    """
    if not 2 <= number <= MOST_PICTURES:
        raise ValueError(f"number must be between 2 and {MOST_PICTURES}")
    return picture_form(access, image, provider, sides, mask, options, variations=number)


def quote_form(
    access: Access, image: File | tuple[int, int], provider: str, sides: Sides, mask: File | None, options: Options
) -> Form:
    """Return the form of a quote: with the image, or with its width and height alone."""
    if not isinstance(image, tuple):
        return picture_form(access, image, provider, sides, mask, options)
    width, height = image
    return picture_form(access, None, provider, sides, mask, options, image_width=width, image_height=height)


def _read(file: File) -> bytes:
    if isinstance(file, bytes):
        return file
    return Path(file).read_bytes() if isinstance(file, str | os.PathLike) else file.read()
