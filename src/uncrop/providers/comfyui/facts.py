"""The row of facts about ``comfyui``, before the configured graph narrows it."""

from __future__ import annotations

from collections.abc import Mapping

from uncrop.imaging.limits import MAX_PIXELS
from uncrop.model import FieldFacts, GeometryFacts, ProviderFacts, SettingFacts, UploadFacts
from uncrop.providers.comfyui.graph import check_graph
from uncrop.providers.comfyui.stock import MODELS
from uncrop.providers.shared_rows import MASK_FILE, own_base_url, rate_limit, seed

MEGAPIXEL = 1_000_000
# FLUX makes pictures of up to two megapixels. Checkpoints were trained on a quarter of a megapixel or on one.
MEGAPIXELS: Mapping[str, float] = {"flux": 2.0, "checkpoint": 1.0}
# FLUX puts 2 x 2 of the latent pixels together that stand for 8 x 8 pixels each. Off the grid ComfyUI cuts the picture.
GRIDS: Mapping[str, int] = {"flux": 16, "checkpoint": 8}
LEAST_PIXELS = 512 * 512  # below it, models make no sense of what they see; a small photo is enlarged for the call

FACTS = ProviderFacts(
    name="comfyui",
    title="ComfyUI",
    sentence="A ComfyUI of your own, with FLUX Fill, an inpainting checkpoint, or your graph: a mask or sides in, a "
    "PNG out.",
    implementation="uncrop.providers.comfyui.provider:ComfyUI",
    emulator="uncrop.testing.comfyui:ComfyUIEmulator",
    geometry=GeometryFacts(
        speaks="mask",
        scales=True,
        grid=16,
        min_edge=64,
        max_edge=16_384,
        min_pixels=LEAST_PIXELS,
        max_pixels=int(MEGAPIXELS["flux"] * MEGAPIXEL),
    ),
    fields=(
        MASK_FILE,
        seed(),
        FieldFacts(name="prompt", help="What to continue with; without it the model goes by the photo alone."),
        FieldFacts(name="negative_prompt", help="What must not be there; the graph flux has no weight for it."),
    ),
    # Frames are drawn here; ComfyUI's own limit of 100 MB for an upload is far beyond any of them.
    upload=UploadFacts(formats=frozenset({"JPEG", "PNG", "WEBP"}), max_bytes=50_000_000),
    answer_format="PNG",
    max_output_pixels=MAX_PIXELS["PNG"],
    bills=False,
    settings=(
        own_base_url("ComfyUI", "http://127.0.0.1:8188"),
        SettingFacts(
            name="graph",
            kind="text",
            help="flux: FLUX.1 Fill; checkpoint: a checkpoint of Stable Diffusion made for inpainting.",
            default="flux",
            required=True,
            choices=tuple(MODELS),
        ),
        SettingFacts(
            name="model",
            kind="text",
            help="File of the model or checkpoint, as ComfyUI lists it; default: "
            f"{', '.join(f'{file} ({graph})' for graph, file in MODELS.items())}.",
        ),
        SettingFacts(
            name="graph_file",
            kind="file",
            help="Path of a graph of your own in ComfyUI's API format, used in place of those; its nodes' titles say "
            "where photo, prompt, seed and picture are.",
            check=check_graph,
        ),
        SettingFacts(
            name="max_megapixels",
            kind="number",
            minimum=0.3,
            maximum=64,
            help="Largest picture that ComfyUI is asked for; a larger canvas is made at this size and enlarged. "
            f"Default: {', '.join(f'{most:g} ({graph})' for graph, most in MEGAPIXELS.items())}.",
        ),
        rate_limit("ComfyUI"),
    ),
    evidence="https://github.com/Comfy-Org/ComfyUI server.py, execution.py, nodes.py, 2026-11",
)
