"""`uncrop doctor`: tells whether everything is in order, and what to do if not."""

from __future__ import annotations

import asyncio
import os
import sys
from dataclasses import dataclass
from typing import TYPE_CHECKING, Literal

import typer

from uncrop.cli.exits import WRONG_USE

if TYPE_CHECKING:
    from collections.abc import Callable

    from uncrop.settings import Settings

State = Literal["ok", "off", "bad"]


@dataclass(frozen=True, kw_only=True, slots=True)
class Finding:
    """One line of the report: what was looked at, how it is, and what to do about it."""

    what: str
    state: State
    says: str
    todo: str = ""


def doctor() -> None:
    """Check settings, database, providers and engine, and say what to do."""
    from uncrop import settings
    from uncrop.errors import SettingsError

    try:
        configured = settings.load()
    except SettingsError as error:
        findings = [Finding(what="settings", state="bad", says=problem) for problem in error.problems]
    else:
        findings = [finding for check in CHECKS for finding in check(configured)]
    for finding in findings:
        typer.echo(f"{finding.state:<4}{finding.what:<11}{finding.says}")
        if finding.todo:
            typer.echo(f"{'':<15}{finding.todo}")
    if any(finding.state == "bad" for finding in findings):
        raise typer.Exit(WRONG_USE)


def check_settings(configured: Settings) -> list[Finding]:
    """Look for variables that are none of ours, and at the folder."""
    from uncrop import settings

    found = [
        Finding(what="settings", state="off", says=f"{name} is no setting", todo="Look for a slip in the name.")
        for name in sorted(settings.unknown_variables())
    ]
    folder = configured.data_dir
    parent = next(path for path in (folder, *folder.parents) if path.exists())
    if os.access(parent, os.W_OK):
        found.append(Finding(what="settings", state="ok", says=f"data folder {folder}"))
    else:
        todo = "Set UNCROP_DATA_DIR to a folder that can be written to."
        found.append(Finding(what="settings", state="bad", says=f"{folder} cannot be written to", todo=todo))
    return found


def check_database(configured: Settings) -> list[Finding]:
    """Open the database, which also brings its tables up to date."""
    from uncrop.bootstrap import open_store_from
    from uncrop.errors import UncropError

    async def look() -> int:
        async with open_store_from(configured) as store:
            await store.ping()
            return len(await store.keys.all())

    try:
        keys = asyncio.run(look())
    except ImportError as error:
        todo = "Install the server's packages: pip install 'uncrop[server]'"
        return [Finding(what="database", state="off", says=f"{error.name} is missing", todo=todo)]
    except UncropError as error:
        return [Finding(what="database", state="bad", says=error.message)]
    todo = "" if keys else "uncrop serve makes the first key."
    return [Finding(what="database", state="ok", says=f"answers; {keys} keys", todo=todo)]


def check_providers(configured: Settings) -> list[Finding]:
    """Tell which providers have a key; none of them is called, since calls may cost money."""
    found = []
    for name, key, url in (
        ("clipdrop", configured.clipdrop_api_key, configured.clipdrop_base_url),
        ("openai", configured.openai_api_key, configured.openai_base_url),
    ):
        variable = f"UNCROP_{name.upper()}_API_KEY"
        if key is None:
            found.append(Finding(what=name, state="off", says="no key", todo=f"Set {variable} to use it."))
        else:
            found.append(Finding(what=name, state="ok", says=f"has a key, at {url} (not called)"))
    return found


def check_engine(configured: Settings) -> list[Finding]:
    """Extend a tiny picture, compiling the engine first if need be."""
    import time

    import numpy as np

    from uncrop import engine
    from uncrop.model import Sides

    compiled = engine.is_compiled(configured.kernel_cache)
    engine.use_cache(configured.kernel_cache)
    started = time.perf_counter()
    grey = np.full((64, 64, 3), 128, np.uint8)
    made = engine.extend(grey, Sides(right=16), seed=1)
    seconds = time.perf_counter() - started
    if made.pixels.shape != (64, 80, 3):
        return [Finding(what="engine", state="bad", says="made a picture of the wrong size")]
    todo = "" if compiled else "uncrop warm-up compiles it ahead of the first picture."
    side = round((configured.max_output_megapixels * 1e6) ** 0.5)
    most = engine.peak_bytes(side, side, 3, Sides()) / 1e9
    says = (
        f"made a picture in {seconds:.1f} s; {configured.engine_workers} processes of up to {most:.1f} GB in a server"
    )
    return [Finding(what="engine", state="ok", says=says, todo=todo)]


def check_python(_configured: Settings) -> list[Finding]:
    """Tell the versions, for reports."""
    from uncrop import __version__

    return [Finding(what="uncrop", state="ok", says=f"{__version__} on Python {sys.version.split()[0]}")]


CHECKS: tuple[Callable[[Settings], list[Finding]], ...] = (
    check_python,
    check_settings,
    check_database,
    check_providers,
    check_engine,
)
