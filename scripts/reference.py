"""Writes the reference pages that can be written by machine, or checks that they are up to date.

usage: scripts/reference.py [--check]
"""

from __future__ import annotations

import sys
from pathlib import Path
from typing import TYPE_CHECKING

from cli_page import cli_page
from python_page import python_page

from uncrop import errors, settings
from uncrop.providers.registry import load_rows
from uncrop.server import http_errors  # noqa: F401 - its errors are on the page too
from uncrop.settings.of_providers import settings_class

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from uncrop.model import ProviderFacts

ROOT = Path(__file__).resolve().parent.parent
NOTE = "<!-- Written by scripts/fix from the code; change the code instead. -->"

SHARED_VARIABLES = (
    "",
    "## Variables that all programs share",
    "",
    "Names in small letters work too, and come first, but for those of certificates.",
    "They are read at the start, and not from `.env`. A mistake stops `uncrop serve`, and `uncrop extend` with a",
    "provider that is called; `uncrop doctor` tells it too.",
    "",
    "| variable | meaning |",
    "|---|---|",
    "| `HTTP_PROXY`, `HTTPS_PROXY`, `ALL_PROXY` | Proxy for calls: `http://`, `https://`, `socks5://`, `socks5h://`. |",
    "| `NO_PROXY` | Hosts, addresses and networks that are asked directly, with commas in between; `*` for all. |",
    "| `SSL_CERT_FILE`, `SSL_CERT_DIR` | Certificates that are believed instead of the system's. |",
    "| `AWS_ACCESS_KEY_ID`, `AWS_SECRET_ACCESS_KEY`, `AWS_SESSION_TOKEN` | Keys to a bucket. |",
    "| `AWS_REGION`, `AWS_DEFAULT_REGION` | The bucket's region. |",
    "| `AWS_ENDPOINT_URL_S3`, `AWS_ENDPOINT_URL` | Address of a service other than Amazon's that speaks S3. |",
)


def settings_page() -> str:
    """Return docs/reference/settings.md."""
    lines = [
        "# Settings",
        "",
        NOTE,
        "",
        "Environment variables, or lines in a file `.env` in the working folder, in UTF-8 or UTF-16. A wrong value",
        "stops the start with one line per mistake. In paths, `~` is the user's own folder; in an SQLite address, `?`",
        "and `%` in a path are written `%3F` and `%25`.",
        "",
        "| variable | default | meaning |",
        "|---|---|---|",
    ]
    computed = {
        "data_dir": "the platform's data folder",
        "engine_workers": "half the cores",
        "max_pixel_megabytes": f"`{settings.PIXEL_MEGABYTES}`, and as many for each of the engine's processes",
    }
    for name, field in settings_class(load_rows(())).model_fields.items():
        default = computed.get(name) or ("–" if field.default in (None, "") else f"`{field.default}`")
        lines.append(f"| `{settings.PREFIX}{name.upper()}` | {default} | {field.description} |")
    return "\n".join([*lines, *SHARED_VARIABLES]) + "\n"


def error_classes(of: type[errors.UncropError] = errors.UncropError) -> Iterator[type[errors.UncropError]]:
    """Yield the classes that stand for a code of their own: the leaves of the tree that reach the wire."""
    children = of.__subclasses__()
    if not children and of is not errors.SettingsError:
        yield of
    for child in children:
        yield from error_classes(child)


def errors_page() -> str:
    """Return docs/reference/errors.md."""
    lines = [
        "# Errors",
        "",
        NOTE,
        "",
        "Every error has the same JSON body; `details` is an object or absent. See `uncrop.errors` for the tree.",
        "",
        "| status | code | when | try again |",
        "|---|---|---|---|",
    ]
    for of in sorted(error_classes(), key=lambda of: (of.status, of.code)):
        when = (of.__doc__ or "").splitlines()[0].rstrip(".")
        lines.append(f"| {of.status} | `{of.code}` | {when} | {'yes' if of.retryable else 'no'} |")
    return "\n".join(lines) + "\n"


def providers_page() -> str:
    """Return docs/reference/providers.md."""
    lines = [
        "# Providers",
        "",
        NOTE,
        "",
        "The makers of pixels that come with uncrop, from their rows of facts. `uncrop providers` and",
        "`GET /api/v1/providers` tell the same, plug-ins included, and what is configured. Every way to say what the",
        "canvas is works with every provider: the planner turns it into what the provider speaks, within these limits.",
        "`–`: no limit is known.",
        "",
        "| provider | speaks | a side | canvas | photo | fields | answer | price | evidence |",
        "|---|---|---|---|---|---|---|---|---|",
    ]
    lines += [_provider_row(row) for row in load_rows(()).values()]
    return "\n".join(lines) + "\n"


def _provider_row(row: ProviderFacts) -> str:
    geometry, price = row.geometry, row.price
    speaks = {"sides": "pixels a side", "canvas": "canvas and place", "mask": "mask on a frame"}[geometry.speaks]
    if geometry.grid > 1:
        speaks += f", in steps of {geometry.grid} pixels"
    canvas = _range("{} px a side", geometry.min_edge, geometry.max_edge)
    if geometry.max_pixels is not None:
        canvas.append(f"at most {geometry.max_pixels / 1e6:g} MP")
    photo = [f"at most {row.upload.max_bytes / 1e6:g} MB"]
    if geometry.max_photo_pixels is not None:
        scaled = " (larger ones are scaled)" if geometry.scales else ""
        photo.append(f"at most {geometry.max_photo_pixels / 1e6:g} MP{scaled}")
    if geometry.min_photo_edge > 1:
        photo.append(f"at least {geometry.min_photo_edge} px a side")
    cells = [
        f"`{row.name}`: {row.sentence}",
        speaks,
        "–" if geometry.max_side is None else f"at most {geometry.max_side} px",
        ", ".join(canvas) or "–",
        ", ".join(photo),
        ", ".join(f"`{field.name}`" for field in row.fields),
        row.answer_format or "the photo's format",
        ("not known" if row.bills else "free")
        if price is None
        else f"{price.amount:f} {price.unit} a {price.per} ({price.date}, {price.source})",
        row.evidence,
    ]
    return f"| {' | '.join(cells)} |"


def _range(unit: str, low: int, high: int | None) -> list[str]:
    said = [f"at least {unit.format(low)}"] if low > 1 else []
    return said + ([] if high is None else [f"at most {unit.format(high)}"])


PAGES: dict[str, Callable[[], str]] = {
    "docs/reference/settings.md": settings_page,
    "docs/reference/errors.md": errors_page,
    "docs/reference/providers.md": providers_page,
    "docs/reference/cli.md": lambda: cli_page(NOTE),
    "docs/reference/python.md": lambda: python_page(NOTE),
}


def main() -> int:
    """Write the pages; with --check, exit with status 1 where one would change."""
    stale = [name for name, page in PAGES.items() if not (ROOT / name).exists() or (ROOT / name).read_text() != page()]
    if "--check" in sys.argv[1:]:
        for name in stale:
            print(f"{name} is out of date: run scripts/fix", file=sys.stderr)
        return bool(stale)
    for name in stale:
        (ROOT / name).parent.mkdir(parents=True, exist_ok=True)
        (ROOT / name).write_text(PAGES[name]())
    return 0


if __name__ == "__main__":
    sys.exit(main())
