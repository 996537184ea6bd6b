"""The emulator of ComfyUI checks graphs as the real one does, runs them, and has its nodes' traps."""

from __future__ import annotations

import copy
import uuid
from collections.abc import Iterator
from typing import Any

import numpy as np
import pytest

from fixtures_comfyui_emulator import (
    FLUX,
    GRAPH,
    HEIGHT,
    WIDTH,
    entry_of,
    get,
    made_of,
    name_in_graph,
    photo_with_hole,
    post,
    submit,
    upload,
)
from uncrop.imaging import codec
from uncrop.testing.comfyui import ComfyUIEmulator
from uncrop.testing.comfyui.painting import GREY, REPAINT
from uncrop.testing.pictures import photo, photo_png


@pytest.fixture
def comfyui() -> Iterator[ComfyUIEmulator]:
    with ComfyUIEmulator() as emulator:
        yield emulator


# --- graphs ----------------------------------------------------------------------------------------------------------


def test_transparent_is_painted_and_what_lay_under_it_does_not_count(comfyui: ComfyUIEmulator) -> None:
    made = made_of(comfyui).astype(int)
    known = photo(WIDTH, HEIGHT).astype(int)[:, 16:]
    assert made.shape == (HEIGHT, WIDTH, 3)
    assert (made[:, 16:] - known == REPAINT).all()  # the photo's pixels are lost
    assert (made[:, :16] - known[:, 15::-1] == REPAINT).all()


def test_without_alpha_nothing_is_painted(comfyui: ComfyUIEmulator) -> None:
    made = made_of(comfyui, photo_png(WIDTH, HEIGHT)).astype(int)
    assert (made - photo(WIDTH, HEIGHT) == REPAINT).all()


def test_where_nothing_is_known_all_is_grey(comfyui: ComfyUIEmulator) -> None:
    assert (made_of(comfyui, photo_with_hole(columns=WIDTH)) == GREY + REPAINT).all()


@pytest.mark.parametrize(
    ("size", "made", "left"), [((71, 55), (64, 48), 3), ((65, 49), (64, 48), 0), ((70, 48), (64, 48), 3)]
)
def test_off_the_grid_the_picture_is_cut_around_its_middle(
    comfyui: ComfyUIEmulator, size: tuple[int, int], made: tuple[int, int], left: int
) -> None:
    pixels = made_of(comfyui, photo_png(*size)).astype(int)
    assert pixels.shape[1::-1] == made
    top = (size[1] - made[1]) // 2
    assert (pixels - photo(*size).astype(int)[top : top + made[1], left : left + made[0]] == REPAINT).all()


def test_the_stock_outpainting_graph_runs_and_its_composite_keeps_the_photo(comfyui: ComfyUIEmulator) -> None:
    made = made_of(comfyui, photo_png(WIDTH, HEIGHT), FLUX)
    assert made.shape == (HEIGHT + 24, WIDTH + 24, 3)
    assert (made[:HEIGHT, 16 : 16 + WIDTH] == photo(WIDTH, HEIGHT)).all()
    assert not (made[:HEIGHT, :16] == GREY).all()
    entry = entry_of(comfyui, submit(comfyui, photo_png(WIDTH, HEIGHT), FLUX, node_10={"seed": 2}))
    assert entry["outputs"]["14"]["images"][0]["type"] == "temp"


@pytest.mark.parametrize(("feathering", "softened"), [(0, False), (8, True), (24, False), (40, False)])
def test_a_feathering_of_half_a_side_or_more_is_none(comfyui: ComfyUIEmulator, feathering: int, softened: bool) -> None:
    graph = {
        **FLUX,
        "12": {
            "class_type": "ImageCompositeMasked",
            "inputs": {
                "destination": ["1", 0],
                "source": ["2", 0],
                "x": 0,
                "y": 0,
                "resize_source": False,
                "mask": ["2", 1],
            },
        },
    }
    made = made_of(comfyui, photo_png(WIDTH, HEIGHT), graph, node_2={"feathering": feathering, "left": 0, "bottom": 0})
    known = photo(WIDTH, HEIGHT)
    # Where the mask is soft, the padded picture, which is the photo itself here, is laid over the photo: no change.
    assert (made == known).all()
    shifted = made_of(
        comfyui, photo_png(WIDTH, HEIGHT), graph, node_2={"feathering": feathering, "left": 16, "bottom": 0}
    )
    assert (shifted[:, :16] == GREY).all()
    assert ((shifted[:, 16:23] != known[:, 16:23]).any()) is np.bool_(softened)


