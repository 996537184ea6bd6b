"""Proxies and certificates of the environment are looked at at the start, and every mistake has its variable's name."""

from __future__ import annotations

import os
import ssl
from pathlib import Path

import httpx2
import pytest

from uncrop import settings
from uncrop.errors import SettingsError
from uncrop.providers.transport.sender import open_client
from uncrop.settings.network import read_network

VARIABLES = ("HTTP_PROXY", "HTTPS_PROXY", "ALL_PROXY", "NO_PROXY", "SSL_CERT_FILE", "SSL_CERT_DIR", "REQUEST_METHOD")


@pytest.fixture(autouse=True)
def _empty_environment(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    for name in list(os.environ):
        if name.startswith("UNCROP_") or name.upper() in VARIABLES:
            monkeypatch.delenv(name)
    monkeypatch.chdir(tmp_path)


@pytest.fixture(scope="session")
def certificates() -> str:
    """Return some certificates in PEM form: those of the system."""
    paths = ssl.get_default_verify_paths()
    for path in (paths.cafile, paths.openssl_cafile, "/etc/ssl/certs/ca-certificates.crt"):
        if path is not None and Path(path).is_file():
            return path
    pytest.skip("this machine has no certificates")


async def way(address: str) -> str | None:
    """Return the proxy through which the real client asks for an address; None when it asks directly."""
    async with open_client(read_network()) as client:
        transport = client._transport_for_url(httpx2.URL(address))
        proxy = getattr(transport._pool, "_proxy_url", None)  # type: ignore[attr-defined]
        return None if proxy is None else f"{proxy.scheme.decode()}://{proxy.host.decode()}:{proxy.port}"


async def test_without_variables_calls_go_out_directly_and_the_systems_certificates_count() -> None:
    network = read_network()
    assert (network.proxies, network.certificates, network.problems) == ({}, None, ())
    assert await way("https://a.example/") is None


@pytest.mark.parametrize("name", ["HTTPS_PROXY", "https_proxy", "ALL_PROXY", "all_proxy"])
@pytest.mark.parametrize(
    ("value", "proxy"),
    [
        ("http://proxy.example:3128", "http://proxy.example:3128"),
        ("https://u:p@proxy.example:3128/", "https://proxy.example:3128"),
        ("proxy.example:3128", "http://proxy.example:3128"),
        (" socks5://127.0.0.1:1080", "socks5://127.0.0.1:1080"),
        ("SOCKS5H://[::1]:1080", "socks5h://::1:1080"),
    ],
)
async def test_a_proxy_is_used(monkeypatch: pytest.MonkeyPatch, name: str, value: str, proxy: str) -> None:
    monkeypatch.setenv(name, value)
    assert read_network().problems == ()
    assert await way("https://a.example/") == proxy
    assert (await way("http://a.example/") is None) == (name.lower() == "https_proxy")


async def test_small_letters_come_first(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("HTTPS_PROXY", "foo://bar")
    monkeypatch.setenv("https_proxy", "http://proxy.example:1")
    assert await way("https://a.example/") == "http://proxy.example:1"


@pytest.mark.parametrize("name", ["HTTP_PROXY", "HTTPS_PROXY", "ALL_PROXY", "http_proxy", "https_proxy", "all_proxy"])
@pytest.mark.parametrize(
    ("value", "problem"),
    [
        ("foo://bar", "must begin with http://, https://, socks5:// or socks5h://"),
        ("socks4://hunter2:1", "must begin with http://, https://, socks5:// or socks5h://"),
        ("http://", "must be scheme://host:port"),
        ("http://:80", "must be scheme://host:port"),
        ("http://hunter2:port", "must be scheme://host:port"),
        ("http://hunter2:0", "must be scheme://host:port"),
        ("http://hunter2:65536", "must be scheme://host:port"),
        ("http://hunter2 two:80", "must be scheme://host:port"),
        ("http://[::1:80", "must be scheme://host:port"),
        ("http://u:hunter2#@proxy.example:80", "must be scheme://host:port"),
        (f"socks5://u:{'x' * 256}@h:1", "user name and password of a SOCKS proxy have at most 255 bytes"),
    ],
)
def test_a_proxy_that_is_none_is_told_without_its_password(
    monkeypatch: pytest.MonkeyPatch, name: str, value: str, problem: str
) -> None:
    monkeypatch.setenv(name, value)
    assert read_network().problems == (f"{name}: {problem}",)
    with pytest.raises(SettingsError) as caught:
        open_client(read_network())
    assert caught.value.problems == [f"{name}: {problem}"]


@pytest.mark.parametrize("name", ["NO_PROXY", "no_proxy"])
@pytest.mark.parametrize(
    ("listed", "direct", "through"),
    [
        ("*", ["https://a.example/"], []),
        ("a.example", ["https://a.example/", "https://b.a.example/"], ["https://ba.example/"]),
        (".a.example,*.b.example", ["https://x.a.example/", "https://x.b.example/"], ["https://b.example/"]),
        ("localhost 127.0.0.1", ["http://localhost:8/", "http://127.0.0.1:9/"], ["http://127.0.0.2/"]),
        ("10.0.0.0/8, fd00::/8", ["https://10.1.2.3/", "https://[fd00::1]/"], ["https://11.0.0.1/"]),
        ("10.0.0.1/8", ["https://10.1.2.3/"], []),
        ("::1,[::2]", ["https://[::1]/", "https://[::2]/"], ["https://[::3]/"]),
        ("a.example:8443,127.0.0.1:81", ["https://a.example:8443/", "http://127.0.0.1:81/"], ["https://a.example/"]),
        ("[::1]:81", ["http://[::1]:81/"], ["http://[::1]:82/"]),
        (",,", [], ["https://a.example/"]),
    ],
)
async def test_hosts_that_need_no_proxy(
    monkeypatch: pytest.MonkeyPatch, name: str, listed: str, direct: list[str], through: list[str]
) -> None:
    monkeypatch.setenv("ALL_PROXY", "http://proxy.example:1")
    monkeypatch.setenv(name, listed)
    assert read_network().problems == ()
    assert [address for address in direct if await way(address) is not None] == []
    assert [address for address in through if await way(address) is None] == []


@pytest.mark.parametrize("name", ["NO_PROXY", "no_proxy"])
@pytest.mark.parametrize("entry", ["10.0.0.0/33", "169.254/16", "http://a.example", "a@b", "[::1", "é\u200b.example"])
def test_an_entry_that_is_no_host_is_told(monkeypatch: pytest.MonkeyPatch, name: str, entry: str) -> None:
    monkeypatch.setenv(name, f"a.example,{entry}")
    assert read_network().problems == ()  # without a proxy it has no meaning
    monkeypatch.setenv("ALL_PROXY", "http://proxy.example:1")
    assert read_network().problems == (f"{name}: entry 2 is no host, address or network",)


def test_certificates_are_read_at_once(monkeypatch: pytest.MonkeyPatch, certificates: str, tmp_path: Path) -> None:
    monkeypatch.setenv("SSL_CERT_FILE", certificates)
    monkeypatch.setenv("SSLKEYLOGFILE", str(tmp_path / "none" / "log"))
    network = read_network()
    assert network.problems == ()
    assert network.certificates is not None
    assert network.certificates.cert_store_stats()["x509"] > 0
    assert network.certificates.verify_mode == ssl.CERT_REQUIRED
    assert network.certificates.check_hostname


@pytest.mark.parametrize(
    ("content", "problem"),
    [
        (None, "cannot be read (no such file or directory)"),
        ("", "the file holds no certificates in PEM form"),
        ("a text", "the file holds no certificates in PEM form"),
        (
            "-----BEGIN CERTIFICATE-----\nAAAA\n-----END CERTIFICATE-----\n",
            "the file holds no certificates in PEM form",
        ),
        ("folder", "cannot be read (is a directory)"),
    ],
)
def test_a_file_without_certificates_is_told(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path, content: str | None, problem: str
) -> None:
    path = tmp_path / "file.pem"
    if content == "folder":
        path.mkdir()
    elif content is not None:
        path.write_text(content)
    monkeypatch.setenv("SSL_CERT_FILE", str(path))
    assert read_network().problems == (f"SSL_CERT_FILE: {problem}",)


def test_a_folder_of_certificates(monkeypatch: pytest.MonkeyPatch, tmp_path: Path, certificates: str) -> None:
    monkeypatch.setenv("SSL_CERT_DIR", str(tmp_path / "none"))
    assert read_network().problems == ("SSL_CERT_DIR: there is no such folder, or it cannot be read",)
    monkeypatch.setenv("SSL_CERT_DIR", str(tmp_path))
    assert read_network().problems == (
        "SSL_CERT_DIR: holds no certificates under their hashes, as `openssl rehash` names them",
    )
    (tmp_path / "0123abcd.0").touch()
    monkeypatch.setenv("SSL_CERT_DIR", f"{tmp_path}/none{os.pathsep}{tmp_path}")
    assert read_network().problems == ()
    (tmp_path / "0123abcd.0").unlink()
    monkeypatch.setenv("SSL_CERT_FILE", certificates)
    assert read_network().problems == ()  # the file has them


def test_all_mistakes_are_told_together(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("UNCROP_MAX_RUNNING", "0")
    monkeypatch.setenv("SSL_CERT_FILE", "/none.pem")
    monkeypatch.setenv("https_proxy", "foo://bar")
    with pytest.raises(SettingsError) as caught:
        settings.load()
    assert [line.partition(":")[0] for line in caught.value.problems] == [
        *("UNCROP_MAX_RUNNING", "https_proxy", "SSL_CERT_FILE"),
    ]
    monkeypatch.delenv("UNCROP_MAX_RUNNING")
    configured = settings.load()  # a photo can be extended here without any call
    with pytest.raises(SettingsError) as caught:
        configured.check_network()
    assert len(caught.value.problems) == 2
