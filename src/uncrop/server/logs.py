"""The log, by structlog: a JSON object a line, or text in a terminal. The standard library's log goes through it."""

from __future__ import annotations

import logging
import re
import sys
from typing import TYPE_CHECKING, Literal, TextIO

import structlog

from uncrop.server.log_lines import ConsoleLines
from uncrop.settings.terminal import has_colour

if TYPE_CHECKING:
    from structlog.typing import EventDict, Processor, WrappedLogger

    from uncrop.settings import Settings

LogFormat = Literal["auto", "json", "console"]

# Nothing that is logged on purpose holds a key. This is for the texts of foreign exceptions.
_SECRETS = re.compile(r"(uncrop_[A-Za-z0-9]+_|sk-|Bearer |x-api-key\W+)[A-Za-z0-9_\-.=+/]{8,}", re.IGNORECASE)
_CONTROLS = re.compile(r"[\x00-\x08\x0b-\x1f\x7f-\x9f]")
_HANDLER_NAME = "uncrop"


def configure_logs(settings: Settings) -> None:
    """Send everything that is logged to standard error, as the settings say."""
    configure(settings.log_format, settings.log_level)


def configure(log_format: LogFormat, level: str, *, stream: TextIO | None = None) -> None:
    """Send everything that is logged to ``stream``.

    Parameters
    ----------
    log_format
        ``auto``: text when the stream is a terminal, else JSON.
    level
        ``debug``, ``info``, ``warning`` or ``error``.
    stream
        Standard error when absent.
    """
    target = sys.stderr if stream is None else stream
    console = log_format == "console" or (log_format == "auto" and target.isatty())
    before: list[Processor] = [
        structlog.contextvars.merge_contextvars,
        structlog.stdlib.add_log_level,
        structlog.stdlib.add_logger_name,
        structlog.processors.TimeStamper(fmt="iso", utc=True),
        structlog.processors.format_exc_info,
        redact,
    ]
    structlog.configure(
        processors=[*before, structlog.stdlib.ProcessorFormatter.wrap_for_formatter],
        wrapper_class=structlog.stdlib.BoundLogger,
        logger_factory=structlog.stdlib.LoggerFactory(),
        cache_logger_on_first_use=False,
    )
    _send_standard_log(target, level, before, console=console)


def _send_standard_log(stream: TextIO, level: str, before: list[Processor], *, console: bool) -> None:
    renderer: Processor = (
        ConsoleLines(colours=has_colour(stream)) if console else structlog.processors.JSONRenderer(default=str)
    )
    handler = logging.StreamHandler(stream)
    handler.set_name(_HANDLER_NAME)
    handler.setFormatter(
        structlog.stdlib.ProcessorFormatter(
            foreign_pre_chain=before,
            processors=[structlog.stdlib.ProcessorFormatter.remove_processors_meta, renderer],
        )
    )
    root = logging.getLogger()
    for old in [old for old in root.handlers if old.get_name() == _HANDLER_NAME]:
        root.removeHandler(old)
    root.addHandler(handler)
    root.setLevel(level.upper())
    # It comments on every malformed form; the request's own line already says what came of it.
    logging.getLogger("python_multipart").setLevel(logging.ERROR)
    # It repeats every call to a provider, with the address; one line a request is enough.
    for name in ("httpx2", "httpcore2"):
        logging.getLogger(name).setLevel(logging.WARNING)


def redact(_logger: WrappedLogger, _method: str, event: EventDict) -> EventDict:
    """Blot out what looks like a key, and control characters that could forge a line, in every text."""
    for name, value in event.items():
        if isinstance(value, str):
            event[name] = _CONTROLS.sub("�", _SECRETS.sub(r"\1[redacted]", value))
    return event
