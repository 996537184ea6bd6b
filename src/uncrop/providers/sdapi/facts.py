"""The row of facts about ``sdapi``."""

from __future__ import annotations

from uncrop.imaging.limits import MAX_PIXELS
from uncrop.model import FieldFacts, GeometryFacts, ProviderFacts, SettingFacts, UploadFacts
from uncrop.providers.shared_rows import MASK_FILE, own_base_url, rate_limit, seed

# What is under the mask when the work begins, and the number that the API has for it.
FILLS = {"fill": 0, "original": 1, "noise": 2, "nothing": 3}
# The web UI's sliders end here.
MIN_EDGE, MAX_EDGE = 64, 2048
# What SD 1.5 was trained at, and SDXL; beyond, the one repeats subjects, and the GPU's memory ends.
LEAST_PIXELS, MOST_PIXELS = 512 * 512, 1024 * 1024
# One value of the models' latent space stands for so many pixels in each direction.
CELL = 8

FACTS = ProviderFacts(
    name="sdapi",
    title="Stable Diffusion web UI",
    sentence="Your own AUTOMATIC1111, Forge or SD.Next: sides or a mask in, a PNG out, on your own GPU.",
    implementation="uncrop.providers.sdapi.provider:StableDiffusion",
    emulator="uncrop.testing.sdapi:StableDiffusionEmulator",
    geometry=GeometryFacts(
        speaks="mask",
        scales=True,
        grid=CELL,
        min_edge=MIN_EDGE,
        max_edge=MAX_EDGE,
        min_pixels=LEAST_PIXELS,
        max_pixels=MOST_PIXELS,
    ),
    fields=(
        MASK_FILE,
        seed(),
        FieldFacts(name="prompt", help="What to continue with, in the web UI's own notation."),
        FieldFacts(name="negative_prompt", help="What must not be there, in the same notation."),
    ),
    # The photo is drawn anew at the size that the model works at: its file may be as long as the local engine's.
    upload=UploadFacts(formats=frozenset({"JPEG", "PNG", "WEBP"}), max_bytes=30_000_000),
    answer_format="PNG",
    max_output_pixels=MAX_PIXELS["PNG"],
    bills=False,
    settings=(
        # 7860 is also the port of every Gradio program.
        own_base_url("the web UI, started with --api", "http://127.0.0.1:7860"),
        SettingFacts(name="api_auth", kind="secret", help="user:password, where the web UI has --api-auth."),
        SettingFacts(
            name="checkpoint",
            kind="text",
            help="Title of the checkpoint to use, as the web UI shows it; an inpainting model is best. By default the "
            "one that is loaded.",
        ),
        SettingFacts(
            name="negative_prompt", kind="text", help="What no picture may show; what a caller adds comes after it."
        ),
        SettingFacts(name="sampler", kind="text", help="Name of the sampler; by default the web UI's."),
        SettingFacts(name="scheduler", kind="text", help="Name of the scheduler; by default the web UI's."),
        SettingFacts(name="steps", kind="integer", help="Sampling steps.", default=30, minimum=1, maximum=150),
        SettingFacts(
            name="cfg_scale",
            kind="number",
            help="How closely the prompt is followed.",
            default=7.0,
            minimum=1,
            maximum=30,
        ),
        SettingFacts(
            name="denoising_strength",
            kind="number",
            help="How far what is made may depart from the photo's colours that are drawn out under it; 1: wholly.",
            default=1.0,
            minimum=0.05,
            maximum=1,
        ),
        SettingFacts(
            name="inpainting_fill",
            kind="text",
            help="What is under the mask when the work begins: the photo's colours drawn out by uncrop (original) or "
            "by the web UI (fill), latent noise, or nothing. SD.Next takes no notice.",
            default="original",
            required=True,
            choices=tuple(sorted(FILLS)),
        ),
        SettingFacts(
            name="min_pixels",
            kind="integer",
            help="Fewest pixels that the model works at; smaller canvases are enlarged for it.",
            default=LEAST_PIXELS,
            minimum=MIN_EDGE**2,
            maximum=MAX_EDGE**2,
        ),
        SettingFacts(
            name="max_pixels",
            kind="integer",
            help="Most pixels that the model works at; larger canvases are scaled down for it, and what was made is "
            "enlarged.",
            default=MOST_PIXELS,
            minimum=MIN_EDGE**2,
            maximum=MAX_EDGE**2,
        ),
        SettingFacts(
            name="interrupt",
            kind="text",
            help="What is stopped when a client leaves: own, the work that the web UI says is ours; any, whatever it "
            "works on, which may be another's; off, nothing.",
            default="own",
            required=True,
            choices=("own", "any", "off"),
        ),
        rate_limit("the web UI"),
    ),
    evidence="https://github.com/AUTOMATIC1111/stable-diffusion-webui/wiki/API, 2026-11",
)
