"""A strict stand-in for S3 on loopback: one bucket, requests signed by one key, objects in memory."""

from __future__ import annotations

import hashlib
import hmac
import threading
from contextlib import contextmanager
from dataclasses import dataclass, field
from datetime import UTC, datetime
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import TYPE_CHECKING
from urllib.parse import parse_qsl, quote, unquote, urlsplit
from xml.sax.saxutils import escape

import pytest

from uncrop.objects.place import BucketPlace

if TYPE_CHECKING:
    from collections.abc import Iterator

BUCKET, REGION, KEY_ID, SECRET = "results", "eu-test-1", "AKIATEST", "canary-bucket-secret"
EMPTY = hashlib.sha256(b"").hexdigest()


@dataclass
class Bucket:
    """What the stand-in holds, and how it fails.

    Attributes
    ----------
    failing
        A status and a code of S3's that every request is answered with.
    exists
        Whether there is such a bucket.
    """

    objects: dict[str, tuple[bytes, datetime]] = field(default_factory=dict)
    seen: list[tuple[str, str]] = field(default_factory=list)
    faults: list[str] = field(default_factory=list)
    failing: tuple[int, str] | None = None
    exists: bool = True
    port: int = 0

    def place(self, *, prefix: str = "", secret: str = SECRET) -> BucketPlace:
        return BucketPlace(
            bucket=BUCKET,
            prefix=prefix,
            endpoint=f"http://127.0.0.1:{self.port}",
            region=REGION,
            access_key_id=KEY_ID,
            secret_access_key=secret,
        )

    def age(self, name: str, moment: datetime) -> None:
        """Have an object be written at another moment."""
        self.objects[name] = self.objects[name][0], moment


class Handler(BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"
    bucket: Bucket

    def log_message(self, *_: object) -> None:
        """Say nothing."""

    def _answer(self, status: int, body: bytes = b"", **headers: str) -> None:
        self.send_response(status)
        for name, value in headers.items():
            self.send_header(name.replace("_", "-"), value)
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)

    def _refuse(self, status: int, code: str) -> None:
        self._answer(status, f"<Error><Code>{code}</Code><Message>{code}</Message></Error>".encode())

    def _handle(self) -> None:
        body = self.rfile.read(int(self.headers.get("content-length", "0")))
        split = urlsplit(self.path)
        _, bucket, *rest = unquote(split.path).split("/", 2)
        name = rest[0] if rest else ""
        self.bucket.seen.append((self.command, name))
        if self.bucket.failing is not None:
            return self._refuse(*self.bucket.failing)
        if (fault := self._fault(split.path, split.query, body)) is not None:
            self.bucket.faults.append(fault)
            return self._refuse(403, "SignatureDoesNotMatch")
        if bucket != BUCKET or not self.bucket.exists:
            return self._refuse(404, "NoSuchBucket")
        return getattr(self, f"_{self.command.lower()}")(name, dict(parse_qsl(split.query)), body)

    do_GET = do_PUT = do_DELETE = do_POST = do_HEAD = _handle

    def _head(self, name: str, _query: object, _body: bytes) -> None:
        if name not in self.bucket.objects:
            return self._answer(404)
        body, moment = self.bucket.objects[name]
        self.send_response(200)
        for header, value in {"ETag": '"x"', "Last-Modified": f"{moment:%a, %d %b %Y %H:%M:%S GMT}"}.items():
            self.send_header(header, value)
        self.send_header("Content-Length", str(len(body)))
        return self.end_headers()

    def _put(self, name: str, query: dict[str, str], body: bytes) -> None:
        if (source := self.headers.get("x-amz-copy-source")) is not None:
            self.bucket.objects[name] = self.bucket.objects[unquote(source).lstrip("/").partition("/")[2]]
            told = b'<CopyObjectResult><ETag>"x"</ETag></CopyObjectResult>'
            return self._answer(200, told, Content_Type="application/xml")
        self.bucket.objects[name] = body, datetime.now(UTC)
        return self._answer(200, ETag=f'"{hashlib.md5(body).hexdigest()}"')

    def _get(self, name: str, query: dict[str, str], _body: bytes) -> None:
        if not name:
            return self._list(query)
        if name not in self.bucket.objects:
            return self._refuse(404, "NoSuchKey")
        body, moment = self.bucket.objects[name]
        stamp = f"{moment:%a, %d %b %Y %H:%M:%S GMT}"
        return self._answer(200, body, ETag='"x"', Last_Modified=stamp)

    def _delete(self, name: str, _query: object, _body: bytes) -> None:
        self.bucket.objects.pop(name, None)
        self._answer(204)

    def _list(self, query: dict[str, str]) -> None:
        assert query["list-type"] == "2"
        found = sorted(name for name in self.bucket.objects if name.startswith(query.get("prefix", "")))
        entries = "".join(
            f"<Contents><Key>{escape(name)}</Key><Size>{len(self.bucket.objects[name][0])}</Size>"
            f"<LastModified>{self.bucket.objects[name][1]:%Y-%m-%dT%H:%M:%S.000Z}</LastModified></Contents>"
            for name in found
        )
        told = f"<ListBucketResult><IsTruncated>false</IsTruncated>{entries}</ListBucketResult>"
        self._answer(200, told.encode(), Content_Type="application/xml")

    def _fault(self, path: str, query: str, body: bytes) -> str | None:
        """Return what is wrong with a request's signature (AWS Signature Version 4)."""
        digest = self.headers.get("x-amz-content-sha256", "")
        if digest != hashlib.sha256(body).hexdigest():
            return "the body is another"
        scheme, _, told = self.headers.get("authorization", "").partition(" ")
        parts = dict(part.strip().split("=", 1) for part in told.split(","))
        credential = parts.get("Credential", "").split("/")
        if (
            scheme != "AWS4-HMAC-SHA256"
            or credential[:1] != [KEY_ID]
            or credential[2:] != [REGION, "s3", "aws4_request"]
        ):
            return "the credential is another"
        signed = parts["SignedHeaders"].split(";")
        if not {"host", "x-amz-content-sha256", "x-amz-date"} <= set(signed):
            return "headers are not signed"
        pairs = sorted(parse_qsl(query, keep_blank_values=True))
        canonical = "\n".join(
            [
                self.command,
                path,
                "&".join(f"{quote(name, safe='-_.~')}={quote(value, safe='-_.~')}" for name, value in pairs),
                *(f"{name}:{(self.headers[name] or '').strip()}" for name in signed),
                "",
                ";".join(signed),
                digest,
            ]
        )
        stamp, scope = self.headers["x-amz-date"], "/".join(credential[1:])
        text = f"AWS4-HMAC-SHA256\n{stamp}\n{scope}\n{hashlib.sha256(canonical.encode()).hexdigest()}"
        key = b"AWS4" + SECRET.encode()
        for part in credential[1:]:
            key = hmac.digest(key, part.encode(), "sha256")
        right = hmac.digest(key, text.encode(), "sha256").hex()
        return None if hmac.compare_digest(right, parts["Signature"]) else "the signature is another"


@contextmanager
def s3() -> Iterator[Bucket]:
    """Run the stand-in until the block ends."""
    bucket = Bucket()
    handler = type("Handler", (Handler,), {"bucket": bucket})
    with ThreadingHTTPServer(("127.0.0.1", 0), handler) as server:
        server.daemon_threads = True
        bucket.port = server.server_port
        thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.01})
        thread.start()
        try:
            yield bucket
        finally:
            server.shutdown()
            thread.join()


@pytest.fixture
def bucket() -> Iterator[Bucket]:
    with s3() as opened:
        yield opened
