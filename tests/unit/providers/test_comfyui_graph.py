"""ComfyUI's graphs: what is refused at the start, what is filled in, and what a server lacks."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest

from uncrop import settings
from uncrop.errors import SettingsError
from uncrop.providers.comfyui.graph import (
    NEGATIVE_PROMPT,
    PHOTO,
    PICTURE,
    PROMPT,
    SEED,
    UnusableGraph,
    check_graph,
    missing_of,
    read_graph,
)
from uncrop.providers.comfyui.stock import MODELS, stock_graph
from uncrop.providers.registry import load_rows
from uncrop.testing.comfyui.nodes import known_nodes
from uncrop.testing.comfyui.rules import check_graph as check_as_the_server_does

NODES: dict[str, Any] = {
    "3": {"class_type": "LoadImage", "inputs": {"image": "x.png"}, "_meta": {"title": "  Uncrop  PHOTO "}},
    "5": {"class_type": "PreviewImage", "inputs": {"images": ["3", 0]}, "_meta": {"title": "uncrop picture"}},
}


def changed(**changes: Any) -> str:
    return json.dumps({name: node for name, node in {**NODES, **changes}.items() if node is not None})


def titled(title: str, **inputs: object) -> dict[str, object]:
    return {"class_type": "A", "inputs": inputs, "_meta": {"title": title}}


# --- reading ---------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("text", "problem"),
    [
        ("", "is not JSON"),
        ("[" * 100_000, "is not JSON"),
        ("[]", "is not a graph in ComfyUI's API format"),
        ("{}", "is not a graph in ComfyUI's API format"),
        ('"text"', "is not a graph in ComfyUI's API format"),
        (
            '{"nodes": [], "links": []}',
            "is a workflow as ComfyUI's page keeps it; export it in the API format",
        ),
        (changed(**{"9": 7}), "has a node without a class_type: 9"),
        (changed(**{"9": {"inputs": {}}}), "has a node without a class_type: 9"),
        (changed(**{"9": {"class_type": "A", "inputs": []}}), "has a node without inputs: 9"),
        (
            changed(**{"9": {"class_type": "A", "inputs": {"a": ["77", 0]}}}),
            "has a node that reads from one that is not there: 9 from 77",
        ),
        (
            changed(**{"3": None, "5": None, "9": titled("x")}),
            "has no node with the title 'uncrop photo' and none with 'uncrop picture'",
        ),
        (changed(**{"5": None}), "has no node with the title 'uncrop picture'"),
        (changed(**{"3": {**NODES["3"], "_meta": {"title": 7}}}), "has no node with the title 'uncrop photo'"),
        (changed(**{"3": {**NODES["3"], "_meta": "uncrop photo"}}), "has no node with the title 'uncrop photo'"),
        (changed(**{"9": titled(PICTURE)}), "has several nodes with the title 'uncrop picture'"),
        (changed(**{"9": titled(PHOTO)}), "has a node with the title 'uncrop photo' that has no input image"),
        (
            changed(**{"9": titled(SEED, text="")}),
            "has a node with the title 'uncrop seed' that has no input seed or noise_seed or value",
        ),
    ],
)
def test_what_is_no_graph_is_told_by_its_fault(text: str, problem: str) -> None:
    assert check_graph(text) == problem
    with pytest.raises(UnusableGraph, match="^" + problem.replace("(", r"\(")):
        read_graph(text)


def test_titles_say_where_values_go_and_nothing_else_changes() -> None:
    text = changed(
        **{
            "6": titled(PROMPT, text="old", clip=["3", 1]),
            "7": titled(PROMPT, prompt="old", text_g="x"),
            "8": titled(SEED, noise_seed=1, value=2),
            "9": titled("something else", seed=5),
        }
    )
    assert check_graph(text) is None
    graph = read_graph(text)
    assert [graph.has(title) for title in (PHOTO, PROMPT, NEGATIVE_PROMPT, SEED)] == [True, True, False, True]
    assert graph.picture == "5"
    filled = graph.filled({PHOTO: "a [temp]", PROMPT: "sea", NEGATIVE_PROMPT: "none", SEED: 4})
    expected = json.loads(text)
    expected["3"]["inputs"]["image"] = "a [temp]"
    expected["6"]["inputs"]["text"] = "sea"
    expected["7"]["inputs"]["prompt"] = "sea"
    expected["8"]["inputs"]["noise_seed"] = 4
    assert filled == expected
    assert graph.nodes == json.loads(text)  # the next picture begins from the same graph


# --- at the start ----------------------------------------------------------------------------------------------------


def test_a_graph_without_the_nodes_that_must_be_there_stops_the_start(tmp_path: Path) -> None:
    path = tmp_path / "graph.json"
    path.write_text(changed(**{"3": None, "5": None, "9": titled("x")}))
    with pytest.raises(SettingsError) as refused:
        settings.load(load_rows(()), data_dir=tmp_path, comfyui_graph_file=str(path), _env_file=None)
    assert refused.value.problems == [
        "UNCROP_COMFYUI_GRAPH_FILE: has no node with the title 'uncrop photo' and none with 'uncrop picture'"
    ]
    path.write_text(changed())
    loaded = settings.load(load_rows(()), data_dir=tmp_path, comfyui_graph_file=str(path), _env_file=None)
    assert loaded.providers["comfyui"].text("graph_file") == changed()


# --- what a server lacks ---------------------------------------------------------------------------------------------


def told(*without: str) -> dict[str, object]:
    return {name: facts.told(name) for name, facts in known_nodes(without).items()}


@pytest.mark.parametrize("name", MODELS)
def test_the_stock_graphs_lack_nothing_on_a_server_that_has_their_models(name: str) -> None:
    graph = stock_graph(name, "")
    assert missing_of(graph, told()) == ()
    filled = graph.filled({PHOTO: "a.png", SEED: 2**32 - 1, PROMPT: "sea"})
    assert check_as_the_server_does(filled, known_nodes(()), {"a.png"}) == {}


def test_the_negative_prompt_is_there_where_it_has_a_weight() -> None:
    assert stock_graph("checkpoint", "").has(NEGATIVE_PROMPT)
    assert not stock_graph("flux", "").has(NEGATIVE_PROMPT)


def test_missing_nodes_and_models_are_named_by_the_graphs_own_names() -> None:
    assert missing_of(stock_graph("flux", "my.safetensors"), told("DualCLIPLoader", "ae.safetensors")) == (
        "my.safetensors for unet_name of UNETLoader",
        "the node DualCLIPLoader",
        "ae.safetensors for vae_name of VAELoader",
    )
    twice = changed(**{"8": titled("x"), "9": titled("y")})
    assert missing_of(read_graph(twice), told()) == ("the node A",)


def test_an_input_that_a_newer_node_wants_is_told_without_its_name() -> None:
    known = told()
    known["KSampler"] = {"input": {"required": {"canary": ["INT"]}}}
    assert missing_of(stock_graph("checkpoint", ""), known) == ("an input of KSampler, which this graph does not give",)


@pytest.mark.parametrize(
    ("info", "missing"),
    [
        ("text", ("the node A",)),
        ({}, ()),
        ({"input": "text"}, ()),
        ({"input": {"required": [], "optional": None}}, ()),
        ({"input": {"required": {"a": "text"}}}, ()),
        ({"input": {"required": {"a": []}}}, ()),
        ({"input": {"required": {"a": ["COMBO"]}}}, ()),
        ({"input": {"required": {"a": ["COMBO", "text"]}}}, ()),
        ({"input": {"required": {"a": ["COMBO", {"options": "text"}]}}}, ()),
        ({"input": {"required": {"a": ["COMBO", {"options": ["x"]}]}}}, ("v for a of A",)),
        ({"input": {"optional": {"a": [["x"]]}}}, ("v for a of A",)),
        ({"input": {"optional": {"a": [["x", "v"]]}}}, ()),
    ],
)
def test_whatever_a_server_says_of_a_node_is_read_without_trust(info: object, missing: tuple[str, ...]) -> None:
    graph = read_graph(changed(**{"9": titled("x", a="v")}))
    assert missing_of(graph, {"LoadImage": {}, "PreviewImage": {}, "A": info}) == missing


def test_the_photos_own_name_is_no_choice() -> None:
    graph = read_graph(changed())
    known = {"LoadImage": {"input": {"required": {"image": [["other.png"]]}}}, "PreviewImage": {}}
    assert missing_of(graph, known) == ()
