from __future__ import annotations

import pytest

from uncrop.server.heads import fault_of, waits_for_continue

HOST = (b"host", b"a")


@pytest.mark.parametrize(
    ("version", "headers", "code"),
    [
        ("1.1", [HOST], None),
        ("1.0", [], None),
        ("1.0", [(b"expect", b"nonsense")], None),
        ("1.1", [HOST, (b"transfer-encoding", b" Chunked ")], None),
        ("1.1", [HOST, (b"expect", b"100-CONTINUE , ")], None),
        ("1.1", [HOST, (b"te", b"gzip, chunked")], None),  # what the answer may be coded in, which it is not
        ("2.0", [HOST], "HTTP_VERSION_NOT_SUPPORTED"),
        ("0.9", [HOST], "HTTP_VERSION_NOT_SUPPORTED"),
        ("1.1", [], "MALFORMED_REQUEST"),
        ("1.1", [HOST, HOST], "MALFORMED_REQUEST"),
        ("1.1", [(b"host", b"a/b")], "MALFORMED_REQUEST"),
        ("1.1", [HOST, (b"transfer-encoding", b"gzip,chunked")], "MALFORMED_REQUEST"),
        ("1.1", [HOST, (b"transfer-encoding", b"gzip"), (b"transfer-encoding", b"chunked")], "MALFORMED_REQUEST"),
        ("1.0", [HOST, (b"transfer-encoding", b"chunked")], "MALFORMED_REQUEST"),
        ("1.1", [HOST, (b"expect", b"200-ok")], "EXPECTATION_FAILED"),
        ("1.1", [HOST, (b"expect", b"100-continue"), (b"expect", b"x")], "EXPECTATION_FAILED"),
    ],
)
def test_what_the_parser_lets_pass_is_refused(
    version: str, headers: list[tuple[bytes, bytes]], code: str | None
) -> None:
    fault = fault_of(version, headers)
    assert (None if fault is None else fault.code) == code


@pytest.mark.parametrize(
    ("version", "value", "waits"),
    [
        ("1.1", b"100-continue", True),
        ("1.1", b" 100-Continue ", True),
        ("1.0", b"100-continue", False),
        ("1.1", b"", False),
    ],
)
def test_who_waits_to_be_told_to_go_on(version: str, value: bytes, waits: bool) -> None:
    assert waits_for_continue(version, [(b"expect", value)]) is waits
