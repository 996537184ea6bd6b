"""Graphs for the emulator of ComfyUI, and calls to it."""

from __future__ import annotations

import copy
from typing import Any

import httpx2
import numpy as np

from uncrop.imaging import codec
from uncrop.imaging.header import open_file
from uncrop.testing.comfyui import ComfyUIEmulator
from uncrop.testing.pictures import photo

WIDTH, HEIGHT = 64, 48
GRAPH: dict[str, dict[str, Any]] = {
    "1": {"class_type": "LoadImage", "inputs": {"image": ""}},
    "2": {"class_type": "CheckpointLoaderSimple", "inputs": {"ckpt_name": "512-inpainting-ema.safetensors"}},
    "3": {"class_type": "CLIPTextEncode", "inputs": {"text": "a beach", "clip": ["2", 1]}},
    "4": {
        "class_type": "VAEEncodeForInpaint",
        "inputs": {"pixels": ["1", 0], "vae": ["2", 2], "mask": ["1", 1], "grow_mask_by": 6},
    },
    "5": {
        "class_type": "KSampler",
        "inputs": {
            "model": ["2", 0],
            "positive": ["3", 0],
            "negative": ["3", 0],
            "latent_image": ["4", 0],
            "seed": 0,
            "steps": 20,
            "cfg": 7,
            "sampler_name": "euler",
            "scheduler": "normal",
            "denoise": 1,
        },
    },
    "6": {"class_type": "VAEDecode", "inputs": {"samples": ["5", 0], "vae": ["2", 2]}},
    "7": {"class_type": "SaveImage", "inputs": {"images": ["6", 0], "filename_prefix": "uncrop"}},
}
FLUX: dict[str, dict[str, Any]] = {
    "1": {"class_type": "LoadImage", "inputs": {"image": ""}},
    "2": {
        "class_type": "ImagePadForOutpaint",
        "inputs": {"image": ["1", 0], "left": 16, "top": 0, "right": 8, "bottom": 24, "feathering": 8},
    },
    "3": {"class_type": "UNETLoader", "inputs": {"unet_name": "flux1-fill-dev.safetensors", "weight_dtype": "default"}},
    "4": {
        "class_type": "DualCLIPLoader",
        "inputs": {"clip_name1": "clip_l.safetensors", "clip_name2": "t5xxl_fp16.safetensors", "type": "flux"},
    },
    "5": {"class_type": "VAELoader", "inputs": {"vae_name": "ae.safetensors"}},
    "6": {"class_type": "CLIPTextEncode", "inputs": {"clip": ["4", 0], "text": "a beach"}},
    "7": {"class_type": "CLIPTextEncode", "inputs": {"clip": ["4", 0], "text": ""}},
    "8": {"class_type": "FluxGuidance", "inputs": {"conditioning": ["6", 0], "guidance": 30}},
    "9": {
        "class_type": "InpaintModelConditioning",
        "inputs": {
            "positive": ["8", 0],
            "negative": ["7", 0],
            "vae": ["5", 0],
            "pixels": ["2", 0],
            "mask": ["2", 1],
            "noise_mask": False,
        },
    },
    "10": {
        "class_type": "KSampler",
        "inputs": {
            "model": ["13", 0],
            "positive": ["9", 0],
            "negative": ["9", 1],
            "latent_image": ["9", 2],
            "seed": 1,
            "steps": 20,
            "cfg": 1,
            "sampler_name": "euler",
            "scheduler": "normal",
            "denoise": 1,
        },
    },
    "11": {"class_type": "VAEDecode", "inputs": {"samples": ["10", 0], "vae": ["5", 0]}},
    "12": {
        "class_type": "ImageCompositeMasked",
        "inputs": {"destination": ["11", 0], "source": ["1", 0], "x": 16, "y": 0, "resize_source": False},
    },
    "13": {"class_type": "DifferentialDiffusion", "inputs": {"model": ["3", 0]}},
    "14": {"class_type": "PreviewImage", "inputs": {"images": ["12", 0]}},
}


def get(emulator: ComfyUIEmulator, path: str, **query: str) -> httpx2.Response:
    return httpx2.get(f"{emulator.url}{path}", params=query or None, trust_env=False, timeout=60)


def post(emulator: ComfyUIEmulator, path: str, body: object) -> httpx2.Response:
    return httpx2.post(f"{emulator.url}{path}", json=body, trust_env=False, timeout=60)


def upload(
    emulator: ComfyUIEmulator,
    data: bytes | None = None,
    name: str = "a.png",
    path: str = "/upload/image",
    **fields: str,
) -> httpx2.Response:
    files = {"image": (name, photo_with_hole() if data is None else data, "image/png")}
    return httpx2.post(f"{emulator.url}{path}", files=files, data=fields, trust_env=False, timeout=60)


def photo_with_hole(width: int = WIDTH, height: int = HEIGHT, columns: int = 16) -> bytes:
    """Return a picture whose left columns are transparent, with other colours under them."""
    alpha = np.full((height, width), 255, np.uint8)
    pixels = photo(width, height)
    alpha[:, :columns], pixels[:, :columns] = 0, (255, 0, 255)
    return codec.encode(np.dstack((pixels, alpha)), "PNG")


def name_in_graph(uploaded: httpx2.Response) -> str:
    told = uploaded.json()
    path = f"{told['subfolder']}/{told['name']}" if told["subfolder"] else told["name"]
    return path if told["type"] == "input" else f"{path} [{told['type']}]"


def submit(
    emulator: ComfyUIEmulator, image: bytes | None = None, graph: Any = None, **changes: dict[str, object]
) -> httpx2.Response:
    """Upload a picture and run a graph on it; ``changes`` are inputs of nodes, named ``node_3``."""
    made = copy.deepcopy(GRAPH if graph is None else graph)
    made["1"]["inputs"]["image"] = name_in_graph(upload(emulator, image))
    for name, inputs in changes.items():
        made[name.removeprefix("node_")]["inputs"].update(inputs)
        for key in [key for key, value in inputs.items() if value is ...]:
            del made[name.removeprefix("node_")]["inputs"][key]
    return post(emulator, "/prompt", {"prompt": made, "client_id": "c"})


def entry_of(emulator: ComfyUIEmulator, taken: httpx2.Response) -> dict[str, Any]:
    name = taken.json()["prompt_id"]
    for _ in range(10):
        told = get(emulator, f"/history/{name}").json()
        if told:
            entry: dict[str, Any] = told[name]
            return entry
    raise AssertionError("the job does not end")


def image_of(emulator: ComfyUIEmulator, entry: dict[str, Any]) -> httpx2.Response:
    (output,) = entry["outputs"].values()
    (image,) = output["images"]
    return get(emulator, "/view", **image)


def picture(data: bytes) -> np.ndarray:
    return codec.decode(open_file(data))


def made_of(emulator: ComfyUIEmulator, *arguments: Any, **changes: Any) -> np.ndarray:
    return picture(image_of(emulator, entry_of(emulator, submit(emulator, *arguments, **changes))).content)
