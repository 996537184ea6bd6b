"""The log as people read it in a terminal: a request is one short line."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import structlog

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping

    from structlog.typing import EventDict, WrappedLogger

_COLOURS = {2: "\x1b[32m", 3: "\x1b[36m", 4: "\x1b[33m", 5: "\x1b[31m"}
_PLAIN = "\x1b[0m"


class ConsoleLines:
    """Renders a request as ``POST 200 1.7 s local 1536x768 org_shop``, and all else as structlog does.

    Parameters
    ----------
    colours
        Whether the terminal has colours, and they are wanted.
    """

    def __init__(self, *, colours: bool) -> None:
        self._colours = colours
        # Rich tracebacks would print the local variables, and with them keys and pixels.
        self._other = structlog.dev.ConsoleRenderer(colors=colours, exception_formatter=structlog.dev.plain_traceback)

    def __call__(self, logger: WrappedLogger, method: str, event: EventDict) -> str:
        """Return the line."""
        if event.get("event") != "request" or "method" not in event:
            return str(self._other(logger, method, event))
        return " ".join(self._request(event))

    def _request(self, event: Mapping[str, Any]) -> Iterator[str]:
        status = str(event["status"])
        yield event["method"]
        yield f"{_COLOURS.get(int(status[0]), '')}{status}{_PLAIN}" if self._colours else status
        yield duration(event["milliseconds"])
        sizes = [each["size"] for each in event.get("pictures", [event]) if "size" in each]
        if not sizes:
            yield event["route"]
        if "provider" in event:
            yield event["provider"]
        yield from sizes
        if event["outcome"] != "OK":
            yield event["outcome"]
        if "organization" in event:
            yield event["organization"]
        if int(status) >= 500:
            yield f"trace {event.get('trace_id')}: {event.get('reason') or 'no reason known'}"


def duration(milliseconds: float) -> str:
    """Return a time as people read it: ``12 ms``, ``1.7 s``."""
    return f"{milliseconds:.0f} ms" if milliseconds < 100 else f"{milliseconds / 1000:.1f} s"
