"""What monitoring is told by a real server: metrics by provider, and traces that reach a collector over HTTP."""

from __future__ import annotations

import gzip
import os
import subprocess
import sys
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from threading import Thread
from typing import TYPE_CHECKING, Any

import httpx2
import pytest
from opentelemetry.proto.collector.trace.v1.trace_service_pb2 import ExportTraceServiceRequest

from fixtures_http import ask, clipdrop_form, openai_form
from fixtures_server import PATH, PROVIDER_KEY, Real, real
from uncrop.testing import outcomes
from uncrop.testing.pictures import mask_png, photo_jpeg

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

PHOTO = photo_jpeg(64, 48)
CLIPDROP = clipdrop_form(PHOTO)


class Collector:
    """Takes what OTLP/HTTP sends, and holds the spans of it."""

    def __init__(self) -> None:
        self.spans: list[Any] = []
        self.resources: list[dict[str, str]] = []
        self.paths: set[str] = set()
        taking = self

        class Handler(BaseHTTPRequestHandler):
            def do_POST(self) -> None:
                body = self.rfile.read(int(self.headers["content-length"]))
                if self.headers.get("content-encoding") == "gzip":
                    body = gzip.decompress(body)
                taking.take(self.path, ExportTraceServiceRequest.FromString(body))
                self.send_response(200)
                self.send_header("content-length", "0")
                self.end_headers()

            def log_message(self, *_: object) -> None:
                pass

        self.server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)

    def take(self, path: str, sent: ExportTraceServiceRequest) -> None:
        self.paths.add(path)
        for group in sent.resource_spans:
            self.resources.append({each.key: each.value.string_value for each in group.resource.attributes})
            self.spans += [span for scope in group.scope_spans for span in scope.spans]

    @property
    def url(self) -> str:
        return f"http://127.0.0.1:{self.server.server_address[1]}"

    def named(self, name: str) -> Any:
        (span,) = [span for span in self.spans if span.name == name]
        return span


@contextmanager
def collecting() -> Iterator[Collector]:
    collector = Collector()
    thread = Thread(target=collector.server.serve_forever, kwargs={"poll_interval": 0.05})
    thread.start()
    try:
        yield collector
    finally:
        collector.server.shutdown()
        collector.server.server_close()
        thread.join()


def facts(span: Any) -> dict[str, object]:
    values = {each.key: each.value for each in span.attributes}
    return {name: getattr(value, value.WhichOneof("value")) for name, value in values.items()}


def test_what_each_provider_took_is_counted(house: Real) -> None:
    assert ask(house.url, CLIPDROP, key=house.key).status_code == 200
    assert ask(house.url, openai_form(PHOTO, mask_png(64, 48)), key=house.key).status_code == 200
    house.clipdrop.script(outcomes.refuse(500))
    assert ask(house.url, CLIPDROP, key=house.key).status_code == 502
    lines = httpx2.get(house.url + "/metrics").text.splitlines()
    assert 'uncrop_provider_credits_total{provider="clipdrop"} 1.0' in lines
    assert 'uncrop_provider_billed_calls_total{provider="openai"} 1.0' in lines
    tokens = {
        line.rpartition(" ")[0]: float(line.rpartition(" ")[2]) for line in lines if "provider_tokens_total{" in line
    }
    assert tokens.keys() == {
        f'uncrop_provider_tokens_total{{direction="{each}",provider="openai"}}' for each in ("in", "out")
    }
    assert min(tokens.values()) > 0
    assert 'uncrop_provider_outcomes_total{outcome="PROVIDER_ERROR",provider="clipdrop"} 1.0' in lines


def test_a_pictures_way_reaches_the_collector(tmp_path: Path) -> None:
    with collecting() as collector:
        with real(tmp_path, settings={"otlp_endpoint": collector.url}) as house:
            answer = ask(house.url, CLIPDROP, key=house.key)
            assert answer.status_code == 200
            for path in ("/livez", "/readyz", "/metrics"):
                httpx2.get(house.url + path)
        # What was left is sent when the server ends.
        request, picture = collector.named(PATH), collector.named("picture")
        stages = [collector.named(name) for name in ("intake", "admission", "provider", "finish", "encode")]
        call = collector.named("POST submit")
        assert len(collector.spans) == 8
    assert picture.parent_span_id == request.span_id
    assert {stage.parent_span_id for stage in stages} == {picture.span_id}
    assert call.parent_span_id == stages[2].span_id
    assert {span.trace_id for span in collector.spans} == {request.trace_id}
    told = facts(request)
    assert told.pop("uncrop.trace_id")
    assert told == {
        "http.request.method": "POST",
        "http.route": PATH,
        "http.response.status_code": 200,
        "uncrop.outcome": "OK",
    }
    assert facts(picture) == {"uncrop.provider": "clipdrop", "uncrop.width": 80, "uncrop.height": 48}
    assert facts(call)["server.address"] == "127.0.0.1"
    assert facts(call)["http.response.status_code"] == 200
    assert collector.paths == {"/v1/traces"}
    assert {resource["service.name"] for resource in collector.resources} == {"uncrop"}
    assert PROVIDER_KEY not in str(collector.spans)


def test_an_error_ends_its_spans_by_its_code(tmp_path: Path) -> None:
    with collecting() as collector:
        with real(tmp_path, settings={"otlp_endpoint": collector.url + "/"}) as house:
            house.clipdrop.script(outcomes.refuse(500))
            assert ask(house.url, CLIPDROP, key=house.key).status_code == 502
        failed = {span.name: facts(span)["error.type"] for span in collector.spans if "error.type" in facts(span)}
    assert failed == dict.fromkeys((PATH, "picture", "provider"), "PROVIDER_ERROR")


def test_a_collector_that_is_gone_disturbs_nothing(tmp_path: Path) -> None:
    with collecting() as collector:
        gone = collector.url
    with real(tmp_path, settings={"otlp_endpoint": gone}) as house:
        assert ask(house.url, CLIPDROP, key=house.key).status_code == 200


@pytest.mark.parametrize(
    ("value", "said"), [("localhost:4318", "must begin with http"), ("http://", "must begin with http")]
)
def test_an_address_that_is_none_stops_the_start(tmp_path: Path, value: str, said: str) -> None:
    environment = {**os.environ, "UNCROP_OTLP_ENDPOINT": value, "UNCROP_DATA_DIR": str(tmp_path)}
    command = [sys.executable, "-m", "uncrop", "serve", "--port", "0"]
    done = subprocess.run(command, env=environment, cwd=tmp_path, capture_output=True, text=True, check=False)
    assert done.returncode == 2
    assert "UNCROP_OTLP_ENDPOINT" in done.stderr
    assert said in done.stderr
