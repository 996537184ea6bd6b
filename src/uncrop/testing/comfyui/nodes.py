"""What an emulated ComfyUI knows: its nodes, with their inputs and outputs, and its models.

As ``/object_info`` tells it. Kept apart from the provider's own graphs, so that a mistake in one is found by the other.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, TypeAlias

Spec: TypeAlias = "list[Any]"
"""``[type, options]``, or ``[[choices]]``."""

MODELS: Mapping[str, tuple[str, ...]] = {
    "checkpoints": ("512-inpainting-ema.safetensors", "sd_xl_inpainting_0.1.safetensors"),
    "diffusion_models": ("flux1-dev.safetensors", "flux1-fill-dev.safetensors"),
    "text_encoders": ("clip_l.safetensors", "t5xxl_fp16.safetensors", "t5xxl_fp8_e4m3fn.safetensors"),
    "vae": ("ae.safetensors", "vae-ft-mse-840000-ema-pruned.safetensors"),
}
SAMPLERS = ["euler", "euler_ancestral", "heun", "dpmpp_2m", "ddim", "uni_pc"]
SCHEDULERS = ["simple", "sgm_uniform", "karras", "exponential", "normal", "beta"]
EDGE = {"default": 0, "min": 0, "max": 16_384, "step": 8}


@dataclass(frozen=True, kw_only=True)
class NodeFacts:
    """One class of nodes.

    Attributes
    ----------
    outputs
        The types of its outputs.
    puts_out
        It is an end of a graph: what leads to none of these is not run.
    """

    required: Mapping[str, Spec]
    outputs: tuple[str, ...] = ()
    optional: Mapping[str, Spec] = field(default_factory=dict)
    puts_out: bool = False

    def told(self, name: str) -> dict[str, Any]:
        """Return it as ``/object_info`` does."""
        return {
            "input": {"required": dict(self.required), "optional": dict(self.optional)},
            "output": list(self.outputs),
            "name": name,
            "output_node": self.puts_out,
        }

    def spec(self, name: str) -> Spec | None:
        """Return what an input may be, if there is one of this name."""
        return self.required.get(name, self.optional.get(name))


def choice(*values: str) -> Spec:
    """Return the spec of a choice, as the older nodes tell it."""
    return [list(values)]


def newer_choice(*values: str) -> Spec:
    """Return the spec of a choice, as the newer nodes tell it."""
    return ["COMBO", {"options": list(values)}]


OF_PICTURES: Mapping[str, NodeFacts] = {
    "LoadImage": NodeFacts(required={"image": [[], {"image_upload": True}]}, outputs=("IMAGE", "MASK")),
    "LoadImageMask": NodeFacts(
        required={"image": [[], {"image_upload": True}], "channel": choice("alpha", "red", "green", "blue")},
        outputs=("MASK",),
    ),
    "ImagePadForOutpaint": NodeFacts(
        required={
            "image": ["IMAGE"],
            **{side: ["INT", EDGE] for side in ("left", "top", "right", "bottom")},
            "feathering": ["INT", {"default": 40, "min": 0, "max": 16_384}],
        },
        outputs=("IMAGE", "MASK"),
    ),
    "ImageCompositeMasked": NodeFacts(
        required={
            "destination": ["IMAGE"],
            "source": ["IMAGE"],
            "x": ["INT", EDGE],
            "y": ["INT", EDGE],
            "resize_source": ["BOOLEAN", {"default": False}],
        },
        optional={"mask": ["MASK"]},
        outputs=("IMAGE",),
    ),
    "SaveImage": NodeFacts(
        required={"images": ["IMAGE"], "filename_prefix": ["STRING", {"default": "ComfyUI"}]}, puts_out=True
    ),
    "PreviewImage": NodeFacts(required={"images": ["IMAGE"]}, puts_out=True),
}
OF_SAMPLING: Mapping[str, NodeFacts] = {
    "DifferentialDiffusion": NodeFacts(required={"model": ["MODEL"]}, outputs=("MODEL",)),
    "CLIPTextEncode": NodeFacts(
        required={"text": ["STRING", {"multiline": True}], "clip": ["CLIP"]}, outputs=("CONDITIONING",)
    ),
    "FluxGuidance": NodeFacts(
        required={"conditioning": ["CONDITIONING"], "guidance": ["FLOAT", {"min": 0.0, "max": 100.0}]},
        outputs=("CONDITIONING",),
    ),
    "InpaintModelConditioning": NodeFacts(
        required={
            "positive": ["CONDITIONING"],
            "negative": ["CONDITIONING"],
            "vae": ["VAE"],
            "pixels": ["IMAGE"],
            "mask": ["MASK"],
            "noise_mask": ["BOOLEAN", {"default": True}],
        },
        outputs=("CONDITIONING", "CONDITIONING", "LATENT"),
    ),
    "VAEEncodeForInpaint": NodeFacts(
        required={
            "pixels": ["IMAGE"],
            "vae": ["VAE"],
            "mask": ["MASK"],
            "grow_mask_by": ["INT", {"default": 6, "min": 0, "max": 64}],
        },
        outputs=("LATENT",),
    ),
    "KSampler": NodeFacts(
        required={
            "model": ["MODEL"],
            "seed": ["INT", {"min": 0, "max": 2**64 - 1}],
            "steps": ["INT", {"min": 1, "max": 10_000}],
            "cfg": ["FLOAT", {"min": 0.0, "max": 100.0}],
            "sampler_name": choice(*SAMPLERS),
            "scheduler": choice(*SCHEDULERS),
            "positive": ["CONDITIONING"],
            "negative": ["CONDITIONING"],
            "latent_image": ["LATENT"],
            "denoise": ["FLOAT", {"min": 0.0, "max": 1.0}],
        },
        outputs=("LATENT",),
    ),
    "VAEDecode": NodeFacts(required={"samples": ["LATENT"], "vae": ["VAE"]}, outputs=("IMAGE",)),
}


def known_nodes(without: Sequence[str]) -> dict[str, NodeFacts]:
    """Return the nodes of a server, without some nodes and models."""
    nodes = {**OF_PICTURES, **OF_SAMPLING, **_loaders(without)}
    return {name: facts for name, facts in nodes.items() if name not in without}


def _loaders(without: Sequence[str]) -> dict[str, NodeFacts]:
    files = {kind: [name for name in names if name not in without] for kind, names in MODELS.items()}
    return {
        "UNETLoader": NodeFacts(
            required={
                "unet_name": [files["diffusion_models"]],
                "weight_dtype": newer_choice("default", "fp8_e4m3fn", "fp8_e5m2"),
            },
            outputs=("MODEL",),
        ),
        "CheckpointLoaderSimple": NodeFacts(
            required={"ckpt_name": [files["checkpoints"]]}, outputs=("MODEL", "CLIP", "VAE")
        ),
        "DualCLIPLoader": NodeFacts(
            required={
                "clip_name1": [files["text_encoders"]],
                "clip_name2": [files["text_encoders"]],
                "type": newer_choice("sdxl", "sd3", "flux"),
            },
            optional={"device": choice("default", "cpu")},
            outputs=("CLIP",),
        ),
        "VAELoader": NodeFacts(required={"vae_name": [files["vae"]]}, outputs=("VAE",)),
    }
