"""The four kinds of client of the published endpoint, unchanged but for the base address: each extends a photo through
both emulated providers, and reads the two published errors."""

from __future__ import annotations

import base64
import json
import shutil
import subprocess
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any, Protocol

import numpy as np
import pytest
import requests

from fixtures_http import Refusal, check_refusal
from fixtures_server import ORGANIZATION, PATH, Real, real
from uncrop.imaging import codec
from uncrop.imaging.header import open_file, read_header
from uncrop.testing.pictures import mask_png, photo_jpeg, photo_png

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping

WIDTH, HEIGHT = 96, 64
PHOTO = photo_png(WIDTH, HEIGHT)
JPEG = photo_jpeg(WIDTH, HEIGHT)
MASK = mask_png(WIDTH, HEIGHT)
NODE_CLIENT = Path(__file__).with_name("node_client.mjs")
SDK_PATH = "/v1/images/uncrop"


@dataclass(frozen=True, kw_only=True)
class Answer:
    """What a client got; header names in lower case."""

    status: int
    headers: Mapping[str, str]
    body: bytes


class Client(Protocol):
    def __call__(self, house: Real, folder: Path, fields: Mapping[str, str], files: Mapping[str, bytes]) -> Answer: ...


@pytest.fixture(scope="module")
def house(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Real]:
    with real(tmp_path_factory.mktemp("clients")) as running:
        yield running


def _as_arguments(folder: Path, fields: Mapping[str, str], files: Mapping[str, bytes]) -> list[str]:
    for name, data in files.items():
        (folder / name).write_bytes(data)
    return [*(f"{name}={value}" for name, value in fields.items()), *(f"{name}=@{folder / name}" for name in files)]


def curl(house: Real, folder: Path, fields: Mapping[str, str], files: Mapping[str, bytes]) -> Answer:
    command = ["curl", "--silent", "--show-error", "-X", "POST", house.url + PATH, "-H", f"X-API-Key: {house.key}"]
    parts = [argument for part in _as_arguments(folder, fields, files) for argument in ("-F", part)]
    outputs = ["--dump-header", str(folder / "head"), "--output", str(folder / "body")]
    subprocess.run([*command, *parts, *outputs], check=True, timeout=60)
    # The last block is the answer: a "100 Continue" may stand before it.
    head = (folder / "head").read_text().strip().split("\n\n")[-1].splitlines()
    headers = {name.lower(): value for name, _, value in (line.partition(": ") for line in head[1:])}
    return Answer(status=int(head[0].split()[1]), headers=headers, body=(folder / "body").read_bytes())


def python_requests(house: Real, _folder: Path, fields: Mapping[str, str], files: Mapping[str, bytes]) -> Answer:
    response = requests.post(
        house.url + PATH,
        headers={"X-API-Key": house.key},
        files=dict(files),
        data=dict(fields),
        timeout=60,
    )
    headers = {name.lower(): value for name, value in response.headers.items()}
    return Answer(status=response.status_code, headers=headers, body=response.content)


def node_fetch(house: Real, folder: Path, fields: Mapping[str, str], files: Mapping[str, bytes]) -> Answer:
    node = shutil.which("node")
    if node is None:
        pytest.skip("Node.js is not installed; on Debian: apt-get install nodejs")
    command = [node, str(NODE_CLIENT), house.url + PATH, house.key, *_as_arguments(folder, fields, files)]
    done = subprocess.run(command, check=True, timeout=60, capture_output=True)
    said: dict[str, Any] = json.loads(done.stdout)
    return Answer(status=said["status"], headers=said["headers"], body=base64.b64decode(said["body"]))


def vendor_sdk(house: Real, _folder: Path, fields: Mapping[str, str], files: Mapping[str, bytes]) -> Answer:
    import httpx
    from aitronos import Aitronos
    from aitronos.core.api_error import ApiError

    heads: list[httpx.Headers] = []
    with httpx.Client(event_hooks={"response": [lambda response: heads.append(response.headers)]}) as transport:
        client = Aitronos(api_key=house.key, base_url=house.url, httpx_client=transport)
        numbers = {name: int(value) for name, value in fields.items() if name == "seed" or name.startswith("extend_")}
        arguments: dict[str, Any] = {**fields, **numbers, **files}
        try:
            body = b"".join(client.image_operations.uncrop(**arguments))
        except ApiError as error:
            return Answer(status=error.status_code or 0, headers=dict(heads[0]), body=json.dumps(error.body).encode())
    return Answer(status=200, headers=dict(heads[0]), body=body)


CLIENTS: dict[str, Client] = {
    "curl": curl,
    "requests": python_requests,
    "node fetch": node_fetch,
    "aitronos-sdk": vendor_sdk,
}


@pytest.fixture(params=CLIENTS)
def client(request: pytest.FixtureRequest) -> Client:
    return CLIENTS[request.param]


