"""The variables that all programs share: proxies and certificates, read once and checked at the start.

``HTTP_PROXY``, ``HTTPS_PROXY``, ``ALL_PROXY`` and ``NO_PROXY`` are read in capital and small letters, small ones first,
as curl does; on macOS and Windows the system's own settings count where no variable is set. ``SSL_CERT_FILE`` and
``SSL_CERT_DIR`` replace the system's certificates, as in OpenSSL.
"""

from __future__ import annotations

import ipaddress
import os
import re
from contextlib import suppress
from pathlib import Path
from typing import TYPE_CHECKING
from urllib.request import getproxies

from uncrop.providers.transport.network import Network

if TYPE_CHECKING:
    import ssl

_SCHEMES = ("http", "https", "socks5", "socks5h")
_LAST_PORT = 65535
_SOCKS_BYTES = 255  # of a user name or password (RFC 1929)
_HOST = re.compile(r"[^\s%]+")
_NAME = re.compile(r"(?P<start>\*\.|\.)?(?P<host>[^\s/:*@\[\]]+|\[[0-9A-Fa-f:.]+\])(:[0-9]{1,5})?")
_NUMBERS = re.compile(r"[0-9.]+|\[.*\]")
_HASHED = re.compile(r"[0-9a-f]{8}\.[0-9]+")


def read_network() -> Network:
    """Read and check the environment's proxies and certificates."""
    problems: list[str] = []
    proxies = _proxies(problems)
    certificates = _certificates(problems)
    return Network(proxies=proxies, certificates=certificates, problems=tuple(problems))


def _proxies(problems: list[str]) -> dict[str, str | None]:
    found = getproxies()
    proxies: dict[str, str | None] = {}
    for kind in ("http", "https", "all"):
        address = found.get(kind, "").strip()
        if not address:
            continue
        address = address if "://" in address else f"http://{address}"
        if problem := _what_is_wrong(address):
            problems.append(f"{_variable(kind)}: {problem}")
        proxies[f"{kind}://"] = address
    if not proxies:
        return {}  # NO_PROXY has no meaning then
    for number, host in enumerate(filter(None, re.split(r"[,\s]+", found.get("no", ""))), 1):
        if host == "*":
            return {}
        if (pattern := _pattern(host)) is None:
            problems.append(f"{_variable('no')}: entry {number} is no host, address or network")
        else:
            proxies[pattern] = None
    return proxies


def _variable(kind: str) -> str:
    """Return the name of the variable that a value came from."""
    names = [name for name in os.environ if name.lower() == f"{kind}_proxy"]
    return min(names, key=lambda name: not name.islower(), default="the system's proxy settings")


def _what_is_wrong(address: str) -> str | None:
    """Return what is wrong with a proxy's address; it is not repeated, since it may hold a password."""
    import httpx2

    if not address.lower().startswith(tuple(f"{scheme}://" for scheme in _SCHEMES)):
        return "must begin with http://, https://, socks5:// or socks5h://"
    try:
        url = httpx2.URL(address)
    except (httpx2.InvalidURL, ValueError):
        return "must be scheme://host:port"
    if not _HOST.fullmatch(url.host) or (url.port is not None and not 0 < url.port <= _LAST_PORT):
        return "must be scheme://host:port"
    if url.scheme.startswith("socks5") and max(len(url.username.encode()), len(url.password.encode())) > _SOCKS_BYTES:
        return f"user name and password of a SOCKS proxy have at most {_SOCKS_BYTES} bytes"
    return None


def _pattern(entry: str) -> str | None:
    """Return what the HTTP client calls an entry of ``NO_PROXY``, or None when it is none.

    ``.example.com`` and ``*.example.com`` are the hosts below it, ``example.com`` is the host too; ``10.0.0.0/8`` is a
    network; a port may follow all but networks.
    """
    import httpx2

    try:
        number = ipaddress.ip_interface(entry[1:-1] if entry.startswith("[") and entry.endswith("]") else entry)
    except ValueError:
        named = _NAME.fullmatch(entry)
        if named is None:
            return None
        exactly = named["host"].lower() == "localhost" or named["start"] == "*." or _NUMBERS.fullmatch(named["host"])
        pattern = f"all://{entry}" if exactly else f"all://*{entry}"
    else:
        literal = f"[{number.ip}]" if number.version == 6 else str(number.ip)
        pattern = f"all://{literal}/{number.network.prefixlen}" if "/" in entry else f"all://{literal}"
    try:
        httpx2.URL(pattern)
    except httpx2.InvalidURL:
        return None
    return pattern


def _certificates(problems: list[str]) -> ssl.SSLContext | None:
    file, folders = os.environ.get("SSL_CERT_FILE"), os.environ.get("SSL_CERT_DIR")
    if not file and not folders:
        return None
    import ssl

    # Not ``create_default_context``, which may also write what is sent into the file that SSLKEYLOGFILE names.
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
    if file:
        try:
            context.load_verify_locations(cafile=file)
        except ssl.SSLError:
            problems.append("SSL_CERT_FILE: the file holds no certificates in PEM form")
        except OSError as error:
            problems.append(f"SSL_CERT_FILE: cannot be read ({(error.strerror or 'unknown reason').lower()})")
    if folders:
        names = _names_in(folders.split(os.pathsep))
        if names is None:
            problems.append("SSL_CERT_DIR: there is no such folder, or it cannot be read")
        elif not file and not any(map(_HASHED.fullmatch, names)):
            problems.append("SSL_CERT_DIR: holds no certificates under their hashes, as `openssl rehash` names them")
        else:
            context.load_verify_locations(capath=folders)
    return context


def _names_in(folders: list[str]) -> list[str] | None:
    """Return what lies in those folders that can be read; None when none of them can."""
    found: list[str] | None = None
    for folder in filter(None, folders):
        with suppress(OSError):
            found = [*(found or ()), *(path.name for path in Path(folder).iterdir())]
    return found
