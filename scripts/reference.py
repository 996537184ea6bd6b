"""Writes the reference pages that can be written by machine, or checks that they are up to date.

usage: scripts/reference.py [--check]
"""

from __future__ import annotations

import sys
from pathlib import Path
from typing import TYPE_CHECKING

from uncrop import errors, settings
from uncrop.providers.registry import load_rows
from uncrop.settings.of_providers import settings_class

if TYPE_CHECKING:
    from collections.abc import Iterator

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


PAGES = {"docs/reference/settings.md": settings_page, "docs/reference/errors.md": errors_page}


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
