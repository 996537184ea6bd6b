"""What the photos of a batch would take: whether anybody is billed for one, at what price, in how many calls."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from uncrop.batch.notes import AS_WANTED, is_as_wanted, skipped
from uncrop.errors import CallerError, UncropError
from uncrop.intake.fields import check_fields, check_without_provider
from uncrop.jobs.answers import error_to_text
from uncrop.ledger.prices import price_of_call
from uncrop.model import SERVERS
from uncrop.model.ledger import USD
from uncrop.service.durations import Durations
from uncrop.service.quote import AUTO, QuoteRequest, makers_for, quote

if TYPE_CHECKING:
    from collections.abc import Sequence

    from uncrop.model import ProviderFacts, ProviderKeys, UncropRequest
    from uncrop.model.batches import PhotoState
    from uncrop.providers.registry import Registry


@dataclass(frozen=True, kw_only=True, slots=True)
class Outlook:
    """What is known of a photo before it is made.

    Attributes
    ----------
    state
        ``queued``, or what it ends as at once: ``skipped`` or ``failed``.
    calls
        Billed calls that it will take.
    error
        Why it is not made, as JSON.
    """

    state: PhotoState = "queued"
    calls: int = 0
    error: str | None = None


@dataclass(frozen=True, kw_only=True, slots=True)
class Prices:
    """Tells what photos would take; nobody is called.

    Attributes
    ----------
    registry
        The makers, which call nobody.
    auto
        Who is asked in turn for the provider ``auto``.
    max_output_pixels
        Largest canvas of makers that state no limit of their own.
    keys
        With whose keys the makers would call.
    """

    registry: Registry
    auto: Sequence[str]
    max_output_pixels: int
    keys: ProviderKeys = SERVERS

    def check(self, request: UncropRequest) -> None:
        """Refuse what can never be made, whatever the photo.

        Raises
        ------
        UncropError
            A field has a value that it cannot have, or the provider is not configured.
        """
        if request.provider == AUTO:
            check_without_provider(request)
            return
        maker = self.registry.get(request.provider, self.keys)
        check_fields(request, maker.facts)
        maker.check_configured()

    def is_billed(self, request: UncropRequest) -> bool:
        """Tell whether anybody may be billed for a photo."""
        return any(facts.bills for facts in self._rows(request))

    def usd_micro(self, request: UncropRequest) -> int | None:
        """Return what one call costs at most, in millionths of a dollar; ``None`` where that is not known."""
        most = 0
        for facts in self._rows(request):
            if facts.bills:
                usd = [amount.value for amount in price_of_call(facts) if amount.unit == USD]
                if not usd:
                    return None
                most = max(most, *usd)
        return most

    def outlook(self, request: UncropRequest) -> Outlook:
        """Return what becomes of a photo, as far as its file's header tells it.

        Raises
        ------
        UncropError
            Nobody can make any photo now: it is not about this one.
        """
        makers = makers_for(request.provider, self.registry, self.auto, self.keys)
        try:
            quotes = quote(
                QuoteRequest(request=request),
                makers,
                durations=Durations(),
                max_output_pixels=self.max_output_pixels,
            )
        except UncropError as error:
            return self._refused(request, error)
        calls = [each.calls or 0 if each.facts.bills else 0 for each in quotes if each.possible]
        if not calls:
            return self._refused(request, next(each.refusal for each in quotes if each.refusal is not None))
        return Outlook(calls=max(calls))

    def _refused(self, request: UncropRequest, error: UncropError) -> Outlook:
        if is_as_wanted(request):
            return Outlook(state="skipped", error=skipped(AS_WANTED))
        if not isinstance(error, CallerError):
            raise error
        return Outlook(state="failed", error=error_to_text(error))

    def _rows(self, request: UncropRequest) -> list[ProviderFacts]:
        names = self.auto if request.provider == AUTO else (request.provider,)
        return [self.registry.get(name, self.keys).facts for name in names]
