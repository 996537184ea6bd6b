"""`uncrop emulate`."""

from __future__ import annotations

import re
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


def test_an_interrupt_ends_it(monkeypatch: pytest.MonkeyPatch) -> None:
    class Interrupted(threading.Event):
        def wait(self, timeout: float | None = None) -> bool:
            raise KeyboardInterrupt

    monkeypatch.setattr(emulate.threading, "Event", Interrupted)
    emulate.wait_for_interrupt()


def test_calls_are_not_kept_when_nobody_will_look() -> None:
    with ClipdropEmulator() as clipdrop:
        clipdrop.keeps_calls = False
        assert httpx2.post(f"{clipdrop.url}/uncrop/v1").status_code == 401
        assert clipdrop.calls == []
