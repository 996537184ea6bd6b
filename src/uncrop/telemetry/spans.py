"""Spans, as the rest of the code sees them; who wants them recorded passes a tracer that does."""

from __future__ import annotations

from contextlib import nullcontext
from typing import TYPE_CHECKING, Literal, Protocol, TypeAlias

if TYPE_CHECKING:
    from collections.abc import Mapping
    from contextlib import AbstractContextManager

Fact: TypeAlias = str | int | float | bool
SpanKind: TypeAlias = Literal["internal", "server", "client"]


class Span(Protocol):
    """A piece of work that has begun."""

    def note(self, facts: Mapping[str, Fact]) -> None:
        """Add facts; never a key, a prompt, a pixel, or text of somebody else's."""
        ...

    def rename(self, name: str) -> None:
        """Give it the name that was not known at the start."""
        ...

    def fail(self, code: str) -> None:
        """Say that it ended with an error, which nobody raises any more."""
        ...


class Tracer(Protocol):
    """Begins spans. Those that begin within another belong to it, in other tasks and threads too."""

    def span(
        self,
        name: str,
        facts: Mapping[str, Fact] | None = None,
        *,
        kind: SpanKind = "internal",
        headers: Mapping[str, str] | None = None,
    ) -> AbstractContextManager[Span]:
        """Begin a span, which ends with the block; an exception that leaves the block is noted by its kind alone.

        Parameters
        ----------
        name
            What is done. Few different names: no id, no address.
        facts
            What is known at the start, under OpenTelemetry's names where it has one.
        kind
            ``server`` answers a request, ``client`` asks somebody else.
        headers
            Of the request that is answered, with lower-case names: may name the caller's own span (``traceparent``).
        """
        ...


class _Unrecorded:
    def note(self, facts: Mapping[str, Fact]) -> None:
        """Forget them."""

    def rename(self, name: str) -> None:
        """Forget it."""

    def fail(self, code: str) -> None:
        """Forget it."""


class NoTracer:
    """Records nothing."""

    _SPAN = nullcontext(_Unrecorded())

    def span(
        self,
        name: str,  # noqa: ARG002 - as any tracer's
        facts: Mapping[str, Fact] | None = None,  # noqa: ARG002
        *,
        kind: SpanKind = "internal",  # noqa: ARG002
        headers: Mapping[str, str] | None = None,  # noqa: ARG002
    ) -> AbstractContextManager[Span]:
        """Return a span that forgets everything."""
        return self._SPAN


UNTRACED = NoTracer()
"""For whoever is given no other tracer."""
