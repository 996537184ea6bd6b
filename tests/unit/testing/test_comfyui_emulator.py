"""The emulator of ComfyUI: uploads, how jobs end and are given up, pictures and routes."""

from __future__ import annotations

from collections.abc import Iterator

import httpx2
import pytest

from fixtures_comfyui_emulator import HEIGHT, WIDTH, entry_of, get, image_of, made_of, picture, post, submit, upload
from uncrop.errors import InvalidRequest
from uncrop.testing import outcomes
from uncrop.testing.comfyui import ComfyUIEmulator
from uncrop.testing.pictures import photo_png, truncated


@pytest.fixture
def comfyui() -> Iterator[ComfyUIEmulator]:
    with ComfyUIEmulator() as emulator:
        yield emulator


# --- uploads ---------------------------------------------------------------------------------------------------------


def test_uploads_are_renamed_and_the_same_file_is_kept_once(comfyui: ComfyUIEmulator) -> None:
    first = upload(comfyui, type="temp", subfolder="uncrop")
    assert first.json() == {"name": "a (1).png", "subfolder": "uncrop", "type": "temp"}
    assert upload(comfyui, type="temp", subfolder="uncrop").json() == first.json()
    other = upload(comfyui, photo_png(8, 8), type="temp", subfolder="uncrop")
    assert other.json()["name"] == "a (2).png"
    assert upload(comfyui, overwrite="true").json() == {"name": "a.png", "subfolder": "", "type": "input"}


def test_without_crowding_only_another_file_of_the_name_renames() -> None:
    with ComfyUIEmulator(crowded=False) as emulator:
        assert upload(emulator).json()["name"] == "a.png"
        assert upload(emulator).json()["name"] == "a.png"
        assert upload(emulator, photo_png(8, 8)).json()["name"] == "a (1).png"
        assert upload(emulator, photo_png(9, 9), overwrite="1").json()["name"] == "a.png"


@pytest.mark.parametrize(
    ("fields", "name", "status"),
    [
        ({"type": "models"}, "a.png", 500),
        ({"subfolder": "../x"}, "a.png", 400),
        ({"subfolder": "/etc"}, "a.png", 400),
        ({}, "../a.png", 400),
    ],
)
def test_uploads_stay_in_their_folders(
    comfyui: ComfyUIEmulator, fields: dict[str, str], name: str, status: int
) -> None:
    assert upload(comfyui, name=name, **fields).status_code == status


def test_what_is_no_upload_is_refused(comfyui: ComfyUIEmulator, monkeypatch: pytest.MonkeyPatch) -> None:
    assert post(comfyui, "/upload/image", {}).status_code == 400
    url = f"{comfyui.url}/upload/image"
    assert httpx2.post(url, files={"other": ("a.png", b"x")}, trust_env=False).status_code == 400
    assert upload(comfyui, path="/upload/other").status_code == 404
    monkeypatch.setattr("uncrop.testing.comfyui.rules.MAX_BODY", 10)
    assert upload(comfyui).status_code == 413


def test_old_files_are_forgotten(comfyui: ComfyUIEmulator, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("uncrop.testing.comfyui.files.KEPT_FILES", 1)
    first, second = (upload(comfyui, name=name).json() for name in ("a.png", "b.png"))
    statuses = [
        get(comfyui, "/view", filename=told["name"], subfolder="", type="input").status_code for told in (first, second)
    ]
    assert statuses == [404, 200]


# --- endings ---------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("words", "event", "exception"),
    [
        ("[failed]", "execution_error", "RuntimeError"),
        ("[out of memory]", "execution_error", "torch.OutOfMemoryError"),
        ("[interrupted]", "execution_interrupted", None),
    ],
)
def test_runs_can_end_without_a_picture(
    comfyui: ComfyUIEmulator, words: str, event: str, exception: str | None
) -> None:
    entry = entry_of(comfyui, submit(comfyui, node_3={"text": f"a beach {words}"}))
    assert (entry["outputs"], entry["status"]["status_str"]) == ({}, "error")
    name, told = entry["status"]["messages"][-1]
    assert (name, told.get("exception_type")) == (event, exception)


def test_runs_can_get_lost_or_put_nothing_out(comfyui: ComfyUIEmulator) -> None:
    name = submit(comfyui, node_3={"text": "[lost]"}).json()["prompt_id"]
    assert [get(comfyui, f"/history/{name}").json() for _ in range(5)] == [{}] * 5
    entry = entry_of(comfyui, submit(comfyui, node_3={"text": "[no picture]"}))
    assert (entry["outputs"], entry["status"]["status_str"]) == ({}, "success")


