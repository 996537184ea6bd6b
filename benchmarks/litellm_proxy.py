"""The peer of the gateway's benchmark: a LiteLLM proxy before the same emulator of OpenAI.

It forwards what it gets, unseen; uncrop decodes, checks, finishes and encodes. What they cost side by side says what
that takes. LiteLLM lives in an environment of its own. It is told to load its price list from its package and to report
nothing, and listens on loopback alone.
"""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING

import httpx2

if TYPE_CHECKING:
    from gateway import Load, Process

KEY = "sk-benchmark"
CONFIGURATION = """\
model_list:
  - model_name: gpt-image-2
    litellm_params: {{model: openai/gpt-image-2, api_base: "{url}/v1", api_key: key}}
general_settings: {{master_key: {key}}}
litellm_settings: {{telemetry: false}}
"""
ENVIRONMENT = {
    "LITELLM_LOCAL_MODEL_COST_MAP": "True",
    "LITELLM_TELEMETRY": "False",
    "DO_NOT_TRACK": "1",
    "LITELLM_LOG": "ERROR",
}


@contextmanager
def running_proxy(program: str, folder: Path, emulator: Process, environment: dict[str, str]) -> Iterator[Process]:
    """Run the proxy before the emulator until the block is left."""
    from gateway import running

    configuration = folder / "litellm.yaml"
    configuration.write_text(CONFIGURATION.format(url=emulator.url, key=KEY))
    arguments = ["--config", str(configuration), "--host", "127.0.0.1", "--telemetry", "False"]
    with running(arguments, environment | ENVIRONMENT, "/health/liveliness", program=program) as process:
        yield process


def send(client: httpx2.Client, load: Load, url: str) -> httpx2.Response:
    """Send a load of the provider ``openai`` through the proxy."""
    files = {"image": ("photo.jpg", load.photo, "image/jpeg"), "mask": ("mask.png", load.mask or b"", "image/png")}
    data = {"prompt": "continue", "model": "gpt-image-2", "size": load.fields["size"]}
    return client.post(f"{url}/v1/images/edits", headers={"Authorization": f"Bearer {KEY}"}, data=data, files=files)
