from __future__ import annotations

import io
import json
import logging
from typing import TYPE_CHECKING

import pytest
import structlog

from uncrop.server import logs
from uncrop.settings import Settings

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

KEY = "uncrop_AbCdEf1234_" + "s" * 43


class Terminal(io.StringIO):
    def isatty(self) -> bool:
        return True


@pytest.fixture(autouse=True)
def _as_before() -> Iterator[None]:
    """Put the log back as the tests have it."""
    before, root = structlog.get_config(), logging.getLogger()
    handlers, level = list(root.handlers), root.level
    yield
    structlog.configure(**before)
    root.handlers[:] = handlers
    root.setLevel(level)


def lines(stream: io.StringIO) -> list[dict[str, object]]:
    return [json.loads(line) for line in stream.getvalue().splitlines()]


def test_every_event_is_one_json_line_when_nobody_looks() -> None:
    stream = io.StringIO()
    logs.configure("auto", "info", stream=stream)
    with structlog.contextvars.bound_contextvars(trace_id="t"):
        structlog.stdlib.get_logger("uncrop.server").info("request", status=200, route="/livez")
    logging.getLogger("uvicorn.error").warning("Invalid %s", "thing")
    first, second = lines(stream)
    assert first.pop("timestamp")
    assert first == {
        "event": "request",
        "level": "info",
        "logger": "uncrop.server",
        "route": "/livez",
        "status": 200,
        "trace_id": "t",
    }
    assert (second["event"], second["level"], second["logger"]) == ("Invalid thing", "warning", "uvicorn.error")


@pytest.mark.parametrize(("log_format", "stream"), [("auto", Terminal()), ("console", io.StringIO())])
def test_a_terminal_gets_text(log_format: logs.LogFormat, stream: io.StringIO) -> None:
    logs.configure(log_format, "info", stream=stream)
    structlog.stdlib.get_logger("uncrop.server").info("request", status=200)
    assert "request" in stream.getvalue()
    assert not stream.getvalue().startswith("{")


REQUEST = {
    "method": "POST",
    "route": "/api/v1/images/uncrop",
    "status": 200,
    "outcome": "OK",
    "milliseconds": 1712.3,
    "provider": "local",
    "size": "1536x768",
    "organization": "org_shop",
}


@pytest.mark.parametrize(
    ("facts", "line"),
    [
        ({}, "POST 200 1.7 s local 1536x768 org_shop"),
        (
            {"size": None, "status": 422, "outcome": "INVALID_IMAGE", "milliseconds": 12.4},
            "POST 422 12 ms /api/v1/images/uncrop local INVALID_IMAGE org_shop",
        ),
        (
            {"size": None, "pictures": [{"size": "8x6"}, {"size": "9x6"}]},
            "POST 200 1.7 s local 8x6 9x6 org_shop",
        ),
        (
            {"size": None, "status": 503, "outcome": "SERVER_BUSY", "reason": "No slot", "trace_id": "t1"},
            "POST 503 1.7 s /api/v1/images/uncrop local SERVER_BUSY org_shop trace t1: No slot",
        ),
        (
            {"size": None, "provider": None, "organization": None, "method": "GET", "route": "/", "milliseconds": 0.6},
            "GET 200 1 ms /",
        ),
    ],
)
def test_in_a_terminal_a_request_is_a_short_line(
    monkeypatch: pytest.MonkeyPatch, facts: dict[str, object], line: str
) -> None:
    monkeypatch.setenv("NO_COLOR", "1")
    terminal = Terminal()
    logs.configure("auto", "info", stream=terminal)
    known = {name: value for name, value in {**REQUEST, **facts}.items() if value is not None}
    structlog.stdlib.get_logger("uncrop.server").info("request", **known)
    assert terminal.getvalue() == f"{line}\n"


@pytest.mark.parametrize(
    ("variables", "colours"),
    [({}, True), ({"NO_COLOR": ""}, True), ({"NO_COLOR": "1"}, False), ({"TERM": "dumb"}, False)],
)
def test_colours_are_for_terminals_that_have_and_want_them(
    monkeypatch: pytest.MonkeyPatch, variables: dict[str, str], colours: bool
) -> None:
    for name, value in {"NO_COLOR": "", "TERM": "xterm", **variables}.items():
        monkeypatch.setenv(name, value)
    for stream, expected in ((Terminal(), colours), (io.StringIO(), False)):
        logs.configure("console", "info", stream=stream)
        logger = structlog.stdlib.get_logger("uncrop.server")
        logger.info("request", **REQUEST)
        logger.warning("something else")
        assert ("\x1b[" in stream.getvalue()) is expected


def test_a_terminal_can_be_told_json() -> None:
    stream = Terminal()
    logs.configure("json", "info", stream=stream)
    structlog.stdlib.get_logger("a").info("b")
    assert lines(stream)[0]["event"] == "b"


def test_what_is_below_the_level_is_left_out() -> None:
    stream = io.StringIO()
    logs.configure("json", "warning", stream=stream)
    structlog.stdlib.get_logger("a").info("b")
    logging.getLogger("python_multipart.multipart").warning("did not find a boundary")
    assert stream.getvalue() == ""


def test_calls_to_providers_have_no_line_of_their_own() -> None:
    stream = io.StringIO()
    logs.configure("json", "info", stream=stream)
    logging.getLogger("httpx2").info("HTTP Request: POST http://somewhere")
    logging.getLogger("httpcore2.connection").info("connected")
    assert stream.getvalue() == ""


def test_configuring_again_does_not_say_everything_twice() -> None:
    first, second = io.StringIO(), io.StringIO()
    logs.configure("json", "info", stream=first)
    logs.configure("json", "info", stream=second)
    structlog.stdlib.get_logger("a").info("b")
    assert (first.getvalue(), len(lines(second))) == ("", 1)


@pytest.mark.parametrize("log_format", ["json", "console"])
def test_no_local_variable_and_no_key_of_an_exception_reaches_the_log(log_format: logs.LogFormat) -> None:
    stream = io.StringIO()
    logs.configure(log_format, "info", stream=stream)

    def fail(pixels: str) -> None:
        raise RuntimeError(f"refused {KEY} with Bearer {'t' * 30} and sk-{'o' * 30} by {len(pixels)}")

    try:
        fail("CANARY" * 3)
    except RuntimeError as error:
        structlog.stdlib.get_logger("a").error("failed", exc_info=error)
    text = stream.getvalue()
    assert "RuntimeError: refused uncrop_AbCdEf1234_[redacted] with Bearer [redacted] and sk-[redacted] by 18" in text
    assert "CANARYCANARY" not in text


@pytest.mark.parametrize("hostile", ["a\r\nb", "\x1b[31mred\x1b[0m", '"}\n{"level":"info"', "\x9b2J", "a\x00b"])
def test_no_value_can_forge_a_line_or_steer_a_terminal(hostile: str) -> None:
    for log_format in ("json", "console"):
        stream = io.StringIO()
        logs.configure(log_format, "info", stream=stream)  # type: ignore[arg-type]
        structlog.stdlib.get_logger("a").info("b", value=hostile)
        text = stream.getvalue()
        assert not any(character in text for character in "\r\x1b\x9b\x00")
        if log_format == "json":
            assert len(text.splitlines()) == 1


def test_the_settings_say_how(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    logs.configure_logs(Settings(data_dir=tmp_path, log_format="json", log_level="error", _env_file=None))
    structlog.stdlib.get_logger("a").warning("quiet")
    structlog.stdlib.get_logger("a").error("loud")
    assert [json.loads(line)["event"] for line in capsys.readouterr().err.splitlines()] == ["loud"]
