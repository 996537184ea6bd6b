"""Raw connections: requests written byte by byte, answers read one by one."""

from __future__ import annotations

import json
import socket
from typing import TYPE_CHECKING, Any, Self

from fixtures_http import Refusal, check_refusal
from fixtures_server import KEY, ORGANIZATION, PATH
from uncrop.server.protocol import BoundedProtocol

if TYPE_CHECKING:
    from fixtures_server import Running

BOUNDARY = "frontier"


class Hasty(BoundedProtocol):
    """The real bounds, in less time."""

    head_s = 0.6
    linger_s = 0.5
    write_stall_s = 0.2


def requests_seen(server: Running) -> int:
    uncropper: Any = server.service.uncropper
    return len(uncropper.requests)


class Answer:
    """One answer off a raw connection."""

    def __init__(self, head: bytes, body: bytes) -> None:
        lines = head.decode().split("\r\n")
        self.status = int(lines[0].split(" ")[1])
        self.headers = {name.lower(): value for name, _, value in (line.partition(": ") for line in lines[1:])}
        self.body = body

    def check(self, expected: Refusal) -> None:
        check_refusal(self.status, self.headers, json.loads(self.body), expected)


class Wire:
    """A raw connection that is read answer by answer."""

    def __init__(self, server: Running) -> None:
        self.socket = server.connect()
        self._read = self.socket.makefile("rb")

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    def close(self) -> None:
        self._read.close()
        self.socket.close()

    def send(self, data: bytes) -> None:
        self.socket.sendall(data)

    def line(self) -> bytes:
        return self._read.readline()

    def answer(self) -> Answer:
        head = b""
        while not head.endswith(b"\r\n\r\n"):
            line = self._read.readline()
            assert line, f"the connection ended within a head: {head!r}"
            head += line
        answer = Answer(head.removesuffix(b"\r\n\r\n"), b"")
        answer.body = self._read.read(int(answer.headers.get("content-length", "0")))
        return answer

    def rest(self) -> bytes:
        """Read to the end of the connection."""
        return self._read.read()

    def is_closed(self) -> bool:
        """Wait for the end; anything else that comes is an answer too many."""
        try:
            rest = self._read.read()
        except ConnectionResetError:
            return True
        assert rest == b"", rest
        return True


def head(*lines: str, method: str = "POST", path: str = PATH, host: str | None = "a.example", key: str = KEY) -> bytes:
    first = [f"{method} {path} HTTP/1.1", *([] if host is None else [f"Host: {host}"]), f"X-API-Key: {key}"]
    return "\r\n".join([*first, *lines, "", ""]).encode("latin-1")


def form(image: bytes = b"photo", *, end: bool = True) -> bytes:
    texts = {"provider": "clipdrop", "organization_id": ORGANIZATION}
    parts = [
        f'--{BOUNDARY}\r\nContent-Disposition: form-data; name="{name}"\r\n\r\n{value}\r\n'.encode()
        for name, value in texts.items()
    ]
    file_head = f'--{BOUNDARY}\r\nContent-Disposition: form-data; name="image_file"; filename="a.jpg"\r\n\r\n'
    return b"".join([*parts, file_head.encode(), image, b"\r\n", f"--{BOUNDARY}--\r\n".encode() if end else b""])


FORM_TYPE = f"Content-Type: multipart/form-data; boundary={BOUNDARY}"


def whole(body: bytes | None = None, *lines: str, **options: Any) -> bytes:
    body = form() if body is None else body
    return head(FORM_TYPE, f"Content-Length: {len(body)}", *lines, **options) + body


def chunked(*chunks: bytes, end: bytes = b"0\r\n\r\n") -> bytes:
    return b"".join(b"%x\r\n%s\r\n" % (len(chunk), chunk) for chunk in chunks) + end


LIVEZ = b"GET /livez HTTP/1.1\r\nHost: a\r\n\r\n"
TE = "Transfer-Encoding: chunked"


def send_what_goes(connection: socket.socket, data: bytes) -> None:
    """Send until the server has heard enough."""
    try:
        connection.sendall(data)
    except OSError:
        return
