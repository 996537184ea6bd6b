"""The registry is data: rows of facts, by name.

A plug-in names its row in the entry-point group ``uncrop.providers`` of its package, as ``"module:ATTRIBUTE"``, and
then takes the same road as the built-ins: its settings are read, its key reaches it, it shows up wherever providers do.
"""

from __future__ import annotations

from importlib import import_module
from importlib.metadata import EntryPoint, entry_points
from typing import TYPE_CHECKING, Any, cast

from uncrop.errors import InvalidFieldValue, SettingsError
from uncrop.model import ProviderFacts
from uncrop.providers.rows import problems

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping

    from uncrop.providers.base import Provider, ProviderSettings
    from uncrop.providers.maker import Maker, MakerContext
    from uncrop.providers.transport.breaker import BreakerState

GROUP = "uncrop.providers"
NAMES = ("bfl", "bria", "clipdrop", "comfyui", "local", "openai", "sdapi", "stability")
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

    def names(self) -> tuple[str, ...]:
        """All names, sorted."""
        return tuple(sorted(self._rows))

    def facts(self) -> tuple[ProviderFacts, ...]:
        """Return the rows of all providers as they are configured, sorted by name."""
        return tuple(self.get(name).facts for name in self.names())

    def get(self, name: str) -> Maker:
        """Return the maker of that name, loading it on first use.

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
        if name not in self._loaded:
            self._loaded[name] = self._load(self._rows[name])
        return self._loaded[name]

    def breakers(self) -> dict[str, BreakerState]:
        """Return the state of the breaker of each provider that was used and has one."""
        return {name: maker.breaker.state for name, maker in sorted(self._loaded.items()) if maker.breaker is not None}

    def _load(self, row: ProviderFacts) -> Maker:
        from uncrop.providers.base import ProviderSettings
        from uncrop.providers.maker import Maker

        provider: Provider = load(row.implementation)(row, self._settings.get(row.name, ProviderSettings()))
        return Maker(provider, self._context)


def load(target: str) -> Any:
    """Import ``"module:attribute"``."""
    module, _, attribute = target.partition(":")
    return getattr(import_module(module), attribute)