def test_each_client_extends_a_photo_through_clipdrop(client: Client, house: Real, tmp_path: Path) -> None:
    calls = len(house.clipdrop.calls)
    fields = {
        "provider": "clipdrop",
        "organization_id": ORGANIZATION,
        "extend_left": "20",
        "extend_down": "12",
        "seed": "42",
    }
    answer = client(house, tmp_path, fields, {"image_file": JPEG})
    assert answer.status == 200
    assert answer.headers["content-type"] == "image/jpeg"
    assert answer.headers["x-provider"] == "clipdrop"
    assert answer.headers["x-provider-request-id"].startswith("req_")
    assert answer.headers["x-provider-credits-consumed"] == "1"
    assert answer.headers["x-seed"] == "42"
    assert "content-disposition" not in answer.headers
    header = read_header(answer.body)
    assert (header.format, header.width, header.height) == ("JPEG", WIDTH + 20, HEIGHT + 12)
    made, before = (codec.decode(open_file(data)).astype(int) for data in (answer.body, JPEG))
    # A JPEG written again is not the same to the byte, but it is the same photo.
    assert np.abs(made[:HEIGHT, 20:] - before).mean() < 3
    sent = house.clipdrop.calls[calls:]
    assert [(call.fields["extend_left"], call.fields["extend_down"], call.fields["seed"]) for call in sent] == [
        ("20", "12", "42")
    ]


def test_each_client_extends_a_photo_through_openai(client: Client, house: Real, tmp_path: Path) -> None:
    calls = len(house.openai.calls)
    fields = {"provider": "openai", "organization_id": ORGANIZATION, "prompt": "a wide beach at dusk"}
    answer = client(house, tmp_path, fields, {"image_file": PHOTO, "mask_file": MASK})
    assert answer.status == 200
    assert answer.headers["content-type"] == "image/png"
    assert answer.headers["x-provider"] == "openai"
    assert answer.headers["x-provider-request-id"]
    assert "x-provider-credits-consumed" not in answer.headers
    assert "x-seed" not in answer.headers
    header = read_header(answer.body)
    assert (header.format, header.width, header.height) == ("PNG", WIDTH, HEIGHT)
    sent = house.openai.calls[calls:]
    assert [call.fields["prompt"] for call in sent] == ["a wide beach at dusk"]


def test_each_client_reads_the_published_error_about_sides(client: Client, house: Real, tmp_path: Path) -> None:
    calls = house.calls()
    fields = {"provider": "clipdrop", "organization_id": ORGANIZATION, "extend_left": "2500"}
    answer = client(house, tmp_path, fields, {"image_file": JPEG})
    expected = Refusal(
        status=422,
        code="INVALID_EXTEND_PARAMETERS",
        message="Extend parameters exceed 2000px",
        details={"extend_left": 2500, "max_allowed": 2000},
    )
    check_refusal(answer.status, answer.headers, json.loads(answer.body), expected)
    assert house.calls() == calls


def test_each_client_reads_the_published_error_about_masks(client: Client, house: Real, tmp_path: Path) -> None:
    calls = house.calls()
    fields = {"provider": "openai", "organization_id": ORGANIZATION}
    answer = client(house, tmp_path, fields, {"image_file": PHOTO})
    expected = Refusal(status=422, code="MASK_REQUIRED", message="OpenAI requires mask for this operation")
    check_refusal(answer.status, answer.headers, json.loads(answer.body), expected)
    assert house.calls() == calls


def test_the_published_body_stands_in_ours_to_the_letter(house: Real, tmp_path: Path) -> None:
    fields = {"provider": "clipdrop", "organization_id": ORGANIZATION, "extend_left": "2500"}
    body = json.loads(python_requests(house, tmp_path, fields, {"image_file": JPEG}).body)
    published = {
        "success": False,
        "error": {
            "code": "INVALID_EXTEND_PARAMETERS",
            "message": "Extend parameters exceed 2000px",
            "type": "client_error",
            "status": 422,
            "details": {"extend_left": 2500, "max_allowed": 2000},
        },
    }
    ours = {**body, "error": {name: body["error"][name] for name in published["error"]}}  # type: ignore[attr-defined]
    assert ours == published


def test_the_vendors_client_may_send_a_token_beside_its_key(house: Real) -> None:
    import httpx
    from aitronos import Aitronos

    with httpx.Client() as transport:
        client = Aitronos(api_key="the vendor's", token=house.key, base_url=house.url, httpx_client=transport)
        pieces = client.image_operations.uncrop(
            provider="clipdrop", organization_id=ORGANIZATION, image_file=JPEG, extend_right=8
        )
        picture = b"".join(pieces)
    assert read_header(picture).width == WIDTH + 8


@pytest.mark.parametrize("size", [3_000_000])
def test_a_client_that_sends_all_before_it_reads_learns_that_its_key_is_wrong(house: Real, size: int) -> None:
    response = requests.post(
        house.url + PATH, headers={"X-API-Key": "wrong"}, files={"image_file": bytes(size)}, timeout=60
    )
    assert (response.status_code, response.json()["error"]["code"]) == (401, "INVALID_API_KEY")
