"""The port is taken at once, and by one server alone."""

from __future__ import annotations

import socket
from contextlib import closing

import pytest
import typer

from uncrop.cli import serve


def test_of_two_servers_that_start_together_the_second_says_so(capsys: pytest.CaptureFixture[str]) -> None:
    with closing(serve._listen("127.0.0.1", 0)) as first:
        port = first.getsockname()[1]
        with pytest.raises(typer.Exit) as caught:
            serve._listen("127.0.0.1", port)
        assert caught.value.exit_code == 2
        assert capsys.readouterr().err == (
            f"uncrop: cannot listen on 127.0.0.1 port {port} (address already in use); try another --port\n"
        )
        with socket.create_connection(("127.0.0.1", port), timeout=60):  # waits to be accepted
            pass
    serve._listen("127.0.0.1", port).close()  # it is free again


def test_a_port_that_another_has_bound_and_not_yet_listens_on(capsys: pytest.CaptureFixture[str]) -> None:
    with socket.socket() as other:
        other.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        other.bind(("127.0.0.1", 0))
        ours = serve._listen("127.0.0.1", other.getsockname()[1])
        with closing(ours), pytest.raises(OSError, match="in use"):
            other.listen()


@pytest.mark.parametrize("host", ["no-such-host.invalid.", "1.2.3.4.5", "a..b", "x" * 300, "::g", "203.0.113.7"])
def test_an_address_that_is_none_is_one_line(
    host: str, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    def unknown(*_: object) -> None:
        raise socket.gaierror(socket.EAI_NONAME, "Name or service not known")

    if host.startswith("no-such"):  # no test asks a name server
        monkeypatch.setattr(socket.socket, "bind", unknown)
    with pytest.raises(typer.Exit) as caught:
        serve._listen(host, 0)
    assert caught.value.exit_code == 2
    said = capsys.readouterr().err
    assert said.startswith(f"uncrop: cannot listen on {host} port 0 (")
    assert said.endswith("); try another --host\n")
    assert said.count("\n") == 1
