"""`uncrop emulate`."""

from __future__ import annotations

import re
import signal
import socket
import threading

import httpx2
import pytest
import typer
from typer.testing import CliRunner

from uncrop.cli import emulate
from uncrop.testing.clipdrop import ClipdropEmulator

app = typer.Typer()
app.command()(emulate.emulate)


@pytest.mark.parametrize(
    ("provider", "path", "status"),
    [
        ("bfl", "/v1/flux-tools/outpainting-v1", 403),
        ("bria", "/v2/image/edit/expand", 401),
        ("clipdrop", "/uncrop/v1", 401),
        ("comfyui", "/upload/image", 400),
        ("openai", "/images/edits", 401),
        ("sdapi", "/sdapi/v1/img2img", 422),
        ("stability", "/v2beta/stable-image/edit/outpaint", 400),
    ],
)
def test_it_prints_the_settings_and_answers(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str], provider: str, path: str, status: int
) -> None:
    seen: list[int] = []

    def call_instead_of_waiting() -> None:
        base = re.search(r"_BASE_URL=(\S+)", capsys.readouterr().out)
        assert base is not None
        seen.append(httpx2.post(base[1] + path, trust_env=False).status_code)

    monkeypatch.setattr(emulate, "wait_for_interrupt", call_instead_of_waiting)
    emulate.emulate(provider, port=0, host="127.0.0.1")  # type: ignore[arg-type]
    assert seen == [status]


def test_the_lines_can_be_pasted_into_a_shell(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(emulate, "wait_for_interrupt", lambda: None)
    result = CliRunner().invoke(app, ["openai"])
    assert result.exit_code == 0
    first, second = result.stdout.splitlines()
    assert re.fullmatch(r"export UNCROP_OPENAI_BASE_URL=http://127\.0\.0\.1:\d+/v1", first)
    assert second == "export UNCROP_OPENAI_API_KEY=emulated"


@pytest.mark.parametrize(("dialect", "status"), [("a1111", 200), ("forge", 200), ("sdnext", 204)])
def test_a_dialect_can_be_chosen(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str], dialect: str, status: int
) -> None:
    seen: list[int] = []

    def call_instead_of_waiting() -> None:
        printed = capsys.readouterr().out
        base = re.fullmatch(r"export UNCROP_SDAPI_BASE_URL=(\S+)\n", printed)  # and no key
        assert base is not None
        seen.append(httpx2.post(base[1] + "/sdapi/v1/interrupt", trust_env=False).status_code)

    monkeypatch.setattr(emulate, "wait_for_interrupt", call_instead_of_waiting)
    emulate.emulate("sdapi", port=0, host="127.0.0.1", dialect=dialect)
    assert seen == [status]


@pytest.mark.parametrize(
    ("provider", "known"),
    [("sdapi", "it has a1111, forge, sdnext"), ("openai", "it has no others than its own")],
)
def test_a_dialect_that_there_is_not_is_one_line(provider: str, known: str) -> None:
    result = CliRunner().invoke(app, [provider, "--dialect", "klingon"])
    assert result.exit_code == 2
    assert result.stderr == f"uncrop: --dialect klingon: {provider} has no such dialect; {known}\n"


def test_a_taken_port_is_one_line() -> None:
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))
        taken.listen()
        port = taken.getsockname()[1]
        result = CliRunner().invoke(app, ["clipdrop", "--port", str(port)])
    assert result.exit_code == 2
    assert result.stdout == ""
    assert result.stderr == f"uncrop: cannot listen on 127.0.0.1 port {port} (address already in use); try --port\n"


@pytest.mark.parametrize("arguments", [["midjourney"], [], ["openai", "--port", "70000"]])
def test_wrong_use_is_exit_code_2(arguments: list[str]) -> None:
    assert CliRunner().invoke(app, arguments).exit_code == 2


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM])
@pytest.mark.parametrize("before", [signal.SIG_IGN, signal.default_int_handler])
def test_an_interrupt_ends_it(number: int, before: signal.Handlers, monkeypatch: pytest.MonkeyPatch) -> None:
    class Interrupted(threading.Event):
        def wait(self, timeout: float | None = None) -> bool:
            signal.raise_signal(number)
            return super().wait(timeout)

    kept = signal.signal(number, before)
    try:
        monkeypatch.setattr(emulate.threading, "Event", Interrupted)
        emulate.wait_for_interrupt()
        assert signal.getsignal(number) is before
    finally:
        signal.signal(number, kept)


def test_calls_are_not_kept_when_nobody_will_look() -> None:
    with ClipdropEmulator() as clipdrop:
        clipdrop.keeps_calls = False
        assert httpx2.post(f"{clipdrop.url}/uncrop/v1").status_code == 401
        assert clipdrop.calls == []
