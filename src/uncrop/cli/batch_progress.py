"""How far a batch is: a bar on a terminal, else a line every now and then."""

from __future__ import annotations

import sys
import time
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any, Self, TextIO

from uncrop.cli.exits import note

if TYPE_CHECKING:
    from collections.abc import Callable
    from types import TracebackType

    from uncrop.store.batches import Sums

LINE_EVERY_S = 10.0


@dataclass(kw_only=True)
class BatchProgress:
    """Tells how far a batch is.

    Attributes
    ----------
    stream
        Where to draw.
    clock
        Returns seconds from any origin.
    """

    stream: TextIO = field(default_factory=lambda: sys.stderr)
    clock: Callable[[], float] = time.monotonic
    line_every_s: float = LINE_EVERY_S
    _bar: Any = None
    _task: Any = None
    _begun: tuple[float, int] | None = None
    _told_at: float = 0.0

    def __enter__(self) -> Self:
        if self.stream.isatty():
            self._bar = _rich_bar(self.stream)
            self._bar.start()
            self._task = self._bar.add_task("", total=None, told="")
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        if self._bar is not None:
            self._bar.stop()

    def tell(self, sums: Sums) -> None:
        """Tell where the batch stands."""
        now = self.clock()
        ended = sums.photos - sums.of("queued", "running")
        if self._begun is None:
            self._begun, self._told_at = (now, ended), now
        if self._bar is not None:
            self._bar.update(self._task, total=sums.photos, completed=ended, told=self._told(sums, now))
        elif now - self._told_at >= self.line_every_s:
            self._told_at = now
            note(f"{ended}/{sums.photos}{self._told(sums, now)}")

    def _told(self, sums: Sums, now: float) -> str:
        begun, before = self._begun or (now, 0)
        left = sums.of("queued", "running")
        made = sums.photos - left - before
        parts = [f"{sums.of('done')} done"]
        parts += [f"{count} {word}" for word, count in _others(sums)]
        if made and now > begun:
            rate = made / (now - begun)
            parts += [
                f"{rate:.1f} a second" if rate >= 1 else f"{60 * rate:.1f} a minute",
                f"{_span(left / rate)} left",
            ]
        return f"  {', '.join(parts)}"


def _others(sums: Sums) -> list[tuple[str, int]]:
    named = (("skipped", sums.of("skipped")), ("failed", sums.of("failed")), ("in doubt", sums.of("unknown")))
    return [(word, count) for word, count in named if count]


def outcome(sums: Sums) -> str:
    """Return what a batch came to, in words."""
    parts = [f"{sums.of('done')} done", *(f"{count} {word}" for word, count in _others(sums))]
    left = sums.of("queued", "running")
    return ", ".join([*parts, *([f"{left} left"] if left else [])])


def _span(seconds: float) -> str:
    minutes, seconds = divmod(round(seconds), 60)
    hours, minutes = divmod(minutes, 60)
    return f"{hours}:{minutes:02}:{seconds:02}" if hours else f"{minutes}:{seconds:02}"


def _rich_bar(stream: TextIO) -> Any:
    from rich.console import Console
    from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn

    return Progress(
        TextColumn("uncrop:"),
        BarColumn(30),
        MofNCompleteColumn(),
        TextColumn("{task.fields[told]}"),
        console=Console(file=stream),
        transient=True,
    )
