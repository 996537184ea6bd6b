"""Multipart bodies and raw requests that are nearly, or not at all, what they should be."""

from __future__ import annotations

import random
from typing import TYPE_CHECKING

from fixtures_wire import BOUNDARY, FORM_TYPE, LIVEZ, TE, chunked, form, head, whole

if TYPE_CHECKING:
    from collections.abc import Callable

B = BOUNDARY.encode()
LINE = b"\r\n--" + B
PIECES = (
    b"\r\n",
    b"--",
    LINE,
    LINE + b"--",
    b"--" + B + b"--\r\n",
    b"\0",
    b"\xff\xfe",
    b'Content-Disposition: form-data; name="image_file"; filename="a"\r\n',
    b'; name="provider"',
    b"; filename*=UTF-8''%e2%82%ac",
    b"Content-Transfer-Encoding: base64\r\n",
    b"Content-Type: multipart/mixed; boundary=x\r\n",
    b"\r\n\r\n",
    b"\n",
    b'"',
    b"\\",
    b";" * 50,
)


def mutated(data: bytes, *, seed: int) -> bytes:
    """Change a body in one to four places: bits, cuts, doubled and strange pieces."""
    chance = random.Random(seed)
    for _ in range(chance.randint(1, 4)):
        at, end = sorted(chance.randrange(len(data) + 1) for _ in range(2))
        match chance.randrange(5):
            case 0:
                data = data[:at] + bytes([chance.randrange(256)]) + data[at + 1 :]
            case 1:
                data = data[:at] + data[end:]
            case 2:
                data = data[:end] + data[at:end] + data[end:]
            case 3:
                data = data[:at] + chance.choice(PIECES) + data[at:]
            case _:
                data = data[:at]
    return data


REQUESTS = (
    LIVEZ,
    whole(),
    head(FORM_TYPE, TE) + chunked(form()),
    head(FORM_TYPE, f"Content-Length: {len(form())}", "Expect: 100-continue") + form(),
    head(FORM_TYPE, "Connection: Upgrade", "Upgrade: h2c", f"Content-Length: {len(form())}") + form(),
    head("Accept: */*", method="GET", path="/openapi.json"),
    head("Range: bytes=0-10,5-20", method="HEAD", path="/"),
    head("Origin: https://a.example", "Access-Control-Request-Method: POST", method="OPTIONS"),
)


def raw(*, seed: int) -> bytes:
    """Make a request that was changed anywhere, its head included."""
    chance = random.Random(seed)
    data = mutated(chance.choice(REQUESTS), seed=seed)
    if chance.random() < 0.3:
        line = chance.choice([b"Transfer-Encoding: chunked", b"Content-Length: 7", b"Host: b", b"X: \x80", b" folded"])
        data = data.replace(b"\r\n", b"\r\n" + line + b"\r\n", 1)
    return data


def _parts(number: int) -> bytes:
    return b"".join(
        b'--%s\r\nContent-Disposition: form-data; name="n%d"\r\n\r\nx\r\n' % (B, at) for at in range(number)
    )


def _disposition(more: bytes) -> bytes:
    return b'--%s\r\nContent-Disposition: form-data; name="provider"%s\r\n\r\nx\r\n--%s--\r\n' % (B, more, B)


# Each grows with its argument, a number of bytes; what parsers of forms have fallen for.
ATTACKS: dict[str, Callable[[int], bytes]] = {
    "a preamble": lambda size: b"x" * size + b"\r\n" + form(),
    "a preamble of line ends": lambda size: b"\r\n" * (size // 2) + form(),
    "a preamble of nearly boundaries": lambda size: (b"\r\n--" + B[:-1]) * (size // 12) + b"\r\n" + form(),
    "an epilogue": lambda size: form() + b"x" * size,
    "an epilogue of line ends": lambda size: form() + b"\r\n" * (size // 2),
    "a file of line ends": lambda size: form(b"\r\n" * (size // 2)),
    "a file of returns": lambda size: form(b"\r" * size),
    "a file of nearly boundaries": lambda size: form((b"\r\n--" + B[:-1]) * (size // 12)),
    "a file of dashes": lambda size: form(b"-" * size),
    "parts without end": lambda size: _parts(size // 70) + b"--" + B + b"--\r\n",
    "headers of a part without end": lambda size: (
        b"--" + B + b"\r\n" + b"X-A: b\r\n" * (size // 8) + b"\r\nx\r\n--" + B + b"--\r\n"
    ),
    "a header of a part without end": lambda size: b"--" + B + b"\r\nX-A: " + b"b" * size + b"\r\n\r\nx\r\n",
    "a header's name without end": lambda size: b"--" + B + b"\r\n" + b"X" * size + b": b\r\n\r\nx\r\n",
    "a file name without end": lambda size: _disposition(b'; filename="' + b"a" * size + b'"'),
    "parameters without end": lambda size: _disposition(b"; a=b" * (size // 5)),
    "quotes without end": lambda size: _disposition(b"; a=" + b'\\"' * (size // 2)),
    "pieces of a file name": lambda size: _disposition(b"".join(b"; filename*%d=a" % at for at in range(size // 16))),
}

# What a text or a file's name may hold.
HOSTILE = (
    "../../../../etc/passwd",
    "..\\..\\windows\\win.ini",
    "/etc/passwd",
    "C:\\x",
    "\\\\host\\share",
    "%2e%2e%2f",
    "a\0.png",
    "a\r\nX-Injected: yes",
    "a\nSet-Cookie: b=c",
    "a\u2028b",
    "\u202egpj.exe",
    "\ufeff",
    "a" * 300,
    "a" * 5000,
    "🎈" * 60,
    "ÿ",
    "ﷺ" * 40,
    "Z̮̞̠͙͔ͅḀ̗̞͈̻̗Ḷ͙͎̯̹̞͓G̻O̭̗̮",
    "',-- ; DROP TABLE keys",
    "1 OR 1=1",
    "<script>alert(1)</script>",
    "{{7*7}}",
    "${jndi:ldap://127.0.0.1/a}",
    "%s%n%x",
    "$(reboot)",
    "`reboot`",
    "| cat /etc/passwd",
    "NaN",
    "Infinity",
    "-0",
    "1e309",
    "9" * 400,
    "0x10",
    "١٢٣",
    "true",
    "null",
    "None",
    "undefined",
    "[object Object]",
    "__proto__",
    "",
    " ",
    "\t",
    "\x1b[31mred",
    "\x07",
    "\x7f",
    "\u0080\u009f",
    "\ud7ff\ue000",
    "CON",
    "NUL",
    ".",
    "..",
    "~root",
    "file:///etc/passwd",
    "http://169.254.169.254/",
    'a"; filename="b',
    "a; name=provider",
    "=?utf-8?q?a?=",
    "utf-8''a",
    "--" + BOUNDARY,
)