def test_a_masks_channel_of_colour_is_not_inverted_and_alpha_is(comfyui: ComfyUIEmulator) -> None:
    def painted(channel: str) -> np.ndarray:
        graph = {**GRAPH, "8": {"class_type": "LoadImageMask", "inputs": {"image": "", "channel": channel}}}
        colours = np.zeros((HEIGHT, WIDTH, 4), np.uint8)
        colours[:, :16, 0], colours[..., 3] = 255, 255
        colours[:, -16:, 3] = 0
        image = name_in_graph(upload(comfyui, codec.encode(colours, "PNG")))
        made = made_of(comfyui, photo_png(WIDTH, HEIGHT), graph, node_8={"image": image}, node_4={"mask": ["8", 0]})
        changed: np.ndarray = (made.astype(int) - photo(WIDTH, HEIGHT) != REPAINT).any(axis=(0, 2))
        return np.flatnonzero(changed)

    assert painted("red").max() < 16
    assert painted("alpha").min() >= WIDTH - 16
    assert painted("green").size == 0


def test_the_seed_changes_the_picture_and_the_same_graph_is_known_again(comfyui: ComfyUIEmulator) -> None:
    taken = submit(comfyui)
    first = entry_of(comfyui, taken)
    again = submit(comfyui)
    name = again.json()["prompt_id"]
    assert name != taken.json()["prompt_id"]
    assert get(comfyui, f"/history/{name}").json() == {}
    second = get(comfyui, f"/history/{name}").json()[name]  # it has not to work
    assert second["outputs"] == first["outputs"]
    assert second["status"]["messages"][1][1]["nodes"] == list(GRAPH)
    assert first["status"]["messages"][1][1]["nodes"] == []
    assert (made_of(comfyui, node_5={"seed": 1}) == made_of(comfyui) + 1).all()


def test_runs_wait_and_work_before_they_end(comfyui: ComfyUIEmulator) -> None:
    name = submit(comfyui).json()["prompt_id"]
    places = []
    for _ in range(4):
        told = get(comfyui, "/queue").json()
        places.append([len(told["queue_running"]), len(told["queue_pending"])])
        found = get(comfyui, f"/api/history/{name}").json()
        assert bool(found) is (len(places) == 4)
    assert places == [[0, 1], [0, 1], [1, 0], [1, 0]]
    assert get(comfyui, "/queue").json() == {"queue_running": [], "queue_pending": []}
    assert get(comfyui, "/history/unknown").json() == {}
    assert found[name]["status"]["status_str"] == "success"


def test_an_id_of_the_clients_is_taken(comfyui: ComfyUIEmulator) -> None:
    name = str(uuid.uuid4())
    body = {"prompt": {"1": GRAPH["1"]}, "prompt_id": name.upper()}
    assert post(comfyui, "/prompt", body).json()["error"]["type"] == "invalid_prompt_id"
    assert post(comfyui, "/prompt", {**body, "prompt_id": 7}).json()["error"]["type"] == "invalid_prompt_id"
    assert post(comfyui, "/prompt", {**body, "prompt_id": "x"}).json()["error"]["type"] == "invalid_prompt_id"
    graph = copy.deepcopy(GRAPH)
    graph["1"]["inputs"]["image"] = name_in_graph(upload(comfyui))
    assert post(comfyui, "/api/prompt", {"prompt": graph, "prompt_id": name}).json()["prompt_id"] == name
    assert len(comfyui.submits) == 4


