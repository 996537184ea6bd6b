"""What can be told to anybody about the providers: their rows, and whether they are configured. Never a secret."""

from __future__ import annotations

from dataclasses import asdict, dataclass
from typing import TYPE_CHECKING, Any

from uncrop.errors import ProviderNotConfigured

if TYPE_CHECKING:
    from uncrop.model import ProviderFacts
    from uncrop.providers.maker import Maker
    from uncrop.providers.registry import Registry


@dataclass(frozen=True, kw_only=True, slots=True)
class ProviderEntry:
    """One provider.

    Attributes
    ----------
    facts
        Its row, as it is configured.
    configured
        Whether all that it needs is set.
    missing
        What is missing, in technical words; ``None`` where it is configured.
    """

    facts: ProviderFacts
    configured: bool
    missing: str | None = None

    def to_json(self) -> dict[str, Any]:
        """Return it as the API tells it."""
        facts = self.facts
        geometry = {name: value for name, value in asdict(facts.geometry).items() if value not in (None, ())}
        if facts.geometry.sizes:
            geometry["sizes"] = [f"{width}x{height}" for width, height in facts.geometry.sizes]
        return {
            "name": facts.name,
            "title": facts.title,
            "sentence": facts.sentence,
            "configured": self.configured,
            "bills": facts.bills,
            "price": None if facts.price is None else {**asdict(facts.price), "amount": f"{facts.price.amount:f}"},
            "geometry": geometry,
            "fields": [_field(field) for field in facts.fields],
            "upload": {"formats": sorted(facts.upload.formats), "max_bytes": facts.upload.max_bytes},
            "answer_format": facts.answer_format,
            "requests_per_minute": facts.requests_per_minute,
            "evidence": facts.evidence,
        }


def _field(field: Any) -> dict[str, Any]:
    row = {name: value for name, value in asdict(field).items() if value not in (None, ())}
    return {**row, "choices": list(field.choices)} if field.choices else row


def entries_of(registry: Registry) -> list[ProviderEntry]:
    """Return what can be told about every provider."""
    return [entry_of(registry.get(name)) for name in registry.names()]


def entry_of(maker: Maker) -> ProviderEntry:
    """Return what can be told about one provider."""
    try:
        maker.check_configured()
    except ProviderNotConfigured as error:
        return ProviderEntry(facts=maker.facts, configured=False, missing=error.system_message)
    return ProviderEntry(facts=maker.facts, configured=True)
