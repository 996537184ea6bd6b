"""`uncrop doctor`: tells whether everything is in order, and what to do if not."""

from __future__ import annotations

import os
import sys
from typing import TYPE_CHECKING

import typer

from uncrop.cli.colour import coloured
from uncrop.cli.doctor_ray import check_ray
from uncrop.cli.doctor_services import check_durability, check_redis, check_workers, look_at_webhooks
from uncrop.cli.exits import WRONG_USE
from uncrop.cli.finding import Finding
from uncrop.cli.printable import printable

if TYPE_CHECKING:
    from collections.abc import Callable

    from uncrop.cli.finding import State
    from uncrop.errors import UncropError
    from uncrop.model import ProviderFacts
    from uncrop.providers.base import ProviderSettings
    from uncrop.settings import Settings
    from uncrop.store.database import Store

LACKING = {"api_key": "key", "base_url": "address"}  # how people call those settings
COLOURS: dict[State, str] = {"ok": "green", "off": "yellow", "bad": "red"}


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
        state = coloured(f"{finding.state:<4}", COLOURS[finding.state])
        typer.echo(f"{state}{finding.what:<11}{printable(finding.says)}")
        if finding.todo:
            typer.echo(f"{'':<15}{printable(finding.todo)}")
    if any(finding.state == "bad" for finding in findings):
        raise typer.Exit(WRONG_USE)


def check_settings(configured: Settings) -> list[Finding]:
    """Look for names that are none of ours, in the environment and in ``.env``, and at the folder."""
    from uncrop import settings

    found = [
        Finding(
            what="settings", state="off", says=line, todo="Look for a slip in the name." if " is no " in line else ""
        )
        for line in settings.slip_lines(configured)
    ]
    folder = configured.data_dir
    parent = next((path for path in (folder, *folder.parents) if os.access(path, os.F_OK)), folder)
    if os.access(parent, os.W_OK | os.X_OK):
        found.append(Finding(what="settings", state="ok", says=f"data folder {folder}"))
    else:
        todo = "Set UNCROP_DATA_DIR to a folder that can be written to."
        needed = configured.needs_data_folder
        says = f"data folder {folder} cannot be written to"
        found.append(Finding(what="settings", state="bad" if needed else "off", says=says, todo=todo))
    return found


def check_network(configured: Settings) -> list[Finding]:
    """Look at the proxies and certificates of the environment."""
    network = configured.network
    if network.problems:
        return [Finding(what="network", state="bad", says=problem) for problem in network.problems]
    proxies = sorted({pattern.partition(":")[0] for pattern, to in network.proxies.items() if to is not None})
    through = f"through a proxy: {', '.join(proxies)}" if proxies else "no proxy"
    whose = "the system's" if network.certificates is None else "the environment's"
    return [Finding(what="network", state="ok", says=f"{through}; {whose} certificates")]


def check_database(configured: Settings) -> list[Finding]:
    """Open the database, which also brings its tables up to date."""
    import asyncio

    from uncrop.bootstrap import open_store_from
    from uncrop.errors import UncropError

    async def look() -> tuple[int, list[Finding]]:
        async with open_store_from(configured) as store:
            await store.ping()
            found = [*await _peppers(store), *await _provider_keys(store), await _ledger(store)]
            found += await look_at_webhooks(store)
            return len(await store.keys.all()), found

    try:
        keys, others = asyncio.run(look())
    except ImportError as error:
        todo = "Install the server's packages: pip install 'uncrop[server]'"
        return [Finding(what="database", state="off", says=f"{error.name} is missing", todo=todo)]
    except UncropError as error:
        return [Finding(what="database", state="bad", says=error.message)]
    todo = "" if keys else "uncrop serve makes the first key."
    return [Finding(what="database", state="ok", says=f"answers; {keys} keys", todo=todo), *others]


async def _ledger(store: Store) -> Finding:
    """Recompute the ledger, and tell of what is in doubt."""
    wrong = await store.books.verify()
    if wrong:
        says = f"does not agree with itself in {len(wrong)} places: {wrong[0]}"
        return Finding(what="ledger", state="bad", says=says, todo="uncrop ledger verify lists them; report this.")
    unknown = len(await store.books.holds(states=("unknown",)))
    if unknown:
        says = f"agrees with itself; of {unknown} pictures it is not known whether they are billed"
        todo = "uncrop usage --unknown lists them, uncrop ledger settle settles one."
        return Finding(what="ledger", state="off", says=says, todo=todo)
    return Finding(what="ledger", state="ok", says="agrees with itself")


