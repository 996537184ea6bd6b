"""The graphs that uncrop brings along: FLUX.1 Fill, and any checkpoint of Stable Diffusion that was made to inpaint.

Both take a picture that is padded already, its alpha the mask: ``ImagePadForOutpaint`` would lay grey around the photo,
and knows no holes in it. Neither puts the photo back over what was made: uncrop does, and learns from the repainted
photo by how much the model's colours strayed. Both leave nothing behind: ``PreviewImage`` writes to ComfyUI's folder of
temporary files. The wiring is that of ComfyUI's own template ``flux_fill_outpaint_example``, and of its examples of
inpainting with a checkpoint.
"""

from __future__ import annotations

import json
from collections.abc import Mapping

from uncrop.providers.comfyui.graph import NEGATIVE_PROMPT, PHOTO, PICTURE, PROMPT, SEED, Graph, read_graph

Link = tuple[str, int]


def _node(kind: str, title: str | None = None, **inputs: object) -> dict[str, object]:
    return {"class_type": kind, "inputs": inputs, **({} if title is None else {"_meta": {"title": title}})}


def _text(title: str, clip: Link) -> dict[str, object]:
    return _node("CLIPTextEncode", title, clip=clip, text="")


def _sampler(model: Link, positive: Link, negative: Link, latent: Link, cfg: float) -> dict[str, object]:
    return _node(
        "KSampler",
        SEED,
        model=model,
        positive=positive,
        negative=negative,
        latent_image=latent,
        seed=0,
        steps=20,
        cfg=cfg,
        sampler_name="euler",
        scheduler="normal",
        denoise=1.0,
    )


def _flux(model: str) -> dict[str, dict[str, object]]:
    return {
        "photo": _node("LoadImage", PHOTO, image=""),
        "model": _node("UNETLoader", unet_name=model, weight_dtype="default"),
        "differential": _node("DifferentialDiffusion", model=("model", 0)),
        "clip": _node(
            "DualCLIPLoader", clip_name1="clip_l.safetensors", clip_name2="t5xxl_fp16.safetensors", type="flux"
        ),
        "vae": _node("VAELoader", vae_name="ae.safetensors"),
        "prompt": _text(PROMPT, ("clip", 0)),
        # With a cfg of 1 what is not wanted has no weight: this graph takes no negative prompt.
        "negative": _node("CLIPTextEncode", clip=("clip", 0), text=""),
        "guidance": _node("FluxGuidance", conditioning=("prompt", 0), guidance=30.0),
        "inpaint": _node(
            "InpaintModelConditioning",
            positive=("guidance", 0),
            negative=("negative", 0),
            vae=("vae", 0),
            pixels=("photo", 0),
            mask=("photo", 1),
            noise_mask=False,
        ),
        "sampler": _sampler(("differential", 0), ("inpaint", 0), ("inpaint", 1), ("inpaint", 2), cfg=1.0),
        "decode": _node("VAEDecode", samples=("sampler", 0), vae=("vae", 0)),
        "picture": _node("PreviewImage", PICTURE, images=("decode", 0)),
    }


def _checkpoint(model: str) -> dict[str, dict[str, object]]:
    return {
        "photo": _node("LoadImage", PHOTO, image=""),
        "model": _node("CheckpointLoaderSimple", ckpt_name=model),
        "prompt": _text(PROMPT, ("model", 1)),
        "negative": _text(NEGATIVE_PROMPT, ("model", 1)),
        "inpaint": _node(
            "VAEEncodeForInpaint", pixels=("photo", 0), vae=("model", 2), mask=("photo", 1), grow_mask_by=6
        ),
        "sampler": _sampler(("model", 0), ("prompt", 0), ("negative", 0), ("inpaint", 0), cfg=7.0),
        "decode": _node("VAEDecode", samples=("sampler", 0), vae=("model", 2)),
        "picture": _node("PreviewImage", PICTURE, images=("decode", 0)),
    }


_GRAPHS = {"flux": _flux, "checkpoint": _checkpoint}
# The model that each graph asks for where none is set, by the name of the file as it is published.
MODELS: Mapping[str, str] = {"flux": "flux1-fill-dev.safetensors", "checkpoint": "512-inpainting-ema.safetensors"}


def stock_graph(name: str, model: str) -> Graph:
    """Return a graph that uncrop brings along.

    Parameters
    ----------
    name
        ``flux`` or ``checkpoint``.
    model
        The file of the diffusion model or of the checkpoint, as ComfyUI lists it; empty for the usual one.
    """
    return read_graph(json.dumps(_GRAPHS[name](model or MODELS[name])))