def test_a_run_that_waits_is_deleted_and_one_that_works_is_not(comfyui: ComfyUIEmulator) -> None:
    comfyui.endless = True
    waiting, working = (submit(comfyui, node_5={"seed": seed}).json()["prompt_id"] for seed in (1, 2))
    for _ in range(2):
        get(comfyui, f"/history/{working}")
    assert post(comfyui, "/queue", {"delete": [waiting, working, "unknown"]}).status_code == 200
    assert comfyui.cancelled == [waiting]
    told = get(comfyui, "/queue").json()
    assert ([item[1] for item in told["queue_running"]], told["queue_pending"]) == ([working], [])
    assert post(comfyui, "/interrupt", {"prompt_id": waiting}).status_code == 200
    assert comfyui.cancelled == [waiting]
    post(comfyui, "/interrupt", {"prompt_id": working})
    assert comfyui.cancelled == [waiting, working]
    entry = get(comfyui, f"/history/{working}").json()[working]
    assert entry["status"]["messages"][-1][0] == "execution_interrupted"


def test_without_an_id_whatever_works_is_interrupted(comfyui: ComfyUIEmulator) -> None:
    comfyui.endless = True
    names = [submit(comfyui, node_5={"seed": seed}).json()["prompt_id"] for seed in (1, 2)]
    for _ in range(2):
        get(comfyui, f"/history/{names[0]}")
    post(comfyui, "/interrupt", {})
    assert comfyui.cancelled == names[:1]


def test_old_runs_are_forgotten(comfyui: ComfyUIEmulator, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("uncrop.testing.comfyui.emulator.KEPT_JOBS", 1)
    first = submit(comfyui).json()["prompt_id"]
    second = submit(comfyui, node_5={"seed": 1})
    assert [get(comfyui, f"/history/{first}").json() for _ in range(5)] == [{}] * 5
    assert entry_of(comfyui, second)["outputs"]


# --- pictures and routes ---------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("query", "status"),
    [
        ({}, 404),
        ({"filename": ""}, 400),
        ({"filename": "/etc/passwd"}, 400),
        ({"filename": "../a.png"}, 400),
        ({"filename": "a.png", "type": "models"}, 400),
        ({"filename": "a.png", "subfolder": "../.."}, 403),
        ({"filename": "a.png"}, 404),
    ],
)
def test_only_files_of_its_own_are_shown(comfyui: ComfyUIEmulator, query: dict[str, str], status: int) -> None:
    assert get(comfyui, "/view", **query).status_code == status


@pytest.mark.parametrize(
    ("method", "path", "status"),
    [
        ("GET", "/", 404),
        ("GET", "/elsewhere", 404),
        ("GET", "/queue/1", 404),
        ("GET", "/prompt", 405),
        ("GET", "/upload/image", 404),
        ("POST", "/view", 405),
        ("DELETE", "/queue", 405),
    ],
)
def test_other_routes_are_none(comfyui: ComfyUIEmulator, method: str, path: str, status: int) -> None:
    response = httpx2.request(method, f"{comfyui.url}{path}", trust_env=False)
    assert (response.status_code, response.headers["content-type"]) == (status, "text/plain; charset=utf-8")


def test_endings_can_be_scripted_those_of_pictures_apart(comfyui: ComfyUIEmulator) -> None:
    comfyui.files.script(outcomes.corrupt_picture(), outcomes.refuse(503))
    comfyui.script(outcomes.as_real(), outcomes.wrong_size(24, 16))
    entry = entry_of(comfyui, submit(comfyui))
    with pytest.raises(InvalidRequest):
        picture(image_of(comfyui, entry).content)
    assert image_of(comfyui, entry).status_code == 503
    assert picture(image_of(comfyui, entry).content).shape == (16, 24, 3)
    assert len(comfyui.files.calls) == 3
    assert all(not call.path.startswith("/view") for call in comfyui.calls)
    assert comfyui.files.origin == comfyui.url
    assert made_of(comfyui).shape == (HEIGHT, WIDTH, 3)  # what was scripted is not known again


def test_where_no_calls_are_kept_none_are(comfyui: ComfyUIEmulator) -> None:
    comfyui.keeps_calls = False
    made_of(comfyui)
    assert (comfyui.calls, comfyui.files.calls) == ([], [])


def test_what_is_no_picture_fails_when_it_is_loaded(comfyui: ComfyUIEmulator) -> None:
    entry = entry_of(comfyui, submit(comfyui, truncated(photo_png(WIDTH, HEIGHT))))
    assert entry["status"]["status_str"] == "error"
    assert entry["status"]["messages"][-1][1]["exception_type"] == "PIL.UnidentifiedImageError"