async def _peppers(store: Store) -> list[Finding]:
    """Tell whether an earlier pepper is still needed; nothing where there is none."""
    if not store.keys.earlier_peppers:
        return []
    keys = sum(use.keys for use in await store.keys.pepper_uses() if not use.present)
    if keys:
        says = f"{keys} keys have not been used since the pepper was replaced, and need the earlier one"
        todo = "Keep it until they are used, or revoke them."
        return [Finding(what="pepper", state="ok", says=says, todo=todo)]
    todo = "Take it out of UNCROP_KEY_PEPPER_PREVIOUS, and pepper-previous-… out of the data folder."
    return [Finding(what="pepper", state="off", says="no key needs the earlier pepper any more", todo=todo)]


async def _provider_keys(store: Store) -> list[Finding]:
    """Tell of organizations' own keys of providers that cannot be decrypted."""
    lost = [entry for entry in await store.provider_keys.all() if not entry.usable]
    if not lost:
        return []
    says = f"{len(lost)} of the organizations' own keys of providers cannot be decrypted"
    todo = "Add the secret that they were encrypted with to UNCROP_ENCRYPTION_KEY, or remove them."
    return [Finding(what="keys", state="bad", says=says, todo=todo)]


def check_providers(configured: Settings) -> list[Finding]:
    """Tell which providers are configured; only those are called that can be asked for nothing."""
    from uncrop.bootstrap import examine_providers

    examined = examine_providers(configured)
    return [
        _provider(row, configured.providers[row.name], examined.get(row.name))
        for row in configured.rows.values()
        if not row.computes_here
    ]


def _provider(row: ProviderFacts, values: ProviderSettings, found: tuple[str, ...] | UncropError | None) -> Finding:
    missing = [setting for setting in row.settings if setting.required and not values.text(setting.name)]
    if missing:
        says = ", ".join(f"no {LACKING.get(setting.name, setting.name)}" for setting in missing)
        todo = f"Set {' and '.join(row.variable(setting) for setting in missing)} to use it."
        return Finding(what=row.name, state="off", says=says, todo=todo)
    where = f"is configured, at {values.base_url}"
    if found is None:
        return Finding(what=row.name, state="ok", says=f"{where} (not called)")
    if isinstance(found, tuple):
        if not found:
            return Finding(what=row.name, state="ok", says=f"{where}; has all that is needed")
        todo = "Install it there, or change the settings."
        return Finding(what=row.name, state="bad", says=f"{where}; does not have {'; '.join(found)}", todo=todo)
    todo = (
        f"Start it, or look at {' and '.join(row.variable(each) for each in row.settings if each.name == 'base_url')}."
    )
    return Finding(what=row.name, state="bad", says=f"{where}: {found.system_message}", todo=todo)


def check_engine(configured: Settings) -> list[Finding]:
    """Make a real picture and look at it, compiling the engine first if need be."""
    import time

    from uncrop import engine
    from uncrop.cli.compiling import not_kept
    from uncrop.cli.trial import make_trial_picture
    from uncrop.model import Sides

    compiled = engine.is_compiled(configured.kernel_cache)
    engine.use_cache(configured.kernel_cache)
    started = time.perf_counter()
    if fault := make_trial_picture():
        return [Finding(what="engine", state="bad", says=fault, todo="Reinstall uncrop, and report this.")]
    seconds = time.perf_counter() - started
    todo = "" if compiled else "uncrop warm-up compiles it ahead of the first picture."
    if not compiled and (reason := engine.why_not_kept(configured.kernel_cache)):
        todo = f"But {not_kept(configured, reason)}."
    side = round((configured.max_output_megapixels * 1e6) ** 0.5)
    most = engine.peak_bytes(side, side, 3, Sides()) / 1e9
    says = (
        f"made a picture in {seconds:.1f} s; a server would run {configured.engine_workers} at once,"
        f" each of up to {most:.1f} GB"
    )
    return [Finding(what="engine", state="ok", says=says, todo=todo)]


def check_decoders(configured: Settings) -> list[Finding]:
    """Start what a server decodes files in, and tell what the kernel enforces there."""
    from uncrop.bootstrap import probe_decoders
    from uncrop.errors import UncropError

    try:
        missing = probe_decoders(configured)
    except UncropError as error:
        todo = "A server answers 503 to every picture; look at the lines above."
        return [Finding(what="decoders", state="bad", says=error.system_message, todo=todo)]
    if missing:
        return [Finding(what="decoders", state="off", says=missing)]
    return [Finding(what="decoders", state="ok", says="each file is decoded in a process that can do nothing else")]


def check_python(_configured: Settings) -> list[Finding]:
    """Tell the versions, for reports."""
    from uncrop import __version__

    return [Finding(what="uncrop", state="ok", says=f"{__version__} on Python {sys.version.split()[0]}")]


CHECKS: tuple[Callable[[Settings], list[Finding]], ...] = (
    check_python,
    check_settings,
    check_network,
    check_database,
    check_durability,
    check_redis,
    check_workers,
    check_providers,
    check_engine,
    check_ray,
    check_decoders,
)
