"""The registry is data: rows of facts, by name.

A plug-in names its row in the entry-point group ``uncrop.providers`` of its package, as ``"module:ATTRIBUTE"``, and
then takes the same road as the built-ins: its settings are read, its key reaches it, it shows up wherever providers do.
"""

from __future__ import annotations

import hashlib
from collections import OrderedDict
from importlib import import_module
from importlib.metadata import EntryPoint, entry_points
from typing import TYPE_CHECKING, Any, cast

from uncrop.errors import InvalidFieldValue, SettingsError
from uncrop.model import SERVERS, ProviderFacts
from uncrop.providers.rows import problems

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping

    from uncrop.model import ProviderKeys
    from uncrop.providers.base import Provider, ProviderSettings
    from uncrop.providers.maker import Maker, MakerContext
    from uncrop.providers.transport.breaker import BreakerState

GROUP = "uncrop.providers"
NAMES = ("bfl", "bria", "clipdrop", "comfyui", "local", "openai", "sdapi", "stability")
KEY = "api_key"
"""The name of the setting with a provider's key."""
MOST_KEPT = 1024  # makers with organizations' own keys; one that is let go of loses its breaker's memory
BUILT_IN = tuple(f"uncrop.providers.{name}.facts:FACTS" for name in NAMES)


def load_rows(plugins: Iterable[EntryPoint] | None = None) -> dict[str, ProviderFacts]:
    """Return the rows of all providers, by name, sorted.

    Parameters
    ----------
    plugins
        Entry points beside the built-ins; those of the installed packages by default.

    Raises
    ------
    SettingsError
        With one line for each contradiction, naming the plug-in and the field of its row.
    """
    found = entry_points(group=GROUP) if plugins is None else plugins
    rows = {row.name: row for row in (cast("ProviderFacts", load(target)) for target in BUILT_IN)}
    wrong: list[str] = []
    for plugin in sorted(found, key=lambda each: (each.name, each.value)):
        label = f"provider plug-in {plugin.name} ({plugin.value})"
        try:
            row = load(plugin.value)
        except Exception as error:  # noqa: BLE001 - foreign code, which may fail in any way
            wrong.append(f"{label}: cannot be loaded ({type(error).__name__})")
            continue
        if not isinstance(row, ProviderFacts):
            wrong.append(f"{label}: is no row of facts")
            continue
        wrong += [f"{label}: {problem}" for problem in problems(row, rows)]
        rows.setdefault(row.name, row)
    if wrong:
        raise SettingsError(wrong)
    return dict(sorted(rows.items()))


class Registry:
    """The makers of pixels, by name; each is loaded on first use.

    Parameters
    ----------
    rows
        The rows of all providers.
    settings
        The values of each provider's settings.
    context
        What all makers share.
    """

    def __init__(
        self, rows: Mapping[str, ProviderFacts], settings: Mapping[str, ProviderSettings], context: MakerContext
    ) -> None:
        self._rows = rows
        self._settings = settings
        self._context = context
        self._loaded: dict[str, Maker] = {}
        # By provider and digest of the key; the one used last at the end.
        self._of_organizations: OrderedDict[tuple[str, bytes], Maker] = OrderedDict()

    def names(self) -> tuple[str, ...]:
        """All names, sorted."""
        return tuple(sorted(self._rows))

    def facts(self) -> tuple[ProviderFacts, ...]:
        """Return the rows of all providers as they are configured, sorted by name."""
        return tuple(self.get(name).facts for name in self.names())

    def get(self, name: str, keys: ProviderKeys = SERVERS) -> Maker:
        """Return the maker of that name, loading it on first use.

        One that calls with an organization's own key has a breaker of its own: whatever is wrong with that account is
        nobody else's concern.

        Parameters
        ----------
        name
            The provider's.
        keys
            With whose keys it calls.

        Raises
        ------
        InvalidFieldValue
            When there is none.
        """
        if name not in self._rows:
            raise InvalidFieldValue(
                f"Unknown provider; allowed are {', '.join(self.names())}",
                # As much of it as tells a slip; a client may have sent any amount.
                details={"provider": name[:64], "allowed": list(self.names())},
            )
        row = self._rows[name]
        if takes_key(row) and (name in keys.own or not keys.may_use_servers):
            return self._with_key(row, keys.own.get(name) or "")
        if name not in self._loaded:
            self._loaded[name] = self._load(row, self._settings.get(name))
        return self._loaded[name]

    def breakers(self) -> dict[str, BreakerState]:
        """Return the state of the breaker of each provider that was used with the server's own key, and has one."""
        return {name: maker.breaker.state for name, maker in sorted(self._loaded.items()) if maker.breaker is not None}

    def _with_key(self, row: ProviderFacts, key: str) -> Maker:
        """Return the maker that calls with this key; without one, it says that it is not configured."""
        from uncrop.providers.base import ProviderSettings

        # The keys themselves are held by their makers alone.
        place = (row.name, hashlib.sha256(key.encode()).digest())
        if place in self._of_organizations:
            self._of_organizations.move_to_end(place)
            return self._of_organizations[place]
        servers = self._settings.get(row.name, ProviderSettings()).values
        secret = {setting.name for setting in row.settings if setting.kind == "secret"}
        values = {name: value for name, value in servers.items() if name not in secret}
        made = self._load(row, ProviderSettings(values={**values, **({KEY: key} if key else {})}), own_key=True)
        self._of_organizations[place] = made
        if len(self._of_organizations) > MOST_KEPT:
            self._of_organizations.popitem(last=False)
        return made

    def _load(self, row: ProviderFacts, settings: ProviderSettings | None, *, own_key: bool = False) -> Maker:
        from uncrop.providers.base import ProviderSettings
        from uncrop.providers.maker import Maker

        provider: Provider = load(row.implementation)(row, settings or ProviderSettings())
        return Maker(provider, self._context, own_key=own_key)


def takes_key(row: ProviderFacts) -> bool:
    """Tell whether a provider is called with a key, so that an organization may have its own."""
    return any(setting.name == KEY and setting.kind == "secret" for setting in row.settings)


def check_takes_key(name: str, rows: Mapping[str, ProviderFacts]) -> None:
    """Refuse the name of a provider of which an organization cannot have a key of its own.

    Raises
    ------
    InvalidFieldValue
    """
    allowed = [row.name for row in rows.values() if takes_key(row)]
    if name not in allowed:
        raise InvalidFieldValue(
            f"An organization can have its own key for {', '.join(allowed)}",
            details={"provider": name[:64], "allowed": allowed},
        )


def load(target: str) -> Any:
    """Import ``"module:attribute"``."""
    module, _, attribute = target.partition(":")
    return getattr(import_module(module), attribute)
