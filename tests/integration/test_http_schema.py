"""What the server does is what ``/openapi.json`` says, as far as schemathesis can tell."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

import httpx2
import pytest

from fixtures_http import ask, clipdrop_form
from fixtures_server import Real, real, wait_until
from uncrop import engine
from uncrop.testing import EdgeEngine
from uncrop.testing.pictures import photo_jpeg

if TYPE_CHECKING:
    from collections.abc import Iterator

HERE = Path(__file__).parent
# A flat schema cannot say which fields go with which provider, nor which bytes are an image: a request that fits it may
# be refused all the same, with a documented error.
ALL_BUT = ["--exclude-checks", "positive_data_acceptance"]
# Requests of each kind for each operation: a few each time, many in the slow run.
EXAMPLES = pytest.mark.parametrize("examples", ["6", pytest.param("60", marks=pytest.mark.slow)])
# Each border of each field, and operations that follow one another, are tried in the slow run.
EVERYDAY = ["--phases", "examples,fuzzing"]
# A body that is too long is refused for that, whatever else is wrong with it: 413 stands beside the tool's own.
CONFIGURATION = """
[checks.negative_data_rejection]
expected-statuses = [400, 401, 403, 404, 405, 406, 409, 413, 415, 422, 428, 429, "5xx"]
"""
# The hooks turn forms into ones that make a picture, and so into others than the checks of requests believe.
ANSWERS = (
    "not_a_server_error,status_code_conformance,content_type_conformance,response_headers_conformance,"
    "response_schema_conformance"
)


def schemathesis(house: Real, folder: Path, *options: str, hooks: str | None = None) -> None:
    """Run it against the server; everything that it says is shown when it finds something."""
    document = httpx2.get(f"{house.url}/openapi.json").json()
    for item in document["paths"].values():
        for operation in item.values():
            # Never answered, so that it must not count as documented; it stands there for generators of clients.
            operation["responses"].pop("2XX", None)
    (folder / "openapi.json").write_text(json.dumps(document))
    (folder / "schemathesis.toml").write_text(CONFIGURATION)
    command = [
        *(sys.executable, "-m", "schemathesis.cli", "run", str(folder / "openapi.json"), "--url", house.url),
        *("--header", f"X-API-Key: {house.key}", "--generation-deterministic", "--continue-on-failure", "--no-color"),
        *("--request-timeout", "120"),
    ]
    environment = {**os.environ, "PYTHONPATH": os.pathsep.join([str(HERE), str(HERE.parent)])}
    if hooks is not None:
        environment["SCHEMATHESIS_HOOKS"] = hooks
    done = subprocess.run(
        [*command, *options], env=environment, cwd=folder, capture_output=True, text=True, check=False, timeout=1200
    )
    assert done.returncode == 0, done.stdout + done.stderr
    assert "Tested: " in done.stdout, done.stdout


@pytest.fixture
def house(tmp_path: Path, kernels: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Real]:
    # The reader of PNGs is compiled code; compiling it within a request would take longer than a client waits.
    (tmp_path / "kernels").symlink_to(kernels)
    monkeypatch.setattr(engine, "is_compiled", lambda _folder: True)
    with real(
        tmp_path, settings={"rate_limit_per_minute": 1_000_000, "max_open_jobs": 1_000_000}, jobs=True
    ) as running:
        # Decoders take a while to start; until then /readyz truly answers 503.
        wait_until(lambda: httpx2.get(f"{running.url}/readyz").status_code == 200)
        yield running


@EXAMPLES
def test_no_answer_is_outside_the_document(house: Real, tmp_path: Path, examples: str) -> None:
    schemathesis(house, tmp_path, *ALL_BUT, *(EVERYDAY if examples == "6" else []), "--max-examples", examples)


@EXAMPLES
def test_no_picture_is_outside_the_document(house: Real, tmp_path: Path, examples: str) -> None:
    double = EdgeEngine()
    local: Any = house.server.service.registry.get("local")
    local._context = replace(local._context, engine=double)
    only = ["--include-method", "POST", "--phases", "fuzzing", "--mode", "positive", "--max-examples", examples]
    schemathesis(house, tmp_path, *only, "--checks", ANSWERS, hooks="schemathesis_hooks")
    assert double.calls, "no form was good enough for a picture"


def test_a_picture_has_every_documented_header(tmp_path: Path) -> None:
    with real(tmp_path) as house:
        document = httpx2.get(f"{house.url}/openapi.json").json()
        response = ask(house.url, clipdrop_form(photo_jpeg(64, 48)), key=house.key)
        operation = document["paths"]["/api/v1/images/uncrop"]["post"]
        documented = {name.lower() for name in operation["responses"]["200"]["headers"]}
        assert response.headers["content-type"] in operation["responses"]["200"]["content"]
        ours = {name for name in response.headers if name.startswith("x-") or name == "server-timing"}
        assert ours - {"x-content-type-options", "x-frame-options"} <= documented
        # Those that only some pictures have: this one was neither judged, nor enlarged, nor kept from before.
        of_some = {"x-confidence", "x-advice", "x-warnings", "x-detail", "idempotent-replayed"}
        assert documented - ours == of_some
