"""A circuit breaker: a provider that keeps failing is given a pause, so that its failures do not become ours."""

from __future__ import annotations

from collections import deque
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Literal, TypeAlias

from uncrop.errors import ProviderFault, ProviderUnavailable

BreakerState: TypeAlias = Literal["closed", "half_open", "open"]
Outcome: TypeAlias = Literal["answered", "failed", "excused", "unknown"]


class Watch:
    """The outcome of one watched call, to be excused when its failure is not the provider's."""

    def __init__(self) -> None:
        self.excused = False

    def excuse(self) -> None:
        """Do not count this call's failure."""
        self.excused = True


class Breaker:
    """Opens when at least half of the last calls failed; then lets one call through to find out.

    Parameters
    ----------
    provider
        Its name, for the error.
    clock
        Monotonic seconds.
    window_s
        How long a call's outcome counts.
    min_calls
        Fewer calls in the window than this prove nothing.
    pause_s
        How long the breaker stays open before it lets one call through.
    """

    def __init__(
        self,
        provider: str,
        *,
        clock: Callable[[], float],
        window_s: float = 30,
        min_calls: int = 10,
        pause_s: float = 15,
    ) -> None:
        self._provider = provider
        self._clock = clock
        self._window_s = window_s
        self._min_calls = min_calls
        self._pause_s = pause_s
        self._outcomes: deque[tuple[float, bool]] = deque()  # when, and whether it failed
        self._opened_at: float | None = None
        self._probing = False

    @property
    def state(self) -> BreakerState:
        """``open`` refuses every call, ``half_open`` lets one through, ``closed`` lets all through."""
        if self._opened_at is None:
            return "closed"
        return "half_open" if self._clock() - self._opened_at >= self._pause_s else "open"

    def check(self) -> None:
        """Refuse, as ``watch`` would, without letting a call through.

        Raises
        ------
        ProviderUnavailable
        """
        if self._opened_at is not None:
            waited = self._clock() - self._opened_at
            if waited < self._pause_s or self._probing:
                retry_after = max(1.0, self._pause_s - waited)
                raise ProviderUnavailable(details={"provider": self._provider}, retry_after=retry_after)

    @contextmanager
    def watch(self) -> Iterator[Watch]:
        """Let one call through and count how it ends.

        A ``ProviderFault`` that was not excused is a failure. Any other exception, a cancelled call among them, says
        nothing about the provider.

        Raises
        ------
        ProviderUnavailable
            While the breaker is open, or its one trial call is on its way; ``retry_after`` says for how long.
        """
        probe = self._admit()
        watch = Watch()
        try:
            yield watch
        except BaseException as error:
            if watch.excused:
                self._settle("excused", probe=probe)
            else:
                self._settle("failed" if isinstance(error, ProviderFault) else "unknown", probe=probe)
            raise
        self._settle("answered", probe=probe)

    def _admit(self) -> bool:
        if self._opened_at is None:
            return False
        self.check()
        self._probing = True
        return True

    def _settle(self, outcome: Outcome, *, probe: bool) -> None:
        if probe:
            self._settle_probe(outcome)
        elif outcome in ("answered", "failed") and self._opened_at is None:
            self._count(failed=outcome == "failed")

    def _settle_probe(self, outcome: Outcome) -> None:
        self._probing = False
        if outcome == "failed":
            self._opened_at = self._clock()
        elif outcome in ("answered", "excused"):
            self._opened_at = None
            self._outcomes.clear()

    def _count(self, *, failed: bool) -> None:
        now = self._clock()
        self._outcomes.append((now, failed))
        while self._outcomes[0][0] <= now - self._window_s:
            self._outcomes.popleft()
        failures = sum(failed for _, failed in self._outcomes)
        if len(self._outcomes) >= self._min_calls and 2 * failures >= len(self._outcomes):
            self._opened_at = now
