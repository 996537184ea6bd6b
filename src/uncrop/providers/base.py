"""What every provider has in common: its row of facts, its settings, and its side of the conversation."""

from __future__ import annotations

import re
import secrets
from abc import ABC, abstractmethod
from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from decimal import Decimal
from typing import TYPE_CHECKING, Any

from uncrop.errors import ProviderNotConfigured

if TYPE_CHECKING:
    from uncrop.model import ProviderFacts, Task
    from uncrop.providers.conversation import Conversation, Examination

_SENDABLE = re.compile(r"[!-~]+")


@dataclass(frozen=True, kw_only=True, slots=True)
class ProviderSettings:
    """The values of one provider's settings, by the names in its row; those without a value are absent."""

    values: Mapping[str, str | float] = field(default_factory=dict, repr=False)  # holds the key

    def text(self, name: str) -> str:
        """Return a value as text; empty when it has none."""
        return str(self.values.get(name, ""))

    def number(self, name: str) -> Decimal | None:
        """Return a value as an exact number; ``None`` when it has none."""
        value = self.values.get(name)
        return None if value is None else Decimal(str(value))

    @property
    def base_url(self) -> str:
        """The address that its calls go to; empty for one that needs no network."""
        return self.text("base_url")


class Provider(ABC):
    """A maker of pixels: pure, apart from what the steps of its conversation do elsewhere.

    Parameters
    ----------
    facts
        Its row.
    settings
        The values of its settings.
    """

    def __init__(self, facts: ProviderFacts, settings: ProviderSettings) -> None:
        limit = settings.values.get("rate_limit_per_minute")
        said: dict[str, Any] = {} if limit is None else {"requests_per_minute": int(limit)}
        for name in ("usd_per_credit", "usd_per_call"):
            if (value := settings.number(name)) is not None:
                said[name] = value
        self.facts = replace(facts, **said) if said else facts
        self.settings = settings

    def check_configured(self) -> None:
        """Refuse to go on where a required setting has no value, or the key cannot be sent.

        Raises
        ------
        ProviderNotConfigured
        """
        for setting in self.facts.settings:
            value = self.settings.text(setting.name)
            if setting.required and not value:
                what = "API key" if setting.name == "api_key" else setting.name
                raise self.not_configured(f"has no {what}")
            if setting.kind == "secret" and value and not _SENDABLE.fullmatch(value):
                raise self.not_configured("has an API key that no HTTP header can carry")

    @property
    def key(self) -> str:
        """The key for its calls.

        Raises
        ------
        ProviderNotConfigured
        """
        self.check_configured()
        return self.settings.text("api_key")

    @abstractmethod
    def converse(self, task: Task) -> Conversation:
        """Make the pixels of the task's canvas, step by step.

        Raises
        ------
        UncropError
            Exactly one of ours, whatever the provider answers.
        """

    def examine(self) -> Examination | None:
        """Look whether the provider's server has all that is needed; ``None`` where it cannot be asked for nothing.

        Raises
        ------
        UncropError
            The server did not tell.
        """
        return None

    def not_configured(self, reason: str) -> ProviderNotConfigured:
        """Return the error for a setting without which no call can be made."""
        name = self.facts.name
        return ProviderNotConfigured(details={"provider": name}, system_message=f"The provider {name} {reason}")


def new_request_id() -> str:
    """Draw an id for a call whose provider names none."""
    return f"req_{secrets.token_hex(12)}"
