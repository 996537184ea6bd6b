"""The registry is data: names to ``"module:Class"``, loaded on first use.

A plug-in names its class in the entry-point group ``uncrop.providers`` of its package and then takes the same road as
the built-ins. A class is called with the ``ProviderContext`` and gives a ``Provider``.
"""

from __future__ import annotations

from importlib import import_module
from importlib.metadata import EntryPoint, entry_points
from typing import TYPE_CHECKING, cast

from uncrop.errors import InvalidFieldValue

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping

    from uncrop.providers.base import Provider, ProviderContext
    from uncrop.providers.breaker import BreakerState

GROUP = "uncrop.providers"
BUILT_IN: Mapping[str, str] = {
    "clipdrop": "uncrop.providers.clipdrop:Clipdrop",
    "local": "uncrop.providers.local:Local",
    "openai": "uncrop.providers.openai:OpenAI",
}


class Registry:
    """The makers of pixels, by name.

    Parameters
    ----------
    context
        What every provider is made from.
    plugins
        Entry points beside the built-ins; those of the installed packages by default. A plug-in cannot take the name
        of a built-in.
    """

    def __init__(self, context: ProviderContext, *, plugins: Iterable[EntryPoint] | None = None) -> None:
        found = entry_points(group=GROUP) if plugins is None else plugins
        self._targets = {**{plugin.name: plugin.value for plugin in found}, **BUILT_IN}
        self._context = context
        self._loaded: dict[str, Provider] = {}

    def names(self) -> tuple[str, ...]:
        """All names, sorted."""
        return tuple(sorted(self._targets))

    def get(self, name: str) -> Provider:
        """Return the provider of that name, loading it on first use.

        Raises
        ------
        InvalidFieldValue
            When there is none.
        """
        if name not in self._targets:
            raise InvalidFieldValue(
                f"Unknown provider; allowed are {', '.join(self.names())}",
                # As much of it as tells a slip; a client may have sent any amount.
                details={"provider": name[:64], "allowed": list(self.names())},
            )
        if name not in self._loaded:
            self._loaded[name] = self._load(self._targets[name])
        return self._loaded[name]

    def breakers(self) -> dict[str, BreakerState]:
        """Return the state of the breaker of each provider that was used and has one."""
        breakers = {name: getattr(provider, "breaker", None) for name, provider in sorted(self._loaded.items())}
        return {name: breaker.state for name, breaker in breakers.items() if breaker is not None}

    def _load(self, target: str) -> Provider:
        module, _, attribute = target.partition(":")
        return cast("Provider", getattr(import_module(module), attribute)(self._context))
