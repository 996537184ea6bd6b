"""ComfyUI: what is sent, what is believed, how jobs are given up, and its row of facts."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Any
from urllib.parse import parse_qs, urlsplit

import numpy as np
import pytest

from fixtures_comfyui import (
    BASE,
    IMAGE,
    NOT_YET,
    OWN,
    RUN,
    TAKEN,
    UPLOADED,
    body_of,
    comfyui,
    ended,
    everything,
    held,
    item,
    page,
    parts_of,
    picture,
    queue,
    refused,
    says,
    task,
    uploaded,
)
from uncrop import errors
from uncrop.geometry.planner import choose_frame
from uncrop.imaging import codec
from uncrop.imaging.header import open_file
from uncrop.model import Sides
from uncrop.providers.comfyui import provider as module
from uncrop.providers.comfyui.facts import FACTS
from uncrop.providers.comfyui.provider import ComfyUI
from uncrop.providers.conversation import Answer, Call, Step, Wait
from uncrop.testing.pictures import mask_png, photo, photo_jpeg, photo_png
from uncrop.testing.workbench import KEY, make_settings

if TYPE_CHECKING:
    pass


@pytest.fixture(autouse=True)
def _known_id(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(module, "new_job_id", lambda: RUN)


# --- what goes up ----------------------------------------------------------------------------------------------------


def test_photo_and_mask_go_up_in_one_png_named_by_what_it_holds() -> None:
    first = task()
    call = comfyui().upload(first, choose_frame(first.job.placement, comfyui().facts.geometry))
    assert (call.method, call.url, call.kind, call.on_cancel) == ("POST", f"{BASE}/upload/image", "submit", None)
    assert dict(call.headers) == {}
    parts = parts_of(call)
    assert {name: part.value for name, part in parts.items() if name != "image"} == {
        "type": "temp",
        "subfolder": "uncrop",
    }
    assert parts["image"].media_type == "image/png"
    names = {
        parts_of(comfyui().upload(each, choose_frame(each.job.placement, comfyui().facts.geometry)))["image"].filename
        for each in (first, task(), task(sides=Sides(left=40, down=5)))
    }
    assert len(names) == 2
    assert parts["image"].filename in names


@pytest.mark.parametrize(("graph", "grid"), [("flux", 16), ("checkpoint", 8)])
@pytest.mark.parametrize("sides", [Sides(left=24, down=5), Sides(left=1, right=1, up=1, down=1), Sides(up=7, left=-30)])
def test_the_frame_lies_on_the_models_grid_at_the_photos_scale(graph: str, grid: int, sides: Sides) -> None:
    of = comfyui(graph=graph)
    extended = task(photo_png(640, 512), of=of, sides=sides)
    pixels = uploaded(extended, of)
    height, width = pixels.shape[:2]
    assert (width % grid, height % grid) == (0, 0)
    placement = extended.job.placement
    assert placement.width <= width < placement.width + 2 * grid
    assert placement.height <= height < placement.height + 2 * grid
    left, top = -(-placement.kept.x // grid) * grid, -(-placement.kept.y // grid) * grid
    kept = pixels[top : top + placement.kept.height, left : left + placement.kept.width]
    used = photo(640, 512)[placement.source.y :, placement.source.x :]
    assert (kept[..., :3] == used).all()
    assert (kept[..., 3] == 255).all()
    opaque = np.zeros((height, width), np.bool_)
    opaque[top : top + placement.kept.height, left : left + placement.kept.width] = True
    assert ((pixels[..., 3] == 255) == opaque).all()  # transparent is painted, all else is kept


def test_under_what_is_to_be_made_lie_the_photos_own_colours() -> None:
    pixels = uploaded(task(photo_png(640, 512), sides=Sides(left=160)))
    beside = pixels[:, 150:160, :3].astype(int).mean(axis=(0, 1))
    border = pixels[:, 160:170, :3].astype(int).mean(axis=(0, 1))
    assert np.abs(beside - border).max() < 12
    assert (pixels[:, :160, 3] == 0).all()


def test_a_small_photo_is_enlarged_and_a_large_one_scaled_down_for_the_model() -> None:
    assert 512 * 512 <= np.prod(uploaded(task(photo_jpeg(96, 64))).shape[:2]) < 700_000
    large = uploaded(task(photo_jpeg(2400, 1600)))
    assert 1_600_000 < np.prod(large.shape[:2]) <= 2_000_000
    assert np.prod(uploaded(task(photo_jpeg(2400, 1600)), comfyui(max_megapixels=1.0)).shape[:2]) <= 1_000_000
    thin = uploaded(task(photo_jpeg(6000, 40)))
    assert min(thin.shape[:2]) >= 64


@pytest.mark.parametrize(("size", "fills"), [((640, 512), True), ((630, 500), False), ((2400, 1600), True)])
def test_a_mask_is_transparent_where_it_was(size: tuple[int, int], fills: bool) -> None:
    width, height = size
    pixels = uploaded(task(photo_png(width, height), mask=mask_png(width, height)))
    rows, columns = pixels.shape[:2]
    assert (rows % 16, columns % 16) == (0, 0)
    hole = codec.decode(open_file(mask_png(width, height)))[..., -1] == 0
    share = (pixels[..., 3] == 0).mean() if fills else (pixels[:height, :width, 3] == 0).mean()
    assert share == pytest.approx(hole.mean(), abs=0.01)
    if not fills:
        assert (pixels[height:, :, 3] == 0).all()
        assert (pixels[:, width:, 3] == 0).all()


def test_transparent_parts_of_a_photo_are_sent_in_the_colours_around_them() -> None:
    image = np.dstack((photo(640, 512), np.full((512, 640), 255, np.uint8)))
    image[100:200, 100:200] = (255, 0, 255, 0)
    pixels = uploaded(task(codec.encode(image, "PNG")))
    assert not (pixels[..., :3] == (255, 0, 255)).all(axis=-1).any()


# --- the job ---------------------------------------------------------------------------------------------------------


def test_a_graph_is_run_on_the_name_that_the_upload_got() -> None:
    steps, fill = held(UPLOADED, TAKEN, ended(), picture(), task_=task(prompt="a beach", seed=5))
    calls = [step for step in steps if isinstance(step, Call)]
    assert [(call.method, call.url, call.kind) for call in calls[:3]] == [
        ("POST", f"{BASE}/upload/image", "submit"),
        ("POST", f"{BASE}/prompt", "submit"),
        ("GET", f"{BASE}/history/{RUN}", "repeat"),
    ]
    fetched = urlsplit(calls[3].url)
    assert (calls[3].kind, fetched.path) == ("download", "/view")
    assert parse_qs(fetched.query, keep_blank_values=True) == {name: [text] for name, text in IMAGE.items()}
    assert [call.holds_picture for call in calls] == [False, False, False, True]
    assert KEY not in repr([dict(call.headers) for call in calls])
    body = body_of(calls[1])
    assert {name: body[name] for name in body if name != "prompt"} == {"client_id": RUN, "prompt_id": RUN}
    graph = body["prompt"]
    assert graph["photo"]["inputs"] == {"image": "uncrop/ab (1).png [temp]"}
    assert graph["sampler"]["inputs"]["seed"] == 5
    assert graph["prompt"]["inputs"]["text"] == "a beach"
    assert graph["model"]["inputs"]["unet_name"] == "flux1-fill-dev.safetensors"
    facts = fill.facts
    assert (facts.provider, facts.request_id, facts.model) == ("comfyui", RUN, "flux1-fill-dev.safetensors")
    assert fill.keeps_original is False
    assert (fill.pixels == photo(672, 528)[:517, 8:]).all()


def test_an_upload_in_no_folder_is_named_so() -> None:
    steps, _ = held(says({"name": "a.png", "subfolder": "", "type": "temp"}), TAKEN, ended(), picture())
    graph = body_of(steps[1])["prompt"]  # type: ignore[arg-type]
    assert graph["photo"]["inputs"] == {"image": "a.png [temp]"}
    assert graph["prompt"]["inputs"]["text"] == ""


def test_an_id_of_comfyuis_own_is_used_where_it_takes_none() -> None:
    other = "11111111-2222-4333-8444-555555555555"
    entry = json.loads(ended().body)[RUN]
    steps, fill = held(UPLOADED, says({"prompt_id": other, "number": 1}), says({other: entry}), picture())
    assert [step.url for step in steps if isinstance(step, Call)][2] == f"{BASE}/history/{other}"
    assert fill.facts.request_id == other


def test_its_place_in_the_queue_is_told_while_it_waits() -> None:
    others = [item(7, "later"), item(2, "first"), item(5), "junk", [1], ["1", "x"]]
    steps, _ = held(
        *(UPLOADED, TAKEN),
        *(NOT_YET, queue([item(1, "running")], others), None, NOT_YET, queue([item(5)]), None),  # type: ignore[arg-type]
        *(ended(), picture()),
    )
    waits = [step for step in steps if isinstance(step, Wait)]
    assert [(wait.fraction, wait.step) for wait in waits] == [
        (None, "submitted"),
        (0.0, "place 2 in ComfyUI's queue"),
        (0.0, "ComfyUI is at work"),
    ]
    assert [wait.seconds for wait in waits] == [0.25, 0.375, 0.5625]
    assert [step.url for step in steps if isinstance(step, Call)][2:5] == [
        f"{BASE}/history/{RUN}",
        f"{BASE}/queue",
        f"{BASE}/history/{RUN}",
    ]


def test_pauses_grow_to_two_seconds() -> None:
    rounds = [each for _ in range(8) for each in (NOT_YET, queue([item(1)]), None)]
    steps, _ = held(UPLOADED, TAKEN, *rounds, ended(), picture())  # type: ignore[arg-type]
    assert [step.seconds for step in steps if isinstance(step, Wait)][-3:] == [2.0, 2.0, 2.0]


def test_a_run_that_ended_between_two_looks_is_found() -> None:
    _, fill = held(UPLOADED, TAKEN, NOT_YET, queue(), ended(), picture())
    assert fill.pixels.size


def test_a_run_that_is_known_no_more_is_lost() -> None:
    error = refused(UPLOADED, TAKEN, NOT_YET, queue([], [item(1, "other")]), NOT_YET)
    assert type(error) is errors.ProviderError
    assert error.system_message == "ComfyUI does not know the job any more; it was cleared or started anew"


def test_a_history_without_a_status_is_of_what_has_ended() -> None:
    assert held(UPLOADED, TAKEN, ended(status=None), picture())[1].pixels.size


# --- giving up -------------------------------------------------------------------------------------------------------


def given_up(step: Step, looked: Answer) -> list[tuple[str, str, object]]:
    assert isinstance(step, Call | Wait)
    assert callable(step.on_cancel)
    calls, sent = step.on_cancel(), []
    call: Call | None = next(calls)
    answers = iter([says(""), looked, says("")])
    while call is not None:
        sent.append((call.method, call.url, body_of(call) if call.body else None))
        try:
            call = calls.send(next(answers))
        except StopIteration:
            break
    return sent


@pytest.mark.parametrize("place", [1, 2, 3, 4])
def test_whenever_the_client_leaves_the_run_is_taken_out_or_interrupted(place: int) -> None:
    steps, _ = held(UPLOADED, TAKEN, NOT_YET, queue([item(1)]), None, ended(), picture())  # type: ignore[arg-type]
    left = [
        ("POST", f"{BASE}/queue", {"delete": [RUN]}),
        ("GET", f"{BASE}/queue", None),
    ]
    assert given_up(steps[place], queue([item(1)])) == [*left, ("POST", f"{BASE}/interrupt", {"prompt_id": RUN})]


@pytest.mark.parametrize("looked", [queue([item(1, "another")], [item(2)]), says([]), page(200), says({}, 500)])
def test_nobody_elses_run_is_interrupted(looked: Answer) -> None:
    steps, _ = held(UPLOADED, TAKEN, ended(), picture())
    assert [call[1] for call in given_up(steps[1], looked)] == [f"{BASE}/queue", f"{BASE}/queue"]


def test_an_upload_and_a_download_need_no_giving_up() -> None:
    steps, _ = held(UPLOADED, TAKEN, ended(), picture())
    assert [steps[place].on_cancel for place in (0, -1)] == [None, None]  # type: ignore[union-attr]


# --- examination -----------------------------------------------------------------------------------------------------


def examined(of: ComfyUI, looked: Answer) -> tuple[str, ...]:
    examination = of.examine()
    call = next(examination)
    assert (call.method, call.url) == ("GET", f"{BASE}/object_info")
    try:
        examination.send(looked)
    except StopIteration as end:
        missing: tuple[str, ...] = end.value
        return missing
    raise AssertionError("more than one call")


def test_an_examination_tells_what_is_missing() -> None:
    assert examined(comfyui(), everything()) == ()
    assert examined(comfyui(graph_file=OWN), says({"LoadImage": {}})) == ("the node SaveImage",)
    with pytest.raises(errors.ProviderError):
        examined(comfyui(), page(404))


# --- settings and facts ----------------------------------------------------------------------------------------------


def test_an_own_graph_decides_what_can_be_asked() -> None:
    own = comfyui(graph_file=OWN, model="x")
    assert [field.name for field in own.facts.fields] == ["mask_file"]
    assert own.facts.geometry.grid == 16
    with pytest.raises(errors.InvalidFieldValue, match="prompt is not supported by provider comfyui"):
        task(of=own, prompt="a beach")
    steps, fill = held(
        UPLOADED, TAKEN, ended({"5": {"images": [{"filename": "uncrop_00001_.png"}]}}), picture(), of=own
    )
    assert body_of(steps[1])["prompt"]["3"]["inputs"] == {"image": "uncrop/ab (1).png [temp]"}  # type: ignore[arg-type]
    assert steps[-1].url == f"{BASE}/view?filename=uncrop_00001_.png&subfolder=&type=output"  # type: ignore[union-attr]
    assert fill.facts.model is None


def test_a_negative_prompt_goes_where_the_graph_has_a_weight_for_it() -> None:
    of = comfyui(graph="checkpoint")
    for wanted in ("people", None):
        steps, _ = held(UPLOADED, TAKEN, ended(), picture(), of=of, task_=task(of=of, negative_prompt=wanted))
        graph = body_of(steps[1])["prompt"]  # type: ignore[arg-type]
        assert graph["negative"]["inputs"]["text"] == (wanted or "")
        assert graph["prompt"]["inputs"]["text"] == ""
    assert [field.name for field in comfyui().facts.fields] == ["mask_file", "seed", "prompt"]
    with pytest.raises(errors.InvalidFieldValue, match="negative_prompt is not supported by provider comfyui"):
        task(negative_prompt="people")


@pytest.mark.parametrize(
    ("values", "node", "field", "expected", "pixels"),
    [
        ({}, "model", "unet_name", "flux1-fill-dev.safetensors", 2_000_000),
        ({"model": "a.gguf"}, "model", "unet_name", "a.gguf", 2_000_000),
        ({"graph": "checkpoint"}, "model", "ckpt_name", "512-inpainting-ema.safetensors", 1_000_000),
        ({"graph": "checkpoint", "model": "b", "max_megapixels": 0.4}, "model", "ckpt_name", "b", 400_000),
    ],
)
def test_the_settings_choose_the_graph_its_model_and_the_largest_frame(
    values: dict[str, Any], node: str, field: str, expected: str, pixels: int
) -> None:
    of = comfyui(**values)
    assert of.graph.nodes[node]["inputs"][field] == expected  # type: ignore[index]
    assert of.facts.geometry.max_pixels == pixels


def test_it_is_configured_by_its_address_alone() -> None:
    comfyui(api_key=None).check_configured()
    nowhere = ComfyUI(FACTS, make_settings(FACTS, base_url=None))
    with pytest.raises(errors.ProviderNotConfigured) as missing:
        nowhere.check_configured()
    assert missing.value.system_message == "The provider comfyui has no base_url"


def test_ids_of_runs_are_drawn_in_the_form_that_comfyui_takes(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.undo()
    names = {module.new_job_id() for _ in range(3)}
    assert len(names) == 3
    assert all(len(name) == 36 and name == name.lower() for name in names)


def test_the_row_of_facts() -> None:
    facts = FACTS
    assert [field.name for field in facts.fields] == ["mask_file", "seed", "prompt", "negative_prompt"]
    assert (facts.geometry.speaks, facts.geometry.scales, facts.geometry.grid) == ("mask", True, 16)
    assert (facts.answer_format, facts.bills, facts.price) == ("PNG", False, None)
    assert (facts.poll_hosts, facts.download_hosts) == ((), ())
    assert {facts.variable(setting): setting.default for setting in facts.settings} == {
        "UNCROP_COMFYUI_BASE_URL": None,
        "UNCROP_COMFYUI_GRAPH": "flux",
        "UNCROP_COMFYUI_MODEL": None,
        "UNCROP_COMFYUI_GRAPH_FILE": None,
        "UNCROP_COMFYUI_MAX_MEGAPIXELS": None,
        "UNCROP_COMFYUI_RATE_LIMIT_PER_MINUTE": None,
    }
