"""The local engine behind HTTP, in its own process and with its own kernels: deadline, clients that leave."""

from __future__ import annotations

import os
from typing import TYPE_CHECKING

import engine_that_tells
import numpy as np

from fixtures_http import Form, Refusal, ask, check, send
from fixtures_server import ORGANIZATION, real, wait_until
from uncrop.imaging import codec
from uncrop.providers import engine_runner
from uncrop.testing.pictures import photo_jpeg

if TYPE_CHECKING:
    from pathlib import Path

    import pytest

FORM = Form(
    fields={"provider": "local", "organization_id": ORGANIZATION, "extend_left": "16", "quality": "fast"},
    files={"image_file": photo_jpeg(64, 48)},
)


def smooth_jpeg(width: int, height: int) -> bytes:
    """Make a photo of slow gradients, large and soon made."""
    y, x = np.ogrid[0:height, 0:width]
    planes = [(y * (40 + 30 * n) // height + x * (110 - 30 * n) // width) % 256 for n in range(3)]
    return codec.encode(np.stack(planes, axis=2).astype(np.uint8), "JPEG")


# --- deadline --------------------------------------------------------------------------------------------------------


def test_the_engine_ends_itself_at_its_deadline(data_dir: Path) -> None:
    sides = {"extend_left": "600", "extend_right": "600", "extend_up": "450", "extend_down": "450"}
    form = FORM.but(image_file=smooth_jpeg(4000, 3000), quality="best", **sides)
    with real(data_dir, settings={"provider_timeout_s": 1}) as house:
        check(
            ask(house.url, form, key=house.key),
            Refusal(
                status=504,
                code="PROVIDER_TIMEOUT",
                # The engine's own words; of a worker that had to be ended, the technical text would tell.
                message="The local engine did not finish in time",
                type="server_error",
            ),
        )
        assert house.booked() == 0


# --- clients that leave ----------------------------------------------------------------------------------------------


def is_running(pid: int) -> bool:
    try:
        os.kill(pid, 0)
    except ProcessLookupError:
        return False
    return True


def test_a_client_that_leaves_ends_the_engines_work(data_dir: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    pipe = data_dir / engine_that_tells.PIPE
    os.mkfifo(pipe)
    with real(data_dir, settings={"engine_workers": 1, "max_running": 1}) as house:
        slots = house.server.service.slots
        with monkeypatch.context() as patched:
            patched.setattr(engine_runner, "compute", engine_that_tells.compute)
            leaving = send(house.url, FORM, key=house.key)
            worker = int(pipe.read_text())
        assert is_running(worker)
        assert slots.running == 1
        leaving.close()
        wait_until(lambda: slots.running == 0)
        assert not is_running(worker)
        # The only worker's place and the only slot are free again.
        assert ask(house.url, FORM, key=house.key).status_code == 200
        assert house.booked() == 1