@pytest.mark.parametrize(
    ("changes", "node", "kind"),
    [
        ({"node_1": {"image": "other.png"}}, "1", "custom_validation_failed"),
        ({"node_2": {"ckpt_name": "other.safetensors"}}, "2", "value_not_in_list"),
        ({"node_3": {"text": ...}}, "3", "required_input_missing"),
        ({"node_4": {"grow_mask_by": 65}}, "4", "value_bigger_than_max"),
        ({"node_4": {"grow_mask_by": -1}}, "4", "value_smaller_than_min"),
        ({"node_4": {"mask": ["1", 0]}}, "4", "return_type_mismatch"),
        ({"node_4": {"mask": ["1", 2]}}, "4", "return_type_mismatch"),
        ({"node_4": {"mask": ["99", 0]}}, "4", "bad_linked_input"),
        ({"node_4": {"mask": ["1"]}}, "4", "bad_linked_input"),
        ({"node_5": {"seed": "many"}}, "5", "invalid_input_type"),
        ({"node_5": {"seed": None}}, "5", "invalid_input_type"),
        ({"node_5": {"seed": 2**64}}, "5", "value_bigger_than_max"),
        ({"node_5": {"sampler_name": "best"}}, "5", "value_not_in_list"),
        ({"node_6": {"vae": "ae.safetensors"}}, "6", "return_type_mismatch"),
    ],
)
def test_each_node_is_checked(comfyui: ComfyUIEmulator, changes: dict[str, Any], node: str, kind: str) -> None:
    response = submit(comfyui, **changes)
    assert response.status_code == 400
    body = response.json()
    assert body["error"]["type"] == "prompt_outputs_failed_validation"
    (told,) = body["node_errors"].items()
    assert told[0] == node
    assert [error["type"] for error in told[1]["errors"]] == [kind]
    assert (told[1]["dependent_outputs"], told[1]["class_type"]) == (["7"], GRAPH[node]["class_type"])


@pytest.mark.parametrize(
    ("body", "status", "kind"),
    [
        ({}, 400, "no_prompt"),
        ({"prompt": {"1": {"class_type": "Unknown", "inputs": {}}}}, 400, "missing_node_type"),
        ({"prompt": {"1": {"inputs": {}}}}, 400, "missing_node_type"),
        ({"prompt": {"1": 7}}, 400, "missing_node_type"),
        ({"prompt": {"1": GRAPH["1"]}}, 400, "prompt_no_outputs"),
        ({"prompt": []}, 500, None),
        ([], 500, None),
    ],
)
def test_what_is_no_graph_is_refused(comfyui: ComfyUIEmulator, body: object, status: int, kind: str | None) -> None:
    response = post(comfyui, "/prompt", body)
    assert response.status_code == status
    if kind is None:
        assert response.text == "500: Internal Server Error"
    else:
        assert response.json()["error"]["type"] == kind
        assert response.json()["node_errors"] == {}


def test_an_end_that_can_be_reached_is_run_although_another_cannot(comfyui: ComfyUIEmulator) -> None:
    graph = {**GRAPH, "8": {"class_type": "PreviewImage", "inputs": {"images": ["1", 1]}}}
    taken = submit(comfyui, graph=graph)
    assert taken.status_code == 200
    assert list(taken.json()["node_errors"]) == ["8"]
    assert list(entry_of(comfyui, taken)["outputs"]) == ["7"]


def test_servers_lack_nodes_and_models() -> None:
    with ComfyUIEmulator(without=("KSampler", "ae.safetensors")) as emulator:
        known = get(emulator, "/object_info").json()
        assert "KSampler" not in known
        assert known["VAELoader"]["input"]["required"]["vae_name"] == [["vae-ft-mse-840000-ema-pruned.safetensors"]]
        assert get(emulator, "/object_info/VAELoader").json() == {"VAELoader": known["VAELoader"]}
        assert get(emulator, "/object_info/KSampler").json() == {}
        assert submit(emulator).json()["error"]["type"] == "missing_node_type"
